"""Starts both embedded databases on fresh directories, migrated, for the duration of a measurement."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optiinfra_assets.embedded.postgres import __main__ as postgres
from optiinfra_assets.embedded.preflight import free_port
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

LOGIN = {"OPTIINFRA_CLICKHOUSE_PASSWORD": secrets.token_urlsafe()}
"""What an embedded ClickHouse of a measurement gets in its environment."""


def clickhouse_url(port: int | str) -> str:
    """Address of a ClickHouse that was started with `LOGIN`."""
    return f"http://default:{LOGIN['OPTIINFRA_CLICKHOUSE_PASSWORD']}@127.0.0.1:{port}/default"


@contextmanager
def clickhouse(folder: Path) -> Iterator[str]:
    """Start an embedded ClickHouse; yields its URL."""
    port = free_port("127.0.0.1")
    command = ["-m", "optiinfra_assets.embedded.clickhouse", "--path", str(folder), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], env={**os.environ, **LOGIN})
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        yield clickhouse_url(port)
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def stores() -> Iterator[tuple[Settings, Warehouse, Metadata]]:
    """Start separate, migrated databases and remove them at the end."""
    folder = Path(tempfile.mkdtemp(prefix="optiinfra-bench-"))
    try:
        with clickhouse(folder / "clickhouse") as url:
            settings = Settings(
                home=folder / "home", clickhouse_url=url, postgres_url=postgres.start(folder / "postgres")
            )
            warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
            warehouse.migrate()
            metadata.migrate()
            try:
                yield settings, warehouse, metadata
            finally:
                warehouse.close()
                metadata.close()
                postgres.stop(folder / "postgres")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
