"""Opens and closes the services of an API process: both databases, threads for blocking calls, and caches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial

from cachetools import LRUCache
from clickhouse_connect.driver.asyncclient import AsyncClient
from urllib3 import PoolManager

from optiinfra_api.access.authentication import Authenticator
from optiinfra_api.access.customer_threads import CustomerThreads
from optiinfra_api.access.openid import OpenId
from optiinfra_api.access.services import Services
from optiinfra_api.access.sessions import Sessions
from optiinfra_api.access.signed_links import LinkSigner
from optiinfra_api.execution.operations import answered
from optiinfra_api.graphql.persisted_queries import PersistedQueries
from optiinfra_api.http.concurrency import ConcurrencyLimit, Turns
from optiinfra_api.http.kept_answer import KeptAnswer
from optiinfra_api.reading.clickhouse_reader import Announced, ClickHouseReader
from optiinfra_api.reading.conversion import display_of
from optiinfra_api.reading.freshness_cache import FreshnessCache
from optiinfra_api.reading.news import News
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.rate_book import RateBook
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_api.reading.stream import ExportStreamer
from optiinfra_api.reading.view_reader import ViewReader
from optiinfra_assets.analytics.customer_forecast import CurrencyForecast
from optiinfra_assets.ingestion.dagster_client import read_automations
from optiinfra_assets.ingestion.rate_files import start_rates
from optiinfra_assets.ingestion.triggering import cancel_task, trigger_collection
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse, connect_reader

THREADS = 16
ASKED_AT_ONCE = 4
"""Hosts that a customer names and that are asked at one time, for each customer."""
AUTOMATIONS_KEPT_SECONDS = 5
FORECAST_BYTES = 128 * 1024 * 1024
"""Memory for forecasts of customers; one of 50 series takes 1 MB."""


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


def _bytes_of(forecasts: list[CurrencyForecast]) -> int:
    """The memory of a customer's forecasts; what is larger than the whole cache is cached alone."""
    return min(sum(one.size for one in forecasts), FORECAST_BYTES)


def utc_today() -> date:
    """Return the present UTC day."""
    return datetime.now(UTC).date()


class ApiServices(Services):
    """Open connections, shared by all requests of one process and one event loop."""

    def __init__(
        self,
        settings: Settings,
        reader: AsyncClient,
        warehouse: Warehouse,
        metadata: Metadata,
        clock: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.metadata = metadata
        self._reader = reader
        self.warehouse = warehouse
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        self.asking = CustomerThreads(ASKED_AT_ONCE)
        self.forecasts = LRUCache(FORECAST_BYTES, _bytes_of)
        self.clock = clock
        answers = ResultCache(settings.api_answers)
        self.news = News(str(settings.postgres_url))
        announced = Announced(
            self.news,
            lambda customer_id: self.run_for(customer_id, metadata.slices.recorded_publication, customer_id),
        )
        limits = QueryLimits.of_queries(settings)
        self.engine = ClickHouseReader(reader, warehouse, self.run, limits, answers, announced, settings.api_tables)
        self.exporter = ExportStreamer(reader, warehouse, QueryLimits.of_exports(settings))
        self.views = ViewReader(reader, warehouse, QueryLimits.of_sql(settings))
        self.links = LinkSigner(settings)
        self.standings = FreshnessCache(
            lambda customer_id: self.run_for(customer_id, metadata.slices.freshness, customer_id), self.news
        )
        rates = RateBook(
            metadata.rates, self.run, self.run_for, partial(start_rates, metadata.rates), self.news, utc_today
        )
        self.begin_rates = rates.begin
        self.display = partial(display_of, rates)
        self.authenticator = Authenticator(metadata)
        self.sessions = Sessions(metadata, self.authenticator, self.run)
        self.openid = OpenId.configured(settings)
        self.persisted = PersistedQueries()
        self.collect = partial(trigger_collection, settings, metadata, trigger="api")
        self.collecting = Turns()
        self.cancel = partial(cancel_task, settings, metadata)
        self.automations = KeptAnswer(partial(self.run, read_automations, settings), AUTOMATIONS_KEPT_SECONDS)
        self.metrics_token = settings.read_metrics_token()
        self.answered = partial(answered, self)
        self.requests = ConcurrencyLimit(settings.api_max_requests, "requests", "OPTIINFRA_API_MAX_REQUESTS")
        self.subscriptions = ConcurrencyLimit(
            settings.api_max_subscriptions, "subscriptions", "OPTIINFRA_API_MAX_SUBSCRIPTIONS"
        )
        self.exports = ConcurrencyLimit(settings.api_max_exports, "exports", "OPTIINFRA_API_MAX_EXPORTS")

    @classmethod
    async def open(cls, settings: Settings, clock: Callable[[], datetime] = utc_now) -> ApiServices:
        """Connect to both databases.

        Raises:
            WarehouseUnavailable: ClickHouse does not answer or refuses us.
            MetadataUnavailable: PostgreSQL does not answer or refuses us.
            ValueError: the file of the token for scrapers cannot be read.
        """
        # The pool keeps one connection alive for each thread; the default pool would drop all but one after each burst.
        pool = PoolManager(num_pools=1, maxsize=THREADS, block=False)
        reading = settings.for_reading()
        warehouse = Warehouse.connect(reading, pool_mgr=pool)
        metadata = Metadata.connect(settings)
        services = cls(settings, await connect_reader(reading), warehouse, metadata, clock)
        services.news.begin()
        return services

    async def close(self) -> None:
        """Wait for running reads, then close the connections."""
        self.threads.shutdown()
        await self.news.close()
        await self._reader.close()
        self.warehouse.close()
        self.metadata.close()
