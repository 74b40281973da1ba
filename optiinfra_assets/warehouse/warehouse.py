"""The one way to ClickHouse: migrations, derived rows, verification, publication, and what readers may see.

A collection writes all rows of a slice under a new generation (`loading.load`), then `derive`, `verify`, `publish`. Until the
single row of `publish` is in, nothing of the generation is visible; what died before is removed by `collect_garbage`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from optiinfra_assets.database import clickhouse, migrations, sql_files
from optiinfra_assets.database.errors import PublicationRefused, WarehouseUnavailable
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.freshness import NOTHING, Freshness
from optiinfra_assets.domain.publications import Publication, ResolvedGenerations, key
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse import resolution, retention, tenant_filter, verification
from optiinfra_assets.warehouse.resolution import ResolutionQuery
from optiinfra_assets.warehouse.retention import GarbageCollectionResult

if TYPE_CHECKING:
    from optiinfra_assets.warehouse.loading import LoadResult

_CLUSTER_SETTINGS = {
    # A publication must not be seen on a replica that lacks the rows it publishes.
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
    # Deriving again after a discard inserts equal blocks, which a replica would drop as a repetition.
    "insert_deduplicate": 0,
}


READERS = 200
"""Connections of one process that only reads."""


class Warehouse:
    """A ClickHouse database. Safe to use from several threads; keeps its HTTP connections alive.

    Attributes:
        client: the clickhouse_connect client, for queries of others. Times come back aware, in UTC.
    """

    def __init__(self, client: Client, cluster: str | None = None, *, has_reader: bool = False) -> None:
        self.client = client
        self._cluster = cluster
        self._has_reader = has_reader
        self._uncertain: set[int] = set()

    @classmethod
    def connect(cls, settings: Settings, **client_kwargs: Any) -> Warehouse:
        """Open the database at `settings.clickhouse_url`; `client_kwargs` go to `clickhouse_connect.get_client`.

        Raises:
            WarehouseUnavailable: no address is set, nothing answers there, or it refuses us.
        """
        options = _options(settings) | client_kwargs
        with _connecting(options["dsn"]):
            client = clickhouse_connect.get_client(**options)
        return cls(client, settings.clickhouse_cluster, has_reader=settings.clickhouse_reader_url is not None)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def migrate(self, *, dry_run: bool = False) -> list[str]:
        """Bring the tables up to date; returns the statements that ran, or with `dry_run` would run.

        A derived table that a migration adds is filled for the generations there are. Where a reader is configured, its role and
        row policies are made.

        Raises:
            MigrationError: the database was changed by other files than ours.
        """
        ran = migrations.migrate_clickhouse(self.client, self._cluster, dry_run=dry_run)
        if self._has_reader:
            ran += tenant_filter.create_row_policies(self.client, self._cluster, dry_run=dry_run)
        if not dry_run:
            self._complete_derived()
        return ran

    def _complete_derived(self) -> None:
        """Derive what published generations lack: a table younger than they are, or one whose filling died half way."""
        if not clickhouse.scalar(self.client, "has_publications.sql"):
            return
        for table in derived_tables():
            for lacking in clickhouse.rows(self.client, "lacking_generations.sql", {"table": table}):
                retention.delete(self.client, (table,), lacking["customer_id"], lacking["generation"])
                self._derive((table,), lacking["customer_id"], lacking["generation"])

    def derive(self, slice_: Slice, generation: int) -> None:
        """Fill every derived table for an unpublished generation from its rows in ``raw_costs``. Repeating changes nothing.

        Raises:
            PublicationRefused: it is published.
        """
        self._discard(slice_, generation, derived_tables())
        self._derive(derived_tables(), slice_.customer_id, generation)

    def _derive(self, tables: Sequence[str], customer_id: str, generation: int) -> None:
        values = {"customer_id": customer_id, "generation": generation}
        columns = clickhouse.rows(self.client, "columns.sql", {"tables": list(tables)})
        for table in tables:
            select = sql_files.read("clickhouse", "derived", f"{table}.sql")
            names = ", ".join(column["name"] for column in columns if column["table"] == table)
            clickhouse.run(self.client, f"INSERT INTO {table} ({names})\n{select}", values)

    def verify(self, slice_: Slice, generation: int, loaded: LoadResult) -> None:
        """Compare a generation's rows, raw and derived, with what was sent: counts and exact sums by currency.

        Raises:
            IntegrityError: naming table, currency, measure, the number found and the number expected.
        """
        verification.verify(self.client, slice_, generation, loaded, derived_tables())

    def content_hash(self, slice_: Slice, generation: int) -> str:
        """Hash of a generation's line items as a multiset: order, generation and line numbers do not matter, doubles do."""
        values = {"customer_id": slice_.customer_id, "generation": generation}
        return str(clickhouse.scalar(self.client, "content_hash.sql", values))

    def newest_generation(self) -> int:
        """The highest number that any generation was published under, 0 if nothing is published."""
        return int(clickhouse.scalar(self.client, "newest_generation.sql"))

    def current(self, slice_: Slice) -> Publication | None:
        """The publication readers see now, None if the slice was never published."""
        found = clickhouse.rows(self.client, "current_publication.sql", key(slice_))
        return Publication.of(found[0]) if found else None

    def publish(self, publication: Publication) -> Publication:
        """Make a generation visible, by one inserted row; returns it as published.

        `published_at` is moved to a microsecond after the previous publication's if a clock stands behind it.

        Raises:
            PublicationRefused: the slice has a newer generation, or this one, published.
        """
        previous = self.current(publication.slice)
        if previous is not None:
            if publication.generation <= previous.generation:
                raise PublicationRefused(
                    f"{publication.slice}: generation {publication.generation} is not newer than the published "
                    f"{previous.generation}: collect the slice again"
                )
            earliest = previous.published_at + timedelta(microseconds=1)
            publication = replace(publication, published_at=max(publication.published_at, earliest))
        self._uncertain.add(publication.generation)
        # As a body, not as parameters: the sources of one publication can be longer than a server takes for a URL.
        row = publication.values()
        with clickhouse.clickhouse_errors(self.client):
            self.client.insert("publications", [list(row.values())], column_names=list(row))
        self._uncertain.discard(publication.generation)
        return publication

    def discard(self, slice_: Slice, generation: int) -> None:
        """Remove the rows of an unpublished generation, raw and derived.

        Raises:
            PublicationRefused: it is published, or may be: a server that did not answer `publish` may still carry it out, and
                then the rows must be there. If it never does, `collect_garbage` removes them.
        """
        self._discard(slice_, generation, _filled_tables())

    def _discard(self, slice_: Slice, generation: int, tables: Sequence[str]) -> None:
        values = {**key(slice_), "generation": generation}
        if generation in self._uncertain or clickhouse.scalar(self.client, "is_published.sql", values):
            raise PublicationRefused(f"{slice_}: generation {generation} is published: its rows are never changed")
        retention.delete(self.client, tables, slice_.customer_id, generation)

    def resolve(
        self,
        customer_id: str,
        *,
        providers: Sequence[str] = (),
        accounts: Sequence[str] = (),
        start: date | None = None,
        end: date | None = None,
        as_of: datetime | None = None,
        standing: Freshness = NOTHING,
    ) -> ResolvedGenerations:
        """The generations that hold a customer's charges now, or that held them `as_of` an instant (inclusive).

        Args:
            customer_id: the tenant.
            providers: only these, all if empty.
            accounts: only these account ids, all if empty.
            start: first UTC day on which a charge may start, inclusive; None: no bound.
            end: first UTC day on which it may not start, exclusive; None: no bound.
            as_of: an aware instant. Before the first publication nothing is published, which is an empty answer.
            standing: what else is known of the customer's accounts now; it says nothing of another instant.

        Raises:
            ValueError: `as_of` has no time zone.
            AsOfNotRetained: the answer needs generations that retention has removed.
        """
        question = ResolutionQuery(customer_id, providers, accounts, start, end, self.only(customer_id))
        if as_of is None:
            return resolution.resolve(self.client, question, standing)
        return resolution.resolve_as_of(self.client, question, as_of)

    def only(self, customer_id: str) -> dict[str, str]:
        """Settings under which a query sees rows of one customer only; see `isolation`."""
        return tenant_filter.tenant_settings(customer_id, self._has_reader)

    def collect_garbage(
        self, now: datetime, retention_days: int, live_generations: Collection[int], *, dry_run: bool = False
    ) -> GarbageCollectionResult:
        """Remove what no reader can need; see `retention`."""
        return retention.collect_garbage(
            self.client, _filled_tables(), now, retention_days, live_generations, dry_run=dry_run
        )


