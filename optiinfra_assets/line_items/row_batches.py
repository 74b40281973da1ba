"""Converts line items that a provider makes one by one, from JSON responses, to record batches of `SCHEMA`, by the same rules as files.

A provider declares the columns that it fills, in FOCUS names and ``x_`` names, and yields `LineItemRow` objects::

    batches = record_batches(rows, COLUMNS, collection.rounding, where="invoice 123")

Tables and Parquet are columns already and do not need this module (see `Normalizer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.line_items.layout import Layout
from optiinfra_assets.line_items.normalizer import Normalizer
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TEXT, TEXT_MAP, TIME

if TYPE_CHECKING:
    from optiinfra_assets.domain.errors import Rounding

Value = str | Decimal | datetime | Mapping[str, str | None] | None

BATCH_ROWS: Final = 4_096
"""Python objects take some 8 KB a row in the widest mapping; the process has 300 MB, of which the vendors' clients take up to 190."""
_MOMENT: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class LineItemRow:
    """One line item.

    Attributes:
        source: how it was obtained, one of `SOURCES`.
        is_estimated: the amount is not final.
        values: by FOCUS or ``x_`` name: text, Decimal, aware datetime (cut to whole seconds), tags as a mapping; absent and None are null.
    """

    source: str
    is_estimated: bool
    values: Mapping[str, Value]


def record_batches(
    rows: Iterable[LineItemRow], columns: Sequence[str], rounding: Rounding, *, where: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches of `SCHEMA` with `rows` in their order; reads the rows only as they are needed.

    Args:
        rows: line items.
        columns: every name that occurs in their values, including all of `MANDATORY`.
        rounding: every rounded value is added to it.
        where: what the rows are made from, for messages.

    Raises:
        LayoutRejected: a mandatory column is not in `columns`.
        ValueError: the `source` of a row is not one of `SOURCES`.
        BadData: at the first value that cannot be stored exactly, naming row and column.
        KeyError: a row has a value that is not in `columns`.
    """
    layout = Layout.of(columns)
    count = 0
    for (source, is_estimated), group in groupby(rows, key=lambda row: (row.source, row.is_estimated)):
        door = Normalizer(layout, rounding, source=source, is_estimated=is_estimated)
        while some := list(islice(group, BATCH_ROWS)):
            try:
                yield door.convert(_batch(some, columns))
            except RejectedValue as refused:
                row = "" if refused.index is None else f"row {count + refused.index + 1}, "
                raise BadData(f"{where}: {row}{refused}") from None
            count += len(some)


def _batch(rows: list[LineItemRow], columns: Sequence[str]) -> pa.RecordBatch:
    found: dict[str, list[Value]] = {name: [None] * len(rows) for name in columns}
    for number, row in enumerate(rows):
        for name, value in row.values.items():
            found[name][number] = value
    arrays = [_array(name, values) for name, values in found.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _array(name: str, values: list[Any]) -> pa.Array:
    """Pass money as text: Arrow would choose one precision for all values, and some values would not fit into it."""
    kind = focus.BY_NAME[name].kind if name in focus.BY_NAME else focus.ColumnType.STRING
    if kind is focus.ColumnType.DECIMAL:
        return pa.array([None if value is None else format(value, "f") for value in values], TEXT)
    if kind is focus.ColumnType.TIME:
        return pc.floor_temporal(pa.array(values, _MOMENT), unit="second").cast(TIME)
    if kind is focus.ColumnType.KEY_VALUE:
        return pa.array([None if value is None else list(value.items()) for value in values], TEXT_MAP)
    return pa.array(values, TEXT)
