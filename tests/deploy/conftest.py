"""The embedded engines over TCP, and a deployment on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deployment import Deployment, deployed, postgres_over_tcp
from loopback import server_folder

from optiinfra_assets.settings import Settings


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL that is reached by TCP, with a password."""
    with server_folder() as folder, postgres_over_tcp(folder) as url:
        yield url


@pytest.fixture
def deployment(settings: Settings) -> Iterator[Deployment]:
    """Every process of a deployment, on empty databases that it migrated."""
    with deployed(settings) as found:
        yield found
