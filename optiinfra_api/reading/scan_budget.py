"""Limits the rows that an operation may read and answer. Those it reads are estimated first, from the known line items of the generations.

A statement over line items reads those of the asked days. For a statement over a derived table, the estimate takes the rows that the
table usually has for each line item. The estimate is rough by design: it tells thousands from billions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.domain.publications import PublishedGeneration, ResolvedGenerations

ROW_BYTES: Final = 8 * 1024
"""A row of ClickHouse that is longer, such as a series with many dates, counts as several. The longest answer of one statement fits."""

# Rows for each line item, rounded up from the data sets of benchmarks/dataset.py.
_ROWS_A_LINE_ITEM = {
    "raw_costs": 1.0,
    "cost_by_resource_day": 1.0,
    "cost_by_resource_sku": 1.0,
    "cost_by_resource": 0.4,
    "cost_by_charge": 0.35,
    "cost_by_sku": 0.35,
    "cost_trends": 0.3,
    "cost_by_service": 0.15,
    "cost_by_type": 0.05,
    "cost_by_day": 0.02,
}
_FIRST_TABLE = re.compile(r"\bFROM (\w+)")


@dataclass(frozen=True, slots=True)
class GenerationExtent:
    """How many line items a generation has, and on which UTC days; None without line items."""

    line_items: int
    first_charge_date: date | None
    last_charge_date: date | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> GenerationExtent:
        """Make one from a row of ``generation_extents.sql``."""
        first, last = row["first_charge_date"], row["last_charge_date"]
        return cls(row["line_items"], first and date.fromisoformat(first), last and date.fromisoformat(last))


class ScanBudget:
    """The rows that one operation or one export may still read."""

    def __init__(self, most: int, setting: str) -> None:
        """`most` is the number of rows; `setting` is the environment variable that sets it."""
        self._most = most
        self._setting = setting
        self._spent = 0

    def spend(self, text: str, question: CostQuery, resolved: ResolvedGenerations) -> None:
        """Count the rows that the statement `text` will read to answer `question`.

        Raises:
            TooExpensive: these are more rows than are left.
        """
        self._spend(estimated_rows(text, question, resolved))

    def spend_on(self, text: str, generations: Iterable[GenerationExtent], start: date, end: date) -> None:
        """Count the rows that the statement `text` will read of `generations` for the UTC days of [start, end).

        Raises:
            TooExpensive: these are more rows than are left.
        """
        self._spend(_rows(text, generations, start, end))

    def _spend(self, rows: int) -> None:
        self._spent += rows
        if self._spent > self._most:
            raise TooExpensive(
                f"about {self._spent} rows would be read; at most {self._most} are accepted ({self._setting})",
                "Ask for a shorter period or fewer accounts, or for less at one time.",
            )


class AnswerBudget:
    """The rows that all fields of one operation may still answer together.

    A row costs the one thread that answers all clients about 50 microseconds, whatever database it comes from, and each of 30 aliases may
    ask for a page of a thousand. So rows are counted when they are read, before they are parsed or completed.
    """

    def __init__(self, most: int | None) -> None:
        """`most` is the number of rows; None: any, for subscriptions, each of whose events is an answer of its own."""
        self._most = most
        self._counted = 0

    def count(self, rows: int, *, size: int = 0, in_a_row: int = 1) -> None:
        """Count rows that were read.

        Args:
            rows: how many.
            size: bytes of them all, if known.
            in_a_row: how many short ones cost as much as a usual row.

        Raises:
            TooExpensive: these are more rows than are left.
        """
        self._counted += max(math.ceil(rows / in_a_row), size // ROW_BYTES)
        if self._most is not None and self._counted > self._most:
            raise TooExpensive(
                f"the fields would answer {self._counted} rows or more together; at most {self._most} are accepted "
                "(OPTIINFRA_API_MAX_ANSWER_ROWS)",
                "Ask for fewer fields or shorter pages in one operation.",
            )

    def count_found(self, found: object) -> None:
        """Count the rows in what was read from PostgreSQL, if it is several.

        Raises:
            TooExpensive: as in `count`.
        """
        if isinstance(found, list | dict):
            self.count(len(found))


def estimated_rows(text: str, question: CostQuery, resolved: ResolvedGenerations) -> int:
    """Estimate how many rows the statement `text` will read to answer `question` from the `resolved` generations."""
    if resolved.extent is not None:
        return round(resolved.extent.line_items * _ROWS_A_LINE_ITEM[_table(text)])
    chosen = set(resolved.generations)
    answering = (one for one in resolved.publications if one.generation in chosen)
    return _rows(text, answering, question.start, question.end)


def _rows(
    text: str,
    generations: Iterable[PublishedGeneration | GenerationExtent],
    start: date | None,
    end: date | None,
) -> int:
    line_items = sum(_line_items(one, start, end) for one in generations)
    return round(line_items * _ROWS_A_LINE_ITEM[_table(text)])


@lru_cache(maxsize=512)
def _table(text: str) -> str:
    """The cost table that a statement reads; the first if it reads several."""
    tables: list[str] = _FIRST_TABLE.findall(text)
    return next(name for name in tables if name in _ROWS_A_LINE_ITEM)


def _line_items(one: PublishedGeneration | GenerationExtent, start: date | None, end: date | None) -> float:
    """Estimate how many line items of a generation begin in [start, end), as if they were spread evenly over its days."""
    if one.first_charge_date is None or one.last_charge_date is None:
        return 0
    first, last = one.first_charge_date, one.last_charge_date + timedelta(days=1)
    asked = min(last, end or last) - max(first, start or first)
    return one.line_items * max(0.0, asked / (last - first))
