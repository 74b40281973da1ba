"""The services that requests need from their process; `optiinfra_api.services` opens and closes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from cachetools import LRUCache
    from starlette.requests import HTTPConnection

    from optiinfra_api.access.authentication import Authenticator
    from optiinfra_api.access.customer_threads import CustomerThreads
    from optiinfra_api.access.signed_links import LinkSigner
    from optiinfra_api.graphql.persisted_queries import PersistedQueries
    from optiinfra_api.http.concurrency import ConcurrencyLimit, Turns
    from optiinfra_api.http.kept_answer import KeptAnswer
    from optiinfra_api.reading.clickhouse_reader import ClickHouseReader
    from optiinfra_api.reading.conversion import Display
    from optiinfra_api.reading.freshness_cache import FreshnessCache
    from optiinfra_api.reading.stream import ExportStreamer
    from optiinfra_api.reading.view_reader import ViewReader
    from optiinfra_assets.analytics.customer_forecast import CurrencyForecast
    from optiinfra_assets.domain.automation import Automation
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.collections import CollectionTask
    from optiinfra_assets.metadata.tokens import Principal
    from optiinfra_assets.metadata.web_sessions import Person, WebSession
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.warehouse.warehouse import Warehouse


_P = ParamSpec("_P")
_T = TypeVar("_T")


class SessionFinder(Protocol):
    """Finds the session that a request's cookie names; `optiinfra_api.access.sessions.Sessions` does."""

    async def of(self, connection: HTTPConnection) -> WebSession | None: ...


class OpenIdClient(Protocol):
    """Signs people in at an identity provider; `optiinfra_api.access.openid.OpenId` does.

    `secret` is what the browser keeps from the beginning to the end of a sign-in, and nobody else knows.
    """

    async def address(self, redirect_uri: str, secret: str) -> str: ...

    def is_state(self, state: str, secret: str) -> bool: ...

    def nonce(self, secret: str) -> str: ...

    async def person(self, answer: Mapping[str, str], redirect_uri: str, secret: str) -> Person: ...


class Services:
    """Open connections, shared by all requests of one process and one event loop.

    Attributes:
        collect: `optiinfra_assets.ingestion.triggering.trigger_collection` for callers of the API; it blocks.
        collecting: one call of `collect` for each customer at a time: it probes, and must not take every thread.
        cancel: `optiinfra_assets.ingestion.triggering.cancel_task`; it blocks.
        automations: what `optiinfra_assets.ingestion.dagster_client.read_automations` found, kept for some seconds.
        openid: None: there is no identity provider.
        metrics_token: the token for scrapers; None: there is none.
        begin_rates: stores rates between currencies to begin with, if there are none.
        display: makes the conversion of one answer to a currency, for a customer, see `optiinfra_api.reading.conversion.display_of`.
        answered: runs a GraphQL operation for a principal at an address, see `optiinfra_api.execution.operations.answered`.
        threads: run blocking functions.
        asking: run functions that wait for hosts which customers name.
        forecasts: what was forecast for customers, by what it was made of.
        clock: tells the UTC instant at which something is asked or changed.
    """

    settings: Settings
    metadata: Metadata
    warehouse: Warehouse
    engine: ClickHouseReader
    exporter: ExportStreamer
    views: ViewReader
    links: LinkSigner
    standings: FreshnessCache
    authenticator: Authenticator
    sessions: SessionFinder
    openid: OpenIdClient | None
    persisted: PersistedQueries
    requests: ConcurrencyLimit
    exports: ConcurrencyLimit
    subscriptions: ConcurrencyLimit
    collect: Callable[..., CollectionTask]
    collecting: Turns
    cancel: Callable[..., int]
    automations: KeptAnswer[list[Automation]]
    metrics_token: str | None
    begin_rates: Callable[[], Awaitable[None]]
    display: Callable[[str, str, frozenset[str] | None], Display]
    answered: Callable[[dict[str, Any], Principal, str], Awaitable[dict[str, Any]]]
    threads: ThreadPoolExecutor
    asking: CustomerThreads
    forecasts: LRUCache[Hashable, list[CurrencyForecast]]
    clock: Callable[[], datetime]

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run the blocking function `work` in a thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(work, *args, **kwargs))

    async def run_for(self, customer_id: str, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `work`, which reads from `metadata`, in a thread where PostgreSQL shows only the rows of one customer."""
        return await self.run(self._bound, customer_id, partial(work, *args, **kwargs))

    def _bound(self, customer_id: str, work: Callable[[], _T]) -> _T:
        with self.metadata.of_customer(customer_id):
            return work()
