"""Opens the databases that a command uses, at the URLs of `Settings`, and closes them at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.warehouse.warehouse import Warehouse


@contextmanager
def opened_metadata() -> Iterator[Metadata]:
    """Open PostgreSQL, at the URL of new `Settings`."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings

    with closing(Metadata.connect(Settings())) as metadata:
        yield metadata


@contextmanager
def opened_stores(settings: Settings) -> Iterator[tuple[Metadata, Warehouse]]:
    """Open PostgreSQL and ClickHouse, at the URLs of `settings`."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse

    with closing(Metadata.connect(settings)) as metadata, closing(Warehouse.connect(settings)) as warehouse:
        yield metadata, warehouse
