"""What a process of the API holds open: the two databases, threads for what blocks, and the memory of tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from clickhouse_connect.driver.asyncclient import AsyncClient
from urllib3 import PoolManager

from optiinfra_api.access.authentication import Authenticator
from optiinfra_api.graphql.persisted_queries import PersistedQueries
from optiinfra_api.http.concurrency import ConcurrencyLimit
from optiinfra_api.reading.clickhouse_reader import ClickHouseReader
from optiinfra_api.reading.freshness_cache import FreshnessCache
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_api.reading.stream import ExportStreamer
from optiinfra_assets.ingestion.triggering import DagsterTrigger
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse, connect_reader

THREADS = 16

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ApiServices:
    """Open connections, shared by all requests of one process and one event loop."""

    def __init__(
        self, settings: Settings, reader: AsyncClient, warehouse: Warehouse, metadata: Metadata
    ) -> None:
        self.settings = settings
        self.metadata = metadata
        self._reader = reader
        self.warehouse = warehouse
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        answers = ResultCache(settings.api_answers)
        self.engine = ClickHouseReader(reader, warehouse, self.run, QueryLimits.of_queries(settings), answers)
        self.exporter = ExportStreamer(reader, warehouse, QueryLimits.of_exports(settings))
        self.standings = FreshnessCache(
            lambda customer_id: self.run_for(customer_id, metadata.slices.freshness, customer_id)
        )
        self.authenticator = Authenticator(metadata)
        self.persisted = PersistedQueries()
        self.trigger = DagsterTrigger(settings, metadata)
        self.requests = ConcurrencyLimit(settings.api_max_requests, "requests", "OPTIINFRA_API_MAX_REQUESTS")
        self.exports = ConcurrencyLimit(settings.api_max_exports, "exports", "OPTIINFRA_API_MAX_EXPORTS")

    @classmethod
    async def open(cls, settings: Settings) -> ApiServices:
        """Connect to both databases.

        Raises:
            WarehouseUnavailable: ClickHouse does not answer or refuses us.
            MetadataUnavailable: PostgreSQL does not answer or refuses us.
        """
        # One kept-alive connection for each thread: the default pool would drop all but one after each burst.
        pool = PoolManager(num_pools=1, maxsize=THREADS, block=False)
        reading = settings.for_reading()
        warehouse = Warehouse.connect(reading, pool_mgr=pool)
        metadata = Metadata.connect(settings)
        return cls(settings, await connect_reader(reading), warehouse, metadata)

    async def close(self) -> None:
        """Close the connections; running reads end first."""
        self._threads.shutdown()
        await self._reader.close()
        self.warehouse.close()
        self.metadata.close()

    def pending_clickhouse(self) -> list[str]:
        """Statements of migrations that ClickHouse has not run; blocks.

        Raises:
            StoreError: it does not answer, or its migrations are not ours.
        """
        return self.warehouse.migrate(dry_run=True)

    def pending_postgres(self) -> list[str]:
        """Statements of migrations that PostgreSQL has not run; blocks.

        Raises:
            StoreError: it does not answer, or its migrations are not ours.
        """
        return self.metadata.migrate(dry_run=True)

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """`work`, which blocks, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def run_for(
        self, customer_id: str, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """`work`, which reads from `metadata`, in a thread where PostgreSQL shows rows of one customer only."""
        return await self.run(self._bound, customer_id, partial(work, *args, **kwargs))

    def _bound(self, customer_id: str, work: Callable[[], _T]) -> _T:
        with self.metadata.of_customer(customer_id):
            return work()
