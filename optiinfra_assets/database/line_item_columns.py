"""Column lists of ``raw_costs``, made from the table of FOCUS columns, so that no SQL file lists them and none can miss one.

Statements include them by name, like fragments; see `database.sql_files`. Those in our own columns leave out ``tags`` and ``x_columns``:
each statement selects these in the form it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from optiinfra_assets.domain.focus import EMPTY_AS_NULL, STORED, V1_3, V1_4, Column, Version, columns_of

_REPLACED: Final = ("x_ProviderName", "x_PublisherName")
"""What `line_items` keeps of the names that FOCUS 1.4 has no column for: up to 1.3, they have columns of their own."""


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


def _as_focus(column: Column) -> str:
    value = "toJSONString(raw_costs.tags)" if column.name == "Tags" else _value(column)
    return f"{value} AS {column.name}"


def focus_columns(version: Version, x_names: Iterable[str] = ()) -> str:
    """Return the select list of line items as a file of a FOCUS version: its columns under its names and in its order, then `x_names`.

    `x_names` are keys of ``x_columns``. Those that differ only by capitals and spaces are one column, because readers match names so.
    FOCUS up to 1.3 has ``ProviderName`` and ``PublisherName``, which we do not store: the statement defines ``provider_name`` and
    ``publisher_name``, from the keys that `_REPLACED` names.
    """
    twins: dict[str, list[str]] = {}
    for name in sorted(x_names):
        if version > V1_3 or name not in _REPLACED:
            twins.setdefault(name.strip().lower(), []).append(name)
    return _listed([*map(_as_focus, columns_of(version)), *map(_as_x_column, twins.values())])


def _as_x_column(names: Sequence[str]) -> str:
    quoted = [_quoted(name, "'") for name in names]
    values = [f"if(mapContains(raw_costs.x_columns, {key}), raw_costs.x_columns[{key}], NULL)" for key in quoted]
    return f"coalesce({', '.join(values)}) AS {_quoted(names[0], '`')}"


def _quoted(name: str, quote: str) -> str:
    """Quote a text of somebody else's for a statement. A brace could be taken for a parameter, so that it is written as its code too."""
    unsafe = {"\\", quote, "{", "}"}
    return quote + "".join(f"\\x{ord(one):02x}" if one in unsafe or one < " " else one for one in name) + quote


FOCUS_LIST: Final = "focus_columns"
"""Name of the list that `sql_files.read_focus` replaces."""

LISTS: Final = {
    "line_item_values": _listed(column.snake for column in _without_tags(STORED)),
    "line_item_columns": _listed(map(_as_ours, _without_tags(STORED))),
    FOCUS_LIST: focus_columns(V1_4),
}
"""List name -> columns: as stored; as readers get them, in snake case; and under the names of the newest FOCUS version."""
