"""The two databases as a Dagster resource. It opens them on request, so that loading the definitions connects to nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


class StoresResource:
    """Opens the databases that the current settings name.

    A plain object, not a resource with a lifecycle: if a database is down, the error must occur inside the step, which Dagster retries.

    Attributes:
        clock: gives the present UTC instant to those who work with the databases.
    """

    def __init__(self, settings: Callable[[], Settings] = Settings, clock: Clock = utc_now) -> None:
        self._settings = settings
        self.clock = clock

    def settings(self) -> Settings:
        """Read the current settings."""
        return self._settings()

    def metadata(self) -> closing[Metadata]:
        """Connect to PostgreSQL; the context manager closes the connection.

        Raises:
            MetadataUnavailable: PostgreSQL cannot be reached.
        """
        return closing(Metadata.connect(self._settings()))

    def warehouse(self) -> closing[Warehouse]:
        """Connect to ClickHouse; the context manager closes the connection.

        Raises:
            WarehouseUnavailable: ClickHouse cannot be reached.
        """
        return closing(Warehouse.connect(self._settings()))
