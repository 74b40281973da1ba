"""What requests need of the process that answers them, as protocols; `optiinfra_api.services` builds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from optiinfra_api.access.authentication import Authenticator
    from optiinfra_api.graphql.persisted_queries import PersistedQueries
    from optiinfra_api.http.concurrency import ConcurrencyLimit
    from optiinfra_api.reading.clickhouse_reader import ClickHouseReader
    from optiinfra_api.reading.freshness_cache import FreshnessCache
    from optiinfra_api.reading.stream import ExportStreamer
    from optiinfra_assets.domain.accounts import BillingPeriod
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.collections import CollectionTask
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.warehouse.warehouse import Warehouse


_P = ParamSpec("_P")
_T = TypeVar("_T")


class TriggerService(Protocol):
    """Has costs collected on request; what it does blocks."""

    def collect(
        self,
        customer_id: str,
        provider: str | None,
        account_id: str | None,
        billing_period: BillingPeriod | None,
    ) -> CollectionTask:
        """Queue and launch the collections of one customer; None: of every provider, account or period that is due.

        Raises:
            NothingToCollect: no account matches, or nothing is due.
            ValueError: the period cannot be collected.
            DagsterUnavailable: Dagster does not answer; nothing is queued.
        """
        ...

    def cancel(self, task_id: str, customer_id: str) -> int:
        """End what a task still has to collect of one customer; how many slices that are.

        Raises:
            RecordNotFound: there is no such task of that customer.
            DagsterUnavailable: Dagster does not answer, or a run goes on.
        """
        ...


class Services(Protocol):
    """Open connections, shared by all requests of one process and one event loop."""

    settings: Settings
    metadata: Metadata
    warehouse: Warehouse
    engine: ClickHouseReader
    exporter: ExportStreamer
    standings: FreshnessCache
    authenticator: Authenticator
    persisted: PersistedQueries
    requests: ConcurrencyLimit
    exports: ConcurrencyLimit
    trigger: TriggerService

    def pending_clickhouse(self) -> list[str]:
        """Statements of migrations that ClickHouse has not run; blocks."""
        ...

    def pending_postgres(self) -> list[str]:
        """Statements of migrations that PostgreSQL has not run; blocks."""
        ...

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """`work`, which blocks, in a thread."""
        ...

    async def run_for(
        self, customer_id: str, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """`work`, which reads from `metadata`, in a thread where PostgreSQL shows rows of one customer only."""
        ...
