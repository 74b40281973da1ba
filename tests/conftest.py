"""Real engines for the tests: one embedded ClickHouse and one PostgreSQL a session, a fresh database in each for every test.

``OPTIINFRA_CLICKHOUSE_URL`` and ``OPTIINFRA_POSTGRES_URL`` point the same tests at real servers instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import clickhouse_connect
import psycopg
import pytest
from loopback import free_port, server_folder, wait_until_answers

from optiinfra_assets.embedded.postgres import __main__ as embedded_postgres
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


@pytest.fixture(scope="session")
def clickhouse_url() -> Iterator[str]:
    """HTTP address of a ClickHouse for the whole session, without a database."""
    given = os.environ.get("OPTIINFRA_CLICKHOUSE_URL")
    if given:
        yield given
        return
    with server_folder() as folder:
        yield from _clickhouse(folder)


def _clickhouse(folder: Path) -> Iterator[str]:
    port = free_port()
    engine = [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse"]
    process = subprocess.Popen([*engine, "--path", str(folder / "clickhouse"), "--port", str(port)])
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/ping", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL for the whole session."""
    given = os.environ.get("OPTIINFRA_POSTGRES_URL")
    if given:
        yield given
        return
    with server_folder() as folder:
        try:
            yield embedded_postgres.start(folder / "postgres")
        finally:
            embedded_postgres.stop(folder / "postgres")


def with_database(url: str, database: str) -> str:
    """`url` with its database replaced."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture
def settings(clickhouse_url: str, postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose two databases exist, are empty, belong to this test alone, and are dropped after it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    clickhouse = clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False)
    clickhouse.command(f"CREATE DATABASE {name}")
    try:
        yield Settings(
            home=tmp_path / "home",
            clickhouse_url=with_database(clickhouse_url, name),
            postgres_url=with_database(postgres_url, name),
        )
    finally:
        clickhouse.command(f"DROP DATABASE {name}")
        clickhouse.close()
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    """A migrated ClickHouse database of this test alone."""
    opened = Warehouse.connect(settings)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """A migrated PostgreSQL database of this test alone."""
    opened = Metadata.connect(settings)
    opened.migrate()
    yield opened
    opened.close()
