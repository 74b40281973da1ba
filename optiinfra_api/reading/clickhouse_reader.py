"""Reads from ClickHouse: finds the generations that answer a cost query, then runs one statement over them.

Data in: a cost query with a customer id that `access.context` has allowed. Data out: dictionaries of strings, integers, lists of strings.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import orjson
from cachetools import LRUCache
from clickhouse_connect.driver.asyncclient import AsyncClient

from optiinfra_api.http.request_log import current_request, statement_id
from optiinfra_api.reading.column_table import ColumnTable
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.held_rows import NEWEST, NOTHING, SUMS, HeldRows
from optiinfra_api.reading.known_publications import Fingerprint, KnownPublications
from optiinfra_api.reading.newest_line_items import HELD, WHOLE
from optiinfra_api.reading.news import PUBLICATIONS, News, Stamp
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.rated_costs import ConversionAsked
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_api.reading.shortened import shortened
from optiinfra_api.reading.single_flight import SingleFlight
from optiinfra_api.reading.table_cache import TableCache
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.domain.freshness import Freshness
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.resolution import published_after
from optiinfra_assets.warehouse.warehouse import Warehouse

FORMATS: dict[str, Any] = {
    # JSON numbers would be read as floats, so ClickHouse writes decimals as strings; integers stay integers.
    "output_format_json_quote_decimals": 1,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_decimal_trailing_zeros": 0,
    "date_time_output_format": "iso",
}

_ARROW: dict[str, Any] = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 1,
    "output_format_arrow_compression_method": "none",
}

Run = Callable[..., Awaitable[Any]]

POLL_SECONDS = 60.0
"""How long publications are taken for current while no attempt to publish is heard of. All our own are told of; this is for rows that
somebody inserted by hand."""
SETTLE_SECONDS = 1.0
"""Seconds between two looks whether a customer's attempts to publish have ended, while nothing is heard."""

_FETCH_SECONDS = 5
_FETCHED_LINE_ITEMS = 5_000_000
"""Line items that are read to hold something of them; ClickHouse refuses to read more before it begins."""
_OFF_THE_LOOP = 20_000
"""Rows in memory from which on sums are taken in a thread: others are answered meanwhile."""
_CACHED_PUBLICATIONS = 200_000
_PARAMETER = re.compile(r"\{(\w+):")


@dataclass(frozen=True, slots=True)
class Announced:
    """Tells when nothing can have been published, because every attempt to publish is announced to PostgreSQL before.

    Attributes:
        news: what was heard of the customers.
        recorded: see `SliceRepository.recorded_publication`.
    """

    news: News
    recorded: Callable[[str], Awaitable[int | None]]


