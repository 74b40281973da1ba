"""Column lists of ``raw_costs``, made from the table of FOCUS columns, so that no SQL file lists them and none can miss one.

Statements include them by name, like fragments; see `database.sql_files`. The lists leave out ``tags`` and ``x_columns``: each statement
selects these in the form it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from optiinfra_assets.domain.focus import EMPTY_AS_NULL, STORED, V1_2, V1_4, Column, Version, columns_of


def _listed(items: Iterable[str]) -> str:
    return ",\n".join(items)


def _without_tags(columns: Iterable[Column]) -> Iterable[Column]:
    return (column for column in columns if column.name != "Tags")


def _value(column: Column) -> str:
    # Qualified with the table, because ClickHouse would resolve the bare name to the alias of the same name.
    return f"nullIf(raw_costs.{column.snake}, '')" if column.name in EMPTY_AS_NULL else column.snake


def _as_ours(column: Column) -> str:
    value = _value(column)
    return value if value == column.snake else f"{value} AS {column.snake}"


def _as_focus(version: Version) -> str:
    return _listed(f"{_value(column)} AS {column.name}" for column in _without_tags(columns_of(version)))


LISTS: Final = {
    "line_item_values": _listed(column.snake for column in _without_tags(STORED)),
    "line_item_columns": _listed(map(_as_ours, _without_tags(STORED))),
    "focus_1_2_columns": _as_focus(V1_2),
    "focus_1_4_columns": _as_focus(V1_4),
}
"""List name -> columns: as stored; as readers get them, in snake case; and under the names of a FOCUS version.

FOCUS 1.2 has ``ProviderName`` and ``PublisherName``, which we do not store: the statement defines ``provider_name`` and ``publisher_name``.
"""
