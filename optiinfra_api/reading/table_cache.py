"""Keeps rows of small derived tables in memory, so that totals, trends and kinds of charges ask ClickHouse nothing; and of line items that
were asked for twice their sums by day, and the newest ones.

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
from optiinfra_api.reading.column_table import MOST_ROWS, ColumnTable
from optiinfra_api.reading.held_rows import DAYS, NEWEST, NOTHING, OF_GENERATIONS, SUMS, HeldRows, held_rows
from optiinfra_api.reading.line_item_table import LineItemTable
from optiinfra_api.reading.newest_line_items import HELD, NewestLineItems
from optiinfra_api.reading.resource_table import ResourceTable
from optiinfra_assets.database.errors import StoreError

_Table = ColumnTable | NewestLineItems
_CLASSES: Final[dict[str, type[ColumnTable] | type[NewestLineItems]]] = {
    "cost_by_resource": ResourceTable,
    SUMS: LineItemTable,
    NEWEST: NewestLineItems,
}

ROW_BYTES: Final = 120
_SHARE: Final = 4
"""A table larger than this share of all memory is not held."""
_AT_ONCE: Final = {"cost_by_day": 60}
"""For how many generations a question waits until their rows are fetched; for more, its own statement is quicker."""
_AT_ONCE_OF_OTHERS: Final = 4
_MOST_ROWS: Final = {"cost_by_resource": 30_000, "cost_by_resource_day": 300_000, NEWEST: 32 * HELD}
"""Rows from which on ClickHouse ranks resources, or finds the days of some, quicker than we do; and of which more take too much memory."""
_MOST_GENERATIONS: Final = {NEWEST: 16}
"""Generations that are fetched by a statement each."""
_ASKED: Final = 1_000
"""What was asked once of line items, which is fetched if it is asked again: to read them twice for one question would be a waste."""
_MANY: Final = 2_000
"""Generations from which on days are summed over all of them in blocks, and the rows of each are not held."""
_BLOCK: Final = 4_096
"""Generation numbers of one block. A publication changes two: that of its own number, and that of the generation it replaces."""
_LAST: Final = 16
"""Customers with many generations whose last sums are found without naming all generations."""
_REFUSED: Final = 10_000
_REFUSED_SECONDS: Final = 600

Fetch = Callable[[str, HeldRows, Sequence[int], int], Awaitable[bytes]]
"""Returns rows of a customer's generations as the class of their table takes them; raises TooExpensive if they are more than given."""
AllDays = Callable[[Sequence[int], date, date], NDArray[Any] | None]
_Key = tuple[str, HeldRows]
_Held = tuple[str, HeldRows | str]
"""What is held of a customer; a digest of generation numbers names their days."""