class ClickHouseReader:
    """Runs the statements of ``sql/clickhouse/queries`` in one database. Belongs to one event loop."""

    def __init__(
        self,
        client: AsyncClient,
        warehouse: Warehouse,
        run: Run,
        limits: QueryLimits,
        answers: ResultCache,
        announced: Announced | None = None,
        table_bytes: int = 0,
    ) -> None:
        """
        Args:
            client: runs the statements.
            warehouse: the same database; tells what is published.
            run: calls a function in a thread, because the functions of `warehouse` block.
            limits: of each statement.
            answers: the cache that is read before the client is asked.
            announced: says when nothing can be published; None: ask ClickHouse each time.
            table_bytes: memory for rows of small derived tables; 0: none are held.
        """
        self._client = client
        self._warehouse = warehouse
        self._run = run
        self._limits = limits
        self._answers = answers
        self._settings = FORMATS | limits.settings()
        self._known: LRUCache[str, KnownPublications] = LRUCache(_CACHED_PUBLICATIONS, _publications)
        self._checks: SingleFlight[KnownPublications] = SingleFlight()
        self._announced = announced
        self._tables = TableCache(table_bytes, self._fetch)

    async def rows(
        self, statement: str, values: dict[str, Any], count: Callable[..., None] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of ``sql/clickhouse/queries/<statement>.sql``; `values` may hold more than the statement binds, and `columns`: of
        its select list only these are needed. Rows of daily series are converted by `conversion`, if it is there.

        ClickHouse itself shows the statement only the rows of the customer in `values`; see `warehouse.tenant_filter`. If the statement
        ran over the same generations before, the answer may come from the cache. `count` is told the number of rows, and their bytes as
        `size`, before they are parsed.

        Raises:
            KeyError: `values` name no customer, or lack a parameter of the statement.
            WarehouseUnavailable: ClickHouse does not answer.
            TooExpensive: the statement is over a limit on time, memory or size, or `count` refuses its rows.
        """
        text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
        bound = {name: values[name] for name in parameters(statement)}
        text = shortened(text, bound, values.get("columns", frozenset()))
        used, only = {name: bound[name] for name in _names(text)}, self._warehouse.only(values["customer_id"])
        conversion: ConversionAsked | None = values.get("conversion")
        asked = used if conversion is None else used | {"conversion": conversion.key}
        record, key = current_request(), ResultCache.key(text, asked, only)
        answer = self._answers.get(key)
        if answer is not None:
            record.statements["memory"] += 1
            return _parsed(answer, count)
        if conversion is not None:
            bound["conversion"] = conversion
        rows = await self._from_tables(statement, bound, values.get("columns", frozenset()), count)
        if rows is not None:
            self._keep(key, rows)
            record.count_rows(len(rows))
            return rows
        billed = None if conversion is None else self._answers.get(ResultCache.key(text, used, only))
        if billed is None:
            rows = await self._read(text, used, only, count)
        else:
            record.statements["memory"] += 1
            rows = _parsed(billed, count)
        if conversion is not None and conversion.convert is not None:
            await conversion.convert(rows, values["start"])
            self._keep(key, rows)
        return rows

    async def _from_tables(
        self, statement: str, bound: dict[str, Any], columns: frozenset[str], count: Callable[..., None] | None
    ) -> list[dict[str, Any]] | None:
        """The answer from rows in memory; None: they do not answer it."""
        known = self._known.get(bound["customer_id"])
        of_all_days = {} if known is None else {"of_all_days": known.of_all_days}
        table, was_fetched = await self._tables.found(statement, bound, columns=columns, **of_all_days)
        if table is None:
            return None
        run = asyncio.to_thread if len(table) > _OFF_THE_LOOP else _at_once
        conversion: ConversionAsked | None = bound.get("conversion")
        if conversion is not None and isinstance(table, ColumnTable):
            months = await run(table.months, bound) if table.lacks_rates(bound) else {}
            bound = bound | {"rates": await conversion.rates_of(months)}
        rows: list[dict[str, Any]] | None = await run(table.rows, bound, count)
        if rows is not None:
            current_request().statements["ClickHouse" if was_fetched else "memory"] += 1
        return rows

    def _keep(self, key: bytes | None, rows: list[dict[str, Any]]) -> None:
        self._answers.keep(key, b"\n".join(map(orjson.dumps, rows)))

    async def _fetch(self, customer_id: str, rows: HeldRows, generations: Sequence[int], most: int) -> bytes:
        """What is held, as its class takes it; see `TableCache`."""
        text = sql_files.read("clickhouse", "queries", f"{rows.statement}.sql")
        own = rows.bound() | {"table": rows.table, "customer_id": customer_id, "generations": list(generations)}
        settings = self._settings | self._warehouse.only(customer_id) | {"max_execution_time": _FETCH_SECONDS}
        if rows.is_of_line_items:
            settings |= {"max_rows_to_read": _FETCHED_LINE_ITEMS}
        if rows.table == NEWEST:
            newest = own | {**WHOLE, "limit": HELD}
            text = shortened(text, newest, rows.columns)
            parts = [await self._fetched(text, newest | {"generations": [one]}, settings) for one in generations]
            return b"".join(parts)
        bound = {name: own.get(name, NOTHING) for name in _names(text)}
        if rows.table == SUMS:
            text = shortened(text, bound)
        settings |= _ARROW | {"max_result_rows": most, "max_result_bytes": 0}
        return await self._fetched(text, bound, settings, "ArrowStream")

    async def _fetched(
        self, text: str, bound: dict[str, Any], settings: dict[str, Any], form: str = "JSONEachRow"
    ) -> bytes:
        used = {name: bound[name] for name in _names(text)}
        settings = settings | {"query_id": statement_id()}
        with self._limits.said(), clickhouse_errors(self._client):
            answer: bytes = await self._client.raw_query(text, parameters=used, settings=settings, fmt=form)
        return answer

    async def figures(self, statement: str) -> list[dict[str, Any]]:
        """As `rows`, but over all customers, for figures of the whole platform that identify no customer. They bind nothing.

        Where the server has row policies, a statement that names no customer fails, so the figures are left out.
        """
        return await self._read(sql_files.read("clickhouse", "queries", f"{statement}.sql"), {}, {})

    async def _read(
        self, text: str, bound: dict[str, Any], only: dict[str, str], count: Callable[..., None] | None = None
    ) -> list[dict[str, Any]]:
        current_request().statements["ClickHouse"] += 1
        answer = await self._ask(text, bound, only)
        self._answers.keep(ResultCache.key(text, bound, only), answer)
        return _parsed(answer, count)

    async def _ask(self, text: str, bound: dict[str, Any], only: dict[str, str]) -> bytes:
        settings = self._settings | only | {"query_id": statement_id()}
        with self._limits.said(), clickhouse_errors(self._client):
            answer: bytes = await self._client.raw_query(text, parameters=bound, settings=settings, fmt="JSONEachRow")
        return answer

    async def resolve(
        self, customer_id: str, question: CostQuery, as_of: datetime | None, standing: Freshness
    ) -> ResolvedGenerations:
        """Return the generations that answer `question`; see `Warehouse.resolve`, which is not called while nothing new is published.

        Raises:
            AsOfNotRetained: the answer needs generations that retention has removed.
        """
        if as_of is None:
            known = await self._current(customer_id)
            known.stand(standing)
            return known.resolved(question)
        resolved: ResolvedGenerations = await self._run(
            self._warehouse.resolve,
            customer_id,
            providers=question.providers,
            accounts=question.accounts,
            start=question.start,
            end=question.end,
            as_of=as_of,
        )
        return resolved.of_billing_periods(question.billing_periods) if question.billing_periods else resolved

    def remembered(self, customer_id: str, question: CostQuery) -> ResolvedGenerations | None:
        """Return what `resolve` would answer from the publications read last, without checking that they are current; None before that."""
        known = self._known.get(customer_id)
        return None if known is None else known.resolved(question)

    async def _current(self, customer_id: str) -> KnownPublications:
        """The publications of a customer that are current: none was published before this was called that is not among them."""
        if self._announced is None:
            return await self._checks.found(customer_id, partial(self._checked, customer_id, None))
        stamp = await self._announced.news.stamp(PUBLICATIONS, customer_id)
        known = self._known.get(customer_id)
        if known is not None and stamp is not None and known.settled == stamp and _since(known.checked) < POLL_SECONDS:
            return known
        return await self._checks.found(customer_id, partial(self._checked, customer_id, stamp))

    async def _checked(self, customer_id: str, stamp: Stamp | None) -> KnownPublications:
        # The count is read before the publications: one published in between makes the next count differ.
        (row,), recorded = await asyncio.gather(
            self.rows("publication_count", {"customer_id": customer_id}), self._recorded(customer_id, stamp)
        )
        fingerprint = row["publications"], row["numbers"]
        known = self._known.get(customer_id)
        if known is None or known.fingerprint != fingerprint:
            known = await self._run(self._published, customer_id, known, fingerprint)
            self._known[customer_id] = known
        known.checked = time.monotonic()
        # PostgreSQL is believed only if it has recorded whatever is published: its backup may be older than that of ClickHouse.
        known.settled = stamp if recorded is not None and known.newest <= recorded else None
        return known

    def _published(
        self, customer_id: str, known: KnownPublications | None, fingerprint: Fingerprint
    ) -> KnownPublications:
        """All publications: those that are `known` and what was published since, or if these are not all, read anew. This blocks."""
        if known is not None:
            later = published_after(
                self._warehouse.client, customer_id, known.newest, self._warehouse.only(customer_id)
            )
            if (found := known.with_later(fingerprint, later)) is not None:
                return found
        return KnownPublications.of(fingerprint, self._warehouse.resolve(customer_id).publications)

    async def _recorded(self, customer_id: str, stamp: Stamp | None) -> int | None:
        """The highest generation that PostgreSQL has recorded as published, None while another may be, or PostgreSQL does not tell."""
        if stamp is None or self._announced is None:
            return None
        known = self._known.get(customer_id)
        if known is not None:
            if known.looked is not None and known.looked[0] == stamp and _since(known.looked[1]) < SETTLE_SECONDS:
                return None
            known.looked = stamp, time.monotonic()
        try:
            return await self._announced.recorded(customer_id)
        except MetadataUnavailable:
            return None


def _parsed(answer: bytes, count: Callable[..., None] | None) -> list[dict[str, Any]]:
    lines = answer.splitlines()
    if count is not None:
        count(len(lines), size=len(answer))
    rows = [orjson.loads(line) for line in lines]
    current_request().count_rows(len(rows))
    return rows


async def _at_once(work: Callable[..., Any], *values: Any) -> Any:
    return work(*values)


def _publications(known: KnownPublications) -> int:
    """How many publications an entry holds; a customer with more than the whole cache holds is cached alone."""
    return min(len(known.publications), _CACHED_PUBLICATIONS)


def _since(moment: float) -> float:
    return time.monotonic() - moment


def parameters(statement: str) -> tuple[str, ...]:
    """Names of the parameters that the statement binds."""
    return _names(sql_files.read("clickhouse", "queries", f"{statement}.sql"))


@lru_cache(maxsize=4096)
def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_PARAMETER.findall(text)))
