"""The two databases as a Dagster resource that opens them when asked, so that loading the definitions reaches nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


class StoresResource:
    """Opens the databases that the settings name at that moment.

    A plain object, not a resource with a lifetime: a database that is away must fail inside the step, where it is retried.

    Attributes:
        clock: what "now" is for those who work with the databases.
    """

    def __init__(self, settings: Callable[[], Settings] = Settings, clock: Clock = utc_now) -> None:
        self._settings = settings
        self.clock = clock

    def settings(self) -> Settings:
        """The settings as they are now."""
        return self._settings()

    def metadata(self) -> closing[Metadata]:
        """PostgreSQL, closed at the end.

        Raises:
            MetadataUnavailable: it cannot be reached.
        """
        return closing(Metadata.connect(self._settings()))

    def warehouse(self) -> closing[Warehouse]:
        """ClickHouse, closed at the end.

        Raises:
            WarehouseUnavailable: it cannot be reached.
        """
        return closing(Warehouse.connect(self._settings()))
