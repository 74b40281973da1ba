"""The interface to ClickHouse: migrations, derived rows, verification, publication, resolution and garbage collection.

A collection writes all rows of a slice under a new generation (`loading.insert`), then calls `derive`, `unequal` and `publish`, which take
the generations of many slices at once: a statement costs more than the few rows of a small slice. Readers see nothing of a generation
until `publish` has inserted its single row. `collect_garbage` removes the rows of attempts that died before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from optiinfra_assets.database import clickhouse, migrations, sql_files
from optiinfra_assets.database.errors import IntegrityError, PublicationRefused, WarehouseUnavailable
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.freshness import NOTHING, Freshness
from optiinfra_assets.domain.publications import Publication, ResolvedGenerations, key, slice_of
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse import resolution, retention, tenant_filter, verification
from optiinfra_assets.warehouse.resolution import ResolutionQuery
from optiinfra_assets.warehouse.retention import GarbageCollectionResult

if TYPE_CHECKING:
    from optiinfra_assets.warehouse.loading import LoadResult

_CLUSTER_SETTINGS = {
    # A replica that lacks the published rows must not show the publication.
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
    # `_complete_derived` inserts again what it has deleted: equal blocks, which a replica would drop as duplicates.
    "insert_deduplicate": 0,
}

_PUBLISHING = {"async_insert": 0, "date_time_input_format": "best_effort", "input_format_skip_unknown_fields": 0}
"""Of the insert of publications: written once it is acknowledged; instants in ISO 8601; a column that does not exist is an error."""

READERS = 200
"""Most connections of one process that only reads."""


class Warehouse:
    """A ClickHouse database. Thread-safe; it keeps its HTTP connections alive.

    Attributes:
        client: the clickhouse_connect client, for queries of other modules. It returns times with the zone UTC.
    """

    def __init__(self, client: Client, cluster: str | None = None, *, has_reader: bool = False) -> None:
        self.client = client
        self._cluster = cluster
        self._has_reader = has_reader
        self._uncertain: set[int] = set()
        self._columns: dict[str, list[str]] = {}

    @classmethod
    def connect(cls, settings: Settings, **client_kwargs: Any) -> Warehouse:
        """Connect to the database at `settings.clickhouse_url`; `client_kwargs` are passed to `clickhouse_connect.get_client`.

        Raises:
            WarehouseUnavailable: no URL is set, nothing answers there, or ClickHouse refuses the connection.
        """
        options = _options(settings) | client_kwargs
        with _connecting(options["dsn"]):
            client = clickhouse_connect.get_client(**options)
        return cls(client, settings.clickhouse_cluster, has_reader=settings.clickhouse_reader_url is not None)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def migrate(self, *, dry_run: bool = False) -> list[str]:
        """Bring the tables up to date; return the statements that ran, or with `dry_run` would run.

        This also creates the views of `collected_views`, fills a derived table that a migration adds, for all published generations,
        and creates the role and the row policies of the reader if one is configured.

        Raises:
            MigrationError: the recorded migrations do not match the files of this version.
        """
        # A process that only reads loads no module that only writes.
        from optiinfra_assets.warehouse import collected_views

        ran = migrations.migrate_clickhouse(self.client, self._cluster, dry_run=dry_run)
        ran += collected_views.create_views(self.client, self._cluster, derived_tables(), dry_run=dry_run)
        if self._has_reader:
            ran += tenant_filter.create_row_policies(self.client, self._cluster, dry_run=dry_run)
        if not dry_run:
            self._complete_derived()
        return ran

    def disks(self) -> list[tuple[str, int, int]]:
        """Return the disks of the server: name, free bytes and bytes in all."""
        rows = clickhouse.rows(self.client, "disks.sql", {})
        return [(f"ClickHouse ({row['path']})", row["free_space"], row["total_space"]) for row in rows]

    def _complete_derived(self) -> None:
        """Derive rows that published generations lack, because a table was added later or an earlier derivation died halfway."""
        if not clickhouse.scalar(self.client, "has_publications.sql"):
            return
        for table in derived_tables():
            for lacking in clickhouse.rows(self.client, "lacking_generations.sql", {"table": table}):
                customers, generations = [lacking["customer_id"]], [lacking["generation"]]
                retention.delete(self.client, (table,), customers, generations)
                self._derive((table,), customers, generations)

    def derive(self, slices: Mapping[int, Slice]) -> None:
        """Fill every derived table for unpublished generations from their rows in ``raw_costs``; once: `unequal` names what is doubled.

        Args:
            slices: the slice of each generation, by its number.

        Raises:
            PublicationRefused: a generation is, or may be, published.
        """
        for generation in self.maybe_published(slices):
            raise PublicationRefused(
                f"{slices[generation]}: generation {generation} is published: its rows are never changed"
            )
        self._derive(derived_tables(), sorted({one.customer_id for one in slices.values()}), list(slices))

    def _derive(self, tables: Sequence[str], customers: list[str], generations: list[int]) -> None:
        values = {"customers": customers, "generations": generations}
        if not self._columns:
            for column in clickhouse.rows(self.client, "columns.sql", {"tables": list(derived_tables())}):
                self._columns.setdefault(column["table"], []).append(column["name"])
        for table in tables:
            select = sql_files.read("clickhouse", "derived", f"{table}.sql")
            clickhouse.run(self.client, f"INSERT INTO {table} ({', '.join(self._columns[table])})\n{select}", values)

    def unequal(self, sent: Mapping[int, tuple[Slice, LoadResult]]) -> dict[int, IntegrityError]:
        """Compare raw and derived rows of generations with the rows that were sent: counts and exact sums by currency.

        Args:
            sent: slice and line items of each generation, by its number.

        Returns:
            The first difference of each generation that has one: the message names table, currency, measure, the number found and the
            number expected.
        """
        return verification.unequal(self.client, sent, derived_tables())

    def earlier_content_hash(self, slice_: Slice, generation: int) -> str:
        """Return the hash that versions up to 0.1.0 published of a generation's line items; see `line_items.content_hash` for today's."""
        values = {"customers": [slice_.customer_id], "generations": [generation]}
        return str(clickhouse.scalar(self.client, "earlier_content_hash.sql", values))

    def newest_generation(self) -> int:
        """Return the highest published generation number, 0 if nothing is published."""
        return int(clickhouse.scalar(self.client, "newest_generation.sql"))

    def newest_written(self) -> int:
        """Return the highest generation number that has rows, published or not, 0 if there are no rows. This reads all tables."""
        return int(
            clickhouse.scalar(self.client, "newest_written.sql", {"tables": clickhouse.matching(_filled_tables())})
        )

    def unequal_generation(self) -> str | None:
        """Return a published generation whose rows are not those that were published, None if there is none. This reads all rows."""
        found = clickhouse.rows(self.client, "unequal_generations.sql")
        return f"{slice_of(found[0])} generation {found[0]['generation']}" if found else None

    def current(self, slice_: Slice) -> Publication | None:
        """Return the publication that readers see now, None if the slice was never published."""
        return self.currents([slice_]).get(slice_)

    def currents(self, slices: Iterable[Slice]) -> dict[Slice, Publication]:
        """Return the publications that readers see now; slices that were never published are missing."""
        values = {"slices": [tuple(key(one).values()) for one in slices]}
        found = [Publication.of(row) for row in clickhouse.rows(self.client, "current_publications.sql", values)]
        return {one.slice: one for one in found}

    def publish(
        self, publications: Sequence[Publication], previous: Mapping[Slice, Publication | None] | None = None
    ) -> dict[int, Publication | PublicationRefused]:
        """Make generations of different slices visible by inserting one row for each, all in one statement.

        If the clock is behind the previous publication of a slice, `published_at` becomes one microsecond after that one.

        Args:
            publications: what readers are to see.
            previous: what readers see now of these slices, if the caller has read it since it holds their locks; read here if None.

        Returns:
            By generation: the publication as stored, or why it is refused: this generation of the slice or a newer one is published.
        """
        if previous is None:
            previous = self.currents(one.slice for one in publications)
        results = {one.generation: _following(previous.get(one.slice), one) for one in publications}
        accepted = [one for one in results.values() if isinstance(one, Publication)]
        if accepted:
            generations = {one.generation for one in accepted}
            self._uncertain |= generations
            with clickhouse.clickhouse_errors(self.client):
                # As JSON: of typed rows the client asks the types first, by a statement of its own. As a body, not as parameters: the
                # sources of one publication can be longer than the URLs a server accepts.
                self.client.raw_insert(
                    "publications",
                    list(accepted[0].values()),
                    insert_block="\n".join(json.dumps(one.values(), default=_as_text) for one in accepted),
                    settings=_PUBLISHING,
                    fmt="JSONEachRow",
                )
            self._uncertain -= generations
        return results

    def maybe_published(self, slices: Mapping[int, Slice]) -> set[int]:
        """Which generations are published, or may be: a server that did not answer `publish` may still execute it."""
        wanted = [(*key(slice_).values(), generation) for generation, slice_ in slices.items()]
        found = clickhouse.tuples(self.client, "are_published.sql", {"generations": wanted})
        return {generation for (generation,) in found} | (self._uncertain & slices.keys())

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
        """Return the generations that hold a customer's charges now, or that held them at the instant `as_of` (inclusive).

        Args:
            customer_id: the tenant.
            providers: only these, all if empty.
            accounts: only these account ids, all if empty.
            start: first UTC day on which a charge may start, inclusive; None: no bound.
            end: UTC day after the last, exclusive; None: no bound.
            as_of: an instant with a time zone. Before the first publication the result is empty.
            standing: the current freshness of the customer's accounts; not used with `as_of`.

        Raises:
            ValueError: `as_of` has no time zone.
            AsOfNotRetained: the query needs generations that retention has removed.
        """
        question = ResolutionQuery(customer_id, providers, accounts, start, end, self.only(customer_id))
        if as_of is None:
            return resolution.resolve(self.client, question, standing)
        return resolution.resolve_as_of(self.client, question, as_of)

    def only(self, customer_id: str) -> dict[str, str]:
        """Return the ClickHouse settings with which a query sees rows of one customer only; see `tenant_filter`."""
        return tenant_filter.tenant_settings(customer_id, self._has_reader)

    def remove_attempts(self, slice_: Slice, generations: Collection[int], most: int) -> None:
        """Remove the rows of attempts that ended without being published; see `retention.remove_attempts`."""
        retention.remove_attempts(self.client, _filled_tables(), key(slice_), generations, most)

    def collect_garbage(
        self,
        now: datetime,
        retention_days: int,
        live_generations: Collection[int],
        *,
        daily_days: int | None = None,
        dry_run: bool = False,
    ) -> GarbageCollectionResult:
        """Remove rows that no reader can need; see `retention.collect_garbage`."""
        return retention.collect_garbage(
            self.client,
            _filled_tables(),
            now,
            retention_days,
            live_generations,
            daily_days=daily_days,
            dry_run=dry_run,
        )


def _as_text(value: Decimal | date | datetime) -> str:
    """As ClickHouse reads it from JSON, exactly."""
    return f"{value:f}" if isinstance(value, Decimal) else value.isoformat()


def _following(previous: Publication | None, publication: Publication) -> Publication | PublicationRefused:
    """Return `publication` with an instant after the previous one of its slice, or why it cannot follow that."""
    if previous is None:
        return publication
    if publication.generation <= previous.generation:
        return PublicationRefused(
            f"{publication.slice}: generation {publication.generation} is not newer than the published "
            f"{previous.generation}: collect the slice again"
        )
    earliest = previous.published_at + timedelta(microseconds=1)
    return replace(publication, published_at=max(publication.published_at, earliest))


def derived_tables() -> tuple[str, ...]:
    """Return the names of the derived tables, which are those of the files in ``sql/clickhouse/derived``."""
    return sql_files.names("clickhouse", "derived")


def _filled_tables() -> tuple[str, ...]:
    """Return every table with rows of generations; ``raw_costs`` is last, so that an interrupted removal is found again."""
    return (*derived_tables(), "raw_costs")


async def connect_reader(settings: Settings) -> AsyncClient:
    """Return an asynchronous client of the same database as `Warehouse.connect`, for code that only reads.

    Raises:
        WarehouseUnavailable: no URL is set, nothing answers there, or ClickHouse refuses the connection.
    """
    options = _options(settings)
    with _connecting(options["dsn"]):
        # The default is 20 per host, which a few people who download exports at once would occupy.
        return await clickhouse_connect.get_async_client(
            **options, connector_limit=READERS, connector_limit_per_host=READERS
        )


def _options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of clickhouse_connect's client factories."""
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
    """Convert a failed connection to `url` to a one-line error that names host and database, not the password."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 8123}, database {parts.path.strip('/') or 'default'}"
    try:
        yield
    except Error as error:
        text = f"ClickHouse at {where}: {clickhouse.reason(error)}: check OPTIINFRA_CLICKHOUSE_URL"
        raise WarehouseUnavailable(text) from error
