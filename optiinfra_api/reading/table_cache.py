"""Keeps rows of small derived tables in memory, so that totals, trends and kinds of charges ask ClickHouse nothing.

Published generations never change, so nothing has to be invalidated: a question names the generations it reads, and rows of those that
are not held yet are fetched, once for all who ask. Each customer has tables of its own, under the id that `access.context` has bound.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final

import numpy as np
from cachetools import LRUCache, TTLCache
from clickhouse_connect.driver.exceptions import Error
from numpy.typing import NDArray

from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading.column_table import DIMENSIONS, FILTERS, MOST_ROWS, ColumnTable
from optiinfra_api.reading.resource_table import ResourceTable
from optiinfra_assets.database.errors import StoreError

TABLES: Final = {
    "cost_series_by_day": "cost_by_day",
    "cost_series_by_service": "cost_by_service",
    "cost_series_by_type": "cost_by_type",
    "cost_series_by_attribute": "cost_trends",
    "cost_by_resource_months": "cost_by_resource",
    "resource_details": "cost_by_resource",
    "resource_days": "cost_by_resource_day",
}
"""The table that each statement reads which can be answered from memory."""
_CLASSES: Final[dict[str, type[ColumnTable]]] = {"cost_by_resource": ResourceTable}

ROW_BYTES: Final = 120
_SHARE: Final = 4
"""A table larger than this share of all memory is not held."""
_AT_ONCE: Final = {"cost_by_day": 60}
"""For how many generations a question waits until their rows are fetched; for more, its own statement is quicker."""
_AT_ONCE_OF_OTHERS: Final = 4
_MOST_ROWS: Final = {"cost_by_resource": 30_000, "cost_by_resource_day": 300_000}
"""Rows from which on ClickHouse ranks resources, or finds the days of some, quicker than we do."""
_MANY: Final = 2_000
"""Generations from which on days are summed over all of them in blocks, and the rows of each are not held."""
_BLOCK: Final = 4_096
"""Generation numbers of one block. A publication changes two: that of its own number, and that of the generation it replaces."""
_LAST: Final = 16
"""Customers with many generations whose last sums are found without naming all generations."""
_REFUSED: Final = 10_000
_REFUSED_SECONDS: Final = 600

_OF_GENERATIONS: Final = ("provider", "account", "period")
_NOTHING: Final = "nothing"
"""Stands for a dimension that is not asked."""
_DAYS: Final = "days_of_generations"

Fetch = Callable[[str, str, Sequence[int], int], Awaitable[bytes]]
"""Returns the rows of a table, of a customer's generations, as an Arrow stream; raises TooExpensive if they are more than given. The name
`_DAYS` means their sums by day, and one such as ``cost_trends:region_id`` their sums by day and those columns."""
AllDays = Callable[[Sequence[int], date, date], NDArray[Any] | None]
_Key = tuple[str, str]


class TableCache:
    """Tables by customer, up to a size in bytes; evicts the least recently used. Belongs to one event loop."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        """`size`: bytes of all tables; 0 holds none."""
        self._size = size
        self._most_rows = min(size // _SHARE // ROW_BYTES, MOST_ROWS)
        self._fetch = fetch
        self._held: LRUCache[_Key, ColumnTable] = LRUCache(max(size, 1), lambda table: table.size)
        self._too_large: TTLCache[_Key, int] = TTLCache(_REFUSED, _REFUSED_SECONDS)
        self._last: LRUCache[str, tuple[NDArray[Any], ColumnTable]] = LRUCache(_LAST)
        self._filling: dict[_Key, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    async def found(
        self, statement: str, values: Mapping[str, Any], of_all_days: AllDays = lambda *_: None
    ) -> tuple[ColumnTable | None, bool]:
        """Return the table that answers a statement with its bound `values`, None if it has to be asked of ClickHouse; and whether rows
        were fetched for it. `of_all_days` is `KnownPublications.of_all_days` of the customer."""
        name = TABLES.get(statement)
        if name is None or not self._most_rows:
            return None, False
        if name == "cost_trends":
            name = ":".join((name, *_needed(values)))
        key, asked = (values["customer_id"], name), values.get("generations") or values["details_of"]
        if len(asked) > _MANY:
            is_by_day = name == "cost_by_day" and {values[one] for one in _OF_GENERATIONS} == {_NOTHING}
            if not is_by_day:
                return None, False
            numbers = of_all_days(asked, values["start"], values["end"])
            return await self._of_many(key[0], np.sort(np.array(asked, np.uint64)) if numbers is None else numbers)
        held = self._held.get(key)
        missing = [one for one in asked if held is None or one not in held.generations]
        if not missing:
            return held, False
        if "details_of" in values or self._too_large.get(key, MOST_ROWS) <= len(asked):
            return None, False
        filling = self._fill(key, asked, missing)
        if len(missing) > _AT_ONCE.get(name, _AT_ONCE_OF_OTHERS):
            return None, False
        await asyncio.shield(filling)
        held = self._held.get(key)
        return (held, True) if held is not None and held.generations.issuperset(asked) else (None, False)

    async def _of_many(self, customer_id: str, numbers: NDArray[Any]) -> tuple[ColumnTable | None, bool]:
        """The sums by day over many generations, in blocks of them that are fetched again only if one of them is another."""
        last = self._last.get(customer_id)
        if last is not None and last[0] is numbers:
            return last[1], False
        whole = self._held.get((customer_id, _digest(numbers)))
        if whole is not None:
            return whole, False
        ends = np.flatnonzero(np.diff(numbers // _BLOCK)) + 1
        blocks = {(customer_id, _digest(block)): block for block in np.split(numbers, ends)}
        tables = {key: self._held.get(key) for key in blocks}
        for key, block in blocks.items():
            if tables[key] is None:
                tables[key] = await self._of_block(key, block)
        whole = ColumnTable.joined([table for table in tables.values() if table is not None])
        self._hold((customer_id, _digest(numbers)), whole)
        self._last[customer_id] = numbers, whole
        return whole, True

    async def _of_block(self, key: _Key, block: NDArray[Any]) -> ColumnTable:
        async with self._turn:
            found = self._held.get(key)  # by somebody who asked at the same time
            if found is None:
                answer = await self._fetch(key[0], _DAYS, block.tolist(), self._most_rows)
                found = ColumnTable.joined([ColumnTable.of(answer, ())])
                self._hold(key, found)
        return found

    def _hold(self, key: _Key, table: ColumnTable) -> None:
        if table.size <= self._size // _SHARE:
            self._held[key] = table

    def _fill(self, key: _Key, asked: Sequence[int], missing: Sequence[int]) -> asyncio.Task[None]:
        if key not in self._filling:
            task = self._filling[key] = asyncio.create_task(self._filled(key, asked, missing))
            task.add_done_callback(lambda _: self._filling.pop(key, None))
        return self._filling[key]

    async def _filled(self, key: _Key, asked: Sequence[int], missing: Sequence[int]) -> None:
        """Hold the rows of the generations that were `asked`, of which some are `missing`."""
        customer_id, name = key
        most = min(self._most_rows, _MOST_ROWS.get(name, MOST_ROWS))
        with suppress(StoreError, Error):
            async with self._turn:
                try:
                    answer = await self._fetch(customer_id, name, missing, most)
                except TooExpensive:
                    self._too_large[key] = len(asked)
                    return
            found = await asyncio.to_thread(_CLASSES.get(name, ColumnTable).of, answer, missing)
            held = self._held.get(key)
            if held is not None:
                kept = held.generations if len(held) + len(found) <= most else asked
                found = await asyncio.to_thread(held.with_rows_of, found, kept)
            if len(found) > most or found.size > self._size // _SHARE:
                self._held.pop(key, None)
                self._too_large[key] = len(asked)
                return
            self._held[key] = found


def _needed(values: Mapping[str, Any]) -> list[str]:
    """The columns of ``cost_trends`` by which a question groups or filters."""
    asked = {values[name] for name in DIMENSIONS if values.get(name) in FILTERS.values()}
    return sorted(
        asked | {column for name, column in FILTERS.items() if values.get(name) and column != "billing_currency"}
    )


def _digest(numbers: NDArray[Any]) -> str:
    """Names a set of sorted generations."""
    return hashlib.blake2b(numbers.tobytes(), digest_size=32).hexdigest()
