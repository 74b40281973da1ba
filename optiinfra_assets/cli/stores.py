"""The databases that a command works on: opened where `Settings` say they are, and closed at the end."""

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
    """PostgreSQL."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings

    with closing(Metadata.connect(Settings())) as metadata:
        yield metadata


@contextmanager
def opened_stores(settings: Settings) -> Iterator[tuple[Metadata, Warehouse]]:
    """PostgreSQL and ClickHouse."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse

    with closing(Metadata.connect(settings)) as metadata, closing(Warehouse.connect(settings)) as warehouse:
        yield metadata, warehouse
