"""Which rows are held in memory for a question: of a derived table, or sums and the newest of the line items themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from optiinfra_api.reading.column_table import DIMENSIONS, FILTERS
from optiinfra_assets.domain.charge_filters import FILTERS as FILTERED
from optiinfra_assets.domain.charge_filters import LINE_ITEMS

TABLES: Final = {
    "cost_series_by_day": "cost_by_day",
    "cost_series_by_service": "cost_by_service",
    "cost_series_by_type": "cost_by_type",
    "cost_series_by_attribute": "cost_trends",
    "cost_by_resource_months": "cost_by_resource",
    "resource_details": "cost_by_resource",
    "resource_days": "cost_by_resource_day",
}
"""The derived table that each statement reads which can be answered from memory."""
NOTHING: Final = "nothing"
"""Stands for a dimension that is not asked."""
OF_GENERATIONS: Final = ("provider", "account", "period")
"""Dimensions that all line items of a generation share."""

SUMS: Final = "line_item_days"
NEWEST: Final = "line_items"
"""The statements that read what is held of line items."""

_NOT_ASKED: Final = (NOTHING, "no_tag")
_CONDITIONS: Final = ("tag_values", "more_tags", "any_case_tags", "resources")
"""Filters of line items by what sums of them are not held by."""


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Names what is held of some generations.

    Attributes:
        table: the derived table, or `SUMS` or `NEWEST` of line items.
        statement: fetches the rows.
        values: what it binds beside customer and generations; lists as tuples.
        columns: of its select list only these; empty: all.
    """

    table: str
    statement: str = "generation_rows"
    values: tuple[tuple[str, Hashable], ...] = ()
    columns: frozenset[str] = frozenset()

    @property
    def is_of_line_items(self) -> bool:
        """Whether they are read from ``raw_costs``, which may take long."""
        return self.table in (SUMS, NEWEST)

    def bound(self) -> dict[str, Any]:
        """The values, lists as lists."""
        return {name: _listed(value) for name, value in self.values}


DAYS: Final = HeldRows("cost_by_day", "days_of_generations")
"""The sums by day over many generations."""


def held_rows(statement: str, values: Mapping[str, Any], columns: frozenset[str]) -> HeldRows | None:
    """Return what has to be held to answer a statement with its bound `values` from memory; None: only ClickHouse answers it.

    `columns`: of its select list only these are needed.
    """
    if statement == "line_items":
        return _newest(values, columns)
    if statement == "cost_series_by_tag":
        return _sums(values)
    table = TABLES.get(statement)
    if table == "cost_trends":
        return HeldRows(table, "trend_rows", tuple((column, column) for column in _needed(values)))
    return None if table is None else HeldRows(table)


def _needed(values: Mapping[str, Any]) -> list[str]:
    """The columns of ``cost_trends`` by which a question groups or filters."""
    asked = {values[name] for name in DIMENSIONS if values.get(name) in FILTERS.values()}
    return sorted(
        asked | {column for name, column in FILTERS.items() if values.get(name) and column != "billing_currency"}
    )


def _sums(values: Mapping[str, Any]) -> HeldRows | None:
    """Sums of line items by day and the dimensions by which a question groups or filters."""
    if values["tags"] not in _NOT_ASKED or any(values[name] for name in _CONDITIONS):
        return None
    asked = {name: values[name] for name in LINE_ITEMS if values.get(name, NOTHING) not in _NOT_ASKED}
    filtered = {
        name: LINE_ITEMS[name] for name, accepted in FILTERED.items() if name in LINE_ITEMS and values.get(accepted)
    }
    needed = {name: column for name, column in (asked | filtered).items() if name not in OF_GENERATIONS}
    tag = values["tag_key"] if "tag" in needed else ""
    return HeldRows(SUMS, SUMS, (*sorted(needed.items()), ("tag_key", tag), ("tag_names", ())))


def _newest(values: Mapping[str, Any], columns: frozenset[str]) -> HeldRows:
    """The newest line items that the filters of a question accept."""
    filters = sorted((name, _hashable(value)) for name, value in values.items() if name not in _OF_ONE_PAGE)
    return HeldRows(NEWEST, NEWEST, tuple(filters), columns)


_OF_ONE_PAGE: Final = frozenset(
    {
        "customer_id",
        "generations",
        "start",
        "end",
        "first_period",
        "last_period",
        "limit",
        "has_after",
        "after_start",
        "after_generation",
        "after_line_number",
    }
)
"""What ``line_items.sql`` binds beside the filters."""


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return list(map(_listed, value)) if isinstance(value, tuple) else value