class TableCache:
    """Tables by customer, up to a size in bytes; evicts the least recently used. Belongs to one event loop."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        """`size`: bytes of all tables; 0 holds none."""
        self._size = size
        self._most_rows = min(size // _SHARE // ROW_BYTES, MOST_ROWS)
        self._fetch = fetch
        self._held: LRUCache[_Held, _Table] = LRUCache(max(size, 1), lambda table: table.size)
        self._too_large: TTLCache[_Key, int] = TTLCache(_REFUSED, _REFUSED_SECONDS)
        self._last: LRUCache[str, tuple[NDArray[Any], ColumnTable]] = LRUCache(_LAST)
        self._filling: dict[_Key, asyncio.Task[None]] = {}
        self._asked: LRUCache[_Key, bool] = LRUCache(_ASKED)
        self._turn = asyncio.Semaphore(1)
        self._turn_of_line_items = asyncio.Semaphore(1)  # others do not wait for what takes so long

    async def found(
        self,
        statement: str,
        values: Mapping[str, Any],
        of_all_days: AllDays = lambda *_: None,
        columns: frozenset[str] = frozenset(),
    ) -> tuple[_Table | None, bool]:
        """Return the table that answers a statement with its bound `values`, None if it has to be asked of ClickHouse; and whether rows
        were fetched for it. `of_all_days` is `KnownPublications.of_all_days` of the customer. Of the statement's select list only
        `columns` are needed."""
        rows = held_rows(statement, values, columns) if self._most_rows else None
        if rows is None:
            return None, False
        key, asked = (values["customer_id"], rows), values.get("generations") or values["newest_generations"]
        if len(asked) > _MANY:
            is_by_day = rows.table == "cost_by_day" and {values[one] for one in OF_GENERATIONS} == {NOTHING}
            if not is_by_day:
                return None, False
            numbers = of_all_days(asked, values["start"], values["end"])
            return await self._of_many(key[0], np.sort(np.array(asked, np.uint64)) if numbers is None else numbers)
        held = self._held.get(key)
        missing = [one for one in asked if held is None or one not in held.generations]
        if not missing:
            return held, False
        if (
            "newest_generations" in values
            or self._too_large.get(key, MOST_ROWS) <= len(asked)
            or self._is_first(key, asked)
        ):
            return None, False
        filling = self._fill(key, asked, missing)
        if rows.is_of_line_items or len(missing) > _AT_ONCE.get(rows.table, _AT_ONCE_OF_OTHERS):
            return None, False
        await asyncio.shield(filling)
        held = self._held.get(key)
        return (held, True) if held is not None and held.generations.issuperset(asked) else (None, False)

    def _is_first(self, key: _Key, asked: Sequence[int]) -> bool:
        """Whether rows are not fetched, because they are of line items and asked for the first time, or of too many generations."""
        if not key[1].is_of_line_items:
            return False
        was_asked = self._asked.get(key, False)
        self._asked[key] = True
        return not was_asked or len(asked) > _MOST_GENERATIONS.get(key[1].table, _MANY)

    async def _of_many(self, customer_id: str, numbers: NDArray[Any]) -> tuple[ColumnTable | None, bool]:
        """The sums by day over many generations, in blocks of them that are fetched again only if one of them is another."""
        last = self._last.get(customer_id)
        if last is not None and last[0] is numbers:
            return last[1], False
        whole = self._days_held((customer_id, _digest(numbers)))
        if whole is not None:
            return whole, False
        ends = np.flatnonzero(np.diff(numbers // _BLOCK)) + 1
        blocks = [((customer_id, _digest(block)), block) for block in np.split(numbers, ends)]
        tables = [await self._of_block(key, block) for key, block in blocks]
        whole = ColumnTable.joined(tables)
        self._hold((customer_id, _digest(numbers)), whole)
        self._last[customer_id] = numbers, whole
        return whole, True

    async def _of_block(self, key: tuple[str, str], block: NDArray[Any]) -> ColumnTable:
        held = self._days_held(key)
        if held is not None:
            return held
        async with self._turn:
            found = self._days_held(key)  # by somebody who asked at the same time
            if found is None:
                answer = await self._fetch(key[0], DAYS, block.tolist(), self._most_rows)
                found = ColumnTable.joined([ColumnTable.of(answer, ())])
                self._hold(key, found)
        return found

    def _days_held(self, key: tuple[str, str]) -> ColumnTable | None:
        found = self._held.get(key)
        return found if isinstance(found, ColumnTable) else None

    def _hold(self, key: _Held, table: ColumnTable) -> None:
        if table.size <= self._size // _SHARE:
            self._held[key] = table

    def _fill(self, key: _Key, asked: Sequence[int], missing: Sequence[int]) -> asyncio.Task[None]:
        if key not in self._filling:
            task = self._filling[key] = asyncio.create_task(self._filled(key, asked, missing))
            task.add_done_callback(lambda _: self._filling.pop(key, None))
        return self._filling[key]

    async def _filled(self, key: _Key, asked: Sequence[int], missing: Sequence[int]) -> None:
        """Hold the rows of the generations that were `asked`, of which some are `missing`."""
        customer_id, rows = key
        most = min(self._most_rows, _MOST_ROWS.get(rows.table, MOST_ROWS))
        with suppress(StoreError, Error):
            async with self._turn_of_line_items if rows.is_of_line_items else self._turn:
                try:
                    answer = await self._fetch(customer_id, rows, missing, most)
                except TooExpensive:
                    self._too_large[key] = len(asked)
                    return
            found: Any = await asyncio.to_thread(_CLASSES.get(rows.table, ColumnTable).of, answer, missing)
            held = self._held.get(key)
            if held is not None:
                kept = held.generations if len(held) + len(found) <= most else asked
                found = await asyncio.to_thread(held.with_rows_of, found, kept)
            if len(found) > most or found.size > self._size // _SHARE:
                self._held.pop(key, None)
                self._too_large[key] = len(asked)
                return
            self._held[key] = found


def _digest(numbers: NDArray[Any]) -> str:
    """Names a set of sorted generations."""
    return hashlib.blake2b(numbers.tobytes(), digest_size=32).hexdigest()
