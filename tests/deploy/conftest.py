"""The embedded engines over TCP, and a deployment on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from deployment import Deployment, deployed, postgres_over_tcp
from loopback import server_folder

from optiinfra_assets.settings import Settings


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL that is reached by TCP, with a password."""
    with server_folder() as folder, postgres_over_tcp(folder) as url:
        yield url


@pytest.fixture(scope="module")
def deployment(
    databases: Any, clickhouse_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Every process of a deployment, on empty databases that it migrated; all tests of a file share it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    databases.create(name, is_migrated=False)
    clickhouse, postgres = (
        urlunsplit(urlsplit(url)._replace(path=f"/{name}")) for url in (clickhouse_url, postgres_url)
    )
    settings = Settings(home=tmp_path_factory.mktemp("home"), clickhouse_url=clickhouse, postgres_url=postgres)
    try:
        with deployed(settings) as found:
            yield found
    finally:
        databases.drop(name)
