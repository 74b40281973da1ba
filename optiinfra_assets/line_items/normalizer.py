"""Normalizes batches: delivered columns in, record batches of `SCHEMA` out; each value is exact or rejected with its row and column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.line_items import decimals, json_parsing, strings, tags, timestamps
from optiinfra_assets.line_items.arrow_tools import (
    dictionary_encoded,
    empty_as_null,
    first_true,
    is_text,
    utf8_decoded,
)
from optiinfra_assets.line_items.json_encoding import to_json_literals
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import SCHEMA, SOURCES, TEXT, arrow_type
from optiinfra_assets.line_items.x_columns import columns_to_maps, joined_maps

if TYPE_CHECKING:
    from optiinfra_assets.line_items.layout import Layout
    from optiinfra_assets.line_items.leniency import Leniency


class Normalizer:
    """Normalizes the batches of one delivery. Not thread-safe: it counts the rounded values."""

    def __init__(
        self,
        layout: Layout,
        rounding: Rounding,
        *,
        source: str,
        is_estimated: bool = False,
        leniency: Leniency | None = None,
    ) -> None:
        """Prepare for deliveries of one layout.

        Args:
            layout: which FOCUS column each column is.
            rounding: every rounded value is added to it.
            source: how the line items were obtained, one of `SOURCES`.
            is_estimated: the provider calls these amounts estimates.
            leniency: reads values that are not written as FOCUS says; None: they are rejected.

        Raises:
            ValueError: `source` is none of them; the message names the accepted ones.
        """
        if source not in SOURCES:
            raise ValueError(f"source: {source!r} is not accepted: use one of {', '.join(SOURCES)}")
        self._layout = layout
        self._rounding = rounding
        self._source = pa.array([source])
        self._is_estimated = pa.array([is_estimated])
        self._leniency = leniency

    def convert(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Convert `batch`, whose columns are in the order of the layout, to one batch of `SCHEMA` with the same rows.

        Raises:
            RejectedValue: for the first row of the batch with a value that is not accepted (and its first such column).
        """
        columns: list[pa.Array] = []
        refusals: list[RejectedValue] = []
        self._learn(batch)
        for column in focus.STORED:
            try:
                columns.append(self._column(column, batch))
            except RejectedValue as refused:
                refusals.append(refused)
        if refusals:
            raise min(refusals, key=lambda refused: (refused.index or 0, self._layout.names.index(refused.column)))
        same = pa.array(np.zeros(batch.num_rows, np.int32))
        source = pa.DictionaryArray.from_arrays(same, self._source)
        is_estimated = self._is_estimated.take(same)
        return pa.RecordBatch.from_arrays([source, is_estimated, *columns, self._extras(batch)], schema=SCHEMA)

    def _column(self, column: focus.Column, batch: pa.RecordBatch) -> pa.Array:
        position = self._layout.positions.get(column.name)
        if position is None:
            return self._derived(column, batch)
        try:
            if self._leniency is None:
                return self._delivered(column, batch.column(position), self._rounding)
            return self._leniently(self._leniency, column, position, batch.column(position))
        except RejectedValue as refused:
            refused.column = self._layout.names[position]
            raise

    def _learn(self, batch: pa.RecordBatch) -> None:
        if self._leniency is not None:
            for column in focus.STORED:
                if column.kind is focus.ColumnType.TIME and column.name in self._layout.positions:
                    self._leniency.times.learn(column.name, batch.column(self._layout.positions[column.name]))

    def _leniently(self, leniency: Leniency, column: focus.Column, position: int, values: pa.Array) -> pa.Array:
        name = self._layout.names[position]
        if column.kind is focus.ColumnType.TIME:
            values = utf8_decoded(values)
            return _mandatory(column, values, leniency.times.read(column.name, name, values))
        rounding = Rounding()
        try:
            converted = self._delivered(column, values, rounding)
            self._rounding.add(rounding)
        except RejectedValue:
            converted = leniency.column(column, name, values, partial(self._delivered, column), self._rounding)
        return leniency.texts(column, name, converted) if is_text(converted.type) else converted

    def _delivered(self, column: focus.Column, values: pa.Array, rounding: Rounding) -> pa.Array:
        try:
            values = utf8_decoded(values)
            converted = convert(column, values, rounding, is_preview=self._layout.is_preview)
        except RejectedValue as refused:
            if refused.index:
                self._delivered(column, values.slice(0, refused.index), Rounding())  # a null before it may be rejected
            raise
        return _mandatory(column, values, converted)

    def _derived(self, column: focus.Column, batch: pa.RecordBatch) -> pa.Array:
        """Fill a column that was not delivered: with null or, before FOCUS 1.3, from the names that it replaced."""
        if column.name == "ServiceProviderName":
            names = [empty_as_null(self._text(name, batch)) for name in ("PublisherName", "ProviderName")]
            return dictionary_encoded(pc.fill_null(pc.coalesce(*names), ""))
        if column.name == "HostProviderName":
            return dictionary_encoded(self._text("ProviderName", batch))
        return convert(column, pa.nulls(batch.num_rows), self._rounding)

    def _text(self, name: str, batch: pa.RecordBatch) -> pa.Array:
        position = self._layout.positions.get(name)
        if position is None:
            return pa.nulls(batch.num_rows, TEXT)
        values = batch.column(position)
        try:
            return self._leniency.as_text(name, values) if self._leniency else strings.to_strings(values)
        except RejectedValue as refused:
            refused.column = self._layout.names[position]
            raise

    def _extras(self, batch: pa.RecordBatch) -> pa.Array:
        columns = [as_text(batch.column(position)) for position, _ in self._layout.extras]
        names = [name for _, name in self._layout.extras]
        if self._leniency is not None and (aside := self._leniency.take_aside()):
            names, columns = [*names, *aside], [*columns, *aside.values()]
        beside = columns_to_maps(names, columns, batch.num_rows)
        return beside if self._layout.extra_map is None else joined_maps(self._extra_map(batch), beside)

    def _extra_map(self, batch: pa.RecordBatch) -> pa.Array:
        position = self._layout.extra_map
        try:
            return tags.to_tag_maps(utf8_decoded(batch.column(position)))
        except RejectedValue as refused:
            refused.column = self._layout.names[position or 0]
            raise


