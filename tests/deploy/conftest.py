"""The embedded engines over TCP, and a deployment on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import clickhouse_connect
import psycopg
import pytest
from deployment import Deployment, deployed, postgres_over_tcp
from loopback import server_folder

from optiinfra_assets.settings import Settings


@pytest.fixture(scope="session")
def tcp_postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL that is reached by TCP, with a password."""
    with server_folder() as folder, postgres_over_tcp(folder) as url:
        yield url


@contextmanager
def _databases(clickhouse_url: str, postgres_url: str, home: Path) -> Iterator[Settings]:
    """Settings with the addresses of two databases that have nothing in them."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    clickhouse, postgres = (
        urlunsplit(urlsplit(url)._replace(path=f"/{name}")) for url in (clickhouse_url, postgres_url)
    )
    client = clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        client.command(f"CREATE DATABASE {name}")
        try:
            yield Settings(home=home, clickhouse_url=clickhouse, postgres_url=postgres)
        finally:
            client.command(f"DROP DATABASE {name}")
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            client.close()


@pytest.fixture
def empty_databases(clickhouse_url: str, tcp_postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a test alone."""
    with _databases(clickhouse_url, tcp_postgres_url, tmp_path) as settings:
        yield settings


@pytest.fixture(scope="module")
def deployment(
    clickhouse_url: str, tcp_postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Every process of a deployment, on databases that it migrated; all tests of a file share it."""
    with (
        _databases(clickhouse_url, tcp_postgres_url, tmp_path_factory.mktemp("home")) as settings,
        deployed(settings) as found,
    ):
        yield found
