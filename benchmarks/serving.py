"""Runs what a benchmark compares: the embedded databases over a data set, our service, and DuckDB, all on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx
from clickhouse_connect.driver.client import Client

from benchmarks import peer
from benchmarks.engines import LOGIN, clickhouse_url
from optiinfra_assets.embedded.postgres import __main__ as postgres
from optiinfra_assets.embedded.preflight import free_port
from optiinfra_assets.settings import Settings


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Settings, int]]:
    """Run the embedded databases over the data set in `folder` and the API, all on loopback; yields the API's address and process id."""
    with engines(folder) as (settings, _), serving("optiinfra_api", settings) as (url, process):
        yield url, settings, process.pid


@contextmanager
def engines(folder: Path) -> Iterator[tuple[Settings, int]]:
    """Run the embedded databases over the data set in `folder`, on loopback; yields their settings and ClickHouse's process id."""
    settings = Settings(
        home=folder,
        clickhouse_url=clickhouse_url(free_port("127.0.0.1")),
        postgres_url=postgres.start(folder / "postgres"),
    )
    port = str(urlsplit(str(settings.clickhouse_url)).port)
    command = ("-m", "optiinfra_assets.embedded.clickhouse", "--path", str(folder / "clickhouse"), "--port", port)
    try:
        with _process(command, LOGIN, f"http://127.0.0.1:{port}/ping") as process:
            yield settings, process.pid
    finally:
        postgres.stop(folder / "postgres")


@contextmanager
def serving(
    module: str,
    settings: Settings,
    *arguments: str,
    log: IO[bytes] | None = None,
    keeps: bool = False,
    holds: bool = False,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a web server of ours as a module with ``--port`` and `arguments`, over the databases of `settings`; yields its address and pid.

    Args:
        log: its standard error, None: ours.
        keeps: whether it caches ClickHouse's results; otherwise it asks ClickHouse each time, as if it were the first time.
        holds: whether it then still holds small tables in memory.
    """
    environment = {
        **({} if keeps else {"OPTIINFRA_API_ANSWERS": "0"}),
        **({} if keeps or holds else {"OPTIINFRA_API_TABLES": "0"}),
        "OPTIINFRA_CLICKHOUSE_URL": str(settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
    }
    port = str(free_port("127.0.0.1"))
    url = f"http://127.0.0.1:{port}"
    command = ("-m", module, "--port", port, *arguments)
    with _process(command, environment, f"{url}/healthz", log) as process:
        yield url, process


@contextmanager
def duckdb(interpreter: str, folder: Path, client: Client, log: IO[bytes]) -> Iterator[str]:
    """Run the peer over the tables of the data set in `folder`; yields its address."""
    exported = folder / "exported"
    exported.mkdir(exist_ok=True)
    for table, columns in peer.TABLES.items():
        if not (exported / f"{table}.parquet").exists() and not (folder / "peer.duckdb").exists():
            export(client, table, columns, exported / f"{table}.parquet")
    port = str(free_port("127.0.0.1"))
    url = f"http://127.0.0.1:{port}"
    where = ("--database", str(folder / "peer.duckdb"), "--exported", str(exported))
    with _process((str(Path(peer.__file__)), "--port", port, *where), {}, f"{url}/healthz", log, interpreter):
        yield url


def export(client: Client, table: str, columns: str, path: Path) -> None:
    """Write a table to a Parquet file, in the order of its key."""
    text = f"SELECT {columns} FROM {table} ORDER BY customer_id, generation"
    settings = {"output_format_parquet_string_as_string": 1, "max_bytes_before_external_sort": 2**30}
    with (
        path.with_suffix(".partial").open("wb") as file,
        client.raw_stream(text, settings=settings, fmt="Parquet") as rows,
    ):
        shutil.copyfileobj(rows, file)
    path.with_suffix(".partial").rename(path)


@contextmanager
def _process(
    module: tuple[str, ...],
    environment: dict[str, str],
    url: str,
    log: IO[bytes] | None = None,
    interpreter: str = sys.executable,
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([interpreter, *module], env={**os.environ, **environment}, stderr=log)
    try:
        for _ in range(6000):
            with suppress(httpx.HTTPError):
                httpx.get(url, timeout=1)
                break
            assert process.poll() is None, f"{module} ended"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(30)
