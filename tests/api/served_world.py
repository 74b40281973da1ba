"""One API and its databases, as a fixture for the tests of a folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import clickhouse_connect
import psycopg
import pytest
from api_server import serving
from world import World

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


@pytest.fixture(scope="session")
def world(clickhouse_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The API over databases of its own; each test brings its own customers."""
    name = f"api_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    clickhouse = clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False)
    clickhouse.command(f"CREATE DATABASE {name}")
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        clickhouse_url=_with_database(clickhouse_url, name),
        postgres_url=_with_database(postgres_url, name),
        dagster_url="http://127.0.0.1:9",
        api_folders="s3://",
    )
    yield from _world(settings)
    clickhouse.command(f"DROP DATABASE {name}")
    clickhouse.close()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _world(settings: Settings) -> Iterator[World]:
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    warehouse.migrate()
    metadata.migrate()
    # So that rates do not begin with those of an installed package, which tests would have to know.
    metadata.rates.update("ECB", [(date(1999, 1, 4), "USD", Decimal(1))])
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        yield world
        world.http.close()
    warehouse.close()
    metadata.close()


def _with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