def derived_tables() -> tuple[str, ...]:
    """Names of the derived tables: the files of ``sql/clickhouse/derived``."""
    return sql_files.names("clickhouse", "derived")


def _filled_tables() -> tuple[str, ...]:
    """Every table with rows of generations; raw last, so that what dies in between is found again."""
    return (*derived_tables(), "raw_costs")


async def connect_reader(settings: Settings) -> AsyncClient:
    """An asynchronous client of the same database as `Warehouse.connect`, for those who only read.

    Raises:
        WarehouseUnavailable: no address is set, nothing answers there, or it refuses us.
    """
    options = _options(settings)
    with _connecting(options["dsn"]):
        # By default 20 to a host, which a few people who fetch files at once would keep from all who ask.
        return await clickhouse_connect.get_async_client(
            **options, connector_limit=READERS, connector_limit_per_host=READERS
        )


def _options(settings: Settings) -> dict[str, Any]:
    """Arguments of clickhouse_connect."""
    if settings.clickhouse_url is None:
        raise WarehouseUnavailable("ClickHouse: no address: start `optiinfra up`, or set OPTIINFRA_CLICKHOUSE_URL")
    return {
        "dsn": settings.clickhouse_url,
        "client_name": "optiinfra",
        "autogenerate_session_id": False,  # a session runs one query at a time
        "tz_mode": "aware",
        "settings": _CLUSTER_SETTINGS if settings.clickhouse_cluster else {},
    }


@contextmanager
def _connecting(url: str) -> Iterator[None]:
    """Turn a refused connection to `url` into one line that names host and database, not the password."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 8123}, database {parts.path.strip('/') or 'default'}"
    try:
        yield
    except Error as error:
        text = f"ClickHouse at {where}: {clickhouse.reason(error)}: check OPTIINFRA_CLICKHOUSE_URL"
        raise WarehouseUnavailable(text) from error