def convert(column: focus.Column, delivered: pa.Array, rounding: Rounding, *, is_preview: bool = False) -> pa.Array:
    """Convert the values of one FOCUS column to its type in `SCHEMA`; with `Layout.is_preview` most enumerations had other values.

    Raises:
        RejectedValue: at the first value that is not accepted.
    """
    if column.kind is focus.ColumnType.DECIMAL:
        return decimals.to_decimals(delivered, rounding)
    if column.kind is focus.ColumnType.TIME:
        return timestamps.to_timestamps(delivered)
    if column.name == "Tags":
        return tags.to_tag_maps(delivered)
    if column.kind in (focus.ColumnType.KEY_VALUE, focus.ColumnType.JSON):
        return json_parsing.to_json(delivered, is_flat=column.kind is focus.ColumnType.KEY_VALUE)
    if column.accepted and not (is_preview and column.name != "ChargeCategory"):
        return strings.to_enum_strings(delivered, column.accepted)
    return _text_column(column, delivered)


def _text_column(column: focus.Column, delivered: pa.Array) -> pa.Array:
    if column.name in focus.NULL_AS_EMPTY:
        return (
            dictionary_encoded(pc.fill_null(strings.to_strings(delivered), ""))
            if delivered.null_count
            else strings.to_dictionary_strings(delivered)
        )
    if column.name == "BillingCurrency":
        return strings.to_currencies(delivered)
    if arrow_type(column) == TEXT:
        return strings.to_strings(delivered)
    return strings.to_dictionary_strings(delivered)


def _mandatory(column: focus.Column, delivered: pa.Array, converted: pa.Array) -> pa.Array:
    """Return `converted`; reject it if a column that must have values lacks one."""
    if column.name not in focus.NOT_NULL:
        return converted
    missing = converted.is_null()
    if column.name == "BillingAccountId":
        missing = pc.or_(missing, pc.fill_null(pc.equal(converted, ""), False))
    index = first_true(missing)
    if index is None:
        return converted
    raise RejectedValue(index, delivered[index].as_py(), _expected(column))


def _expected(column: focus.Column) -> str:
    if column.kind is focus.ColumnType.DECIMAL:
        return decimals.ACCEPTED
    if column.kind is focus.ColumnType.TIME:
        return timestamps.ACCEPTED
    if column.name == "BillingCurrency":
        return strings.CURRENCY
    return f"one of {', '.join(column.accepted)}" if column.accepted else "an id"


def as_text(values: pa.Array) -> pa.Array:
    """Convert any column outside FOCUS to plain text, with full precision; nested values become JSON, bytes that are not text hex."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return to_json_literals(values, strict=False) if pa.types.is_nested(kind) else strings.any_to_strings(values)
