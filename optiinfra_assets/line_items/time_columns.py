"""Reads columns of times leniently: text in several forms, numbers since 1970, timestamps of any type."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items import timestamps
from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    dictionary_encoded,
    empty_as_null,
    is_text,
    reject_used,
)
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.lenient_times import (
    DAY_SECONDS,
    FRACTION,
    MESSAGES,
    ORDER_MIXED,
    ORDER_UNKNOWN,
    DateOrder,
    ReadTime,
    orders_shown,
    period_bound,
    read_time,
)
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TEXT, TIME

_PERIODS: Final = ("BillingPeriodStart", "BillingPeriodEnd")


class TimeColumns:
    """Reads the columns of times of one file. It learns from their values in which order the file writes day and month."""

    def __init__(self, irregularities: Irregularities) -> None:
        self._irregularities = irregularities
        self._orders: set[DateOrder] = set()

    def learn(self, column: str, values: pa.Array) -> None:
        """Learn in which order day and month are; call it for all columns of a batch before reading one."""
        if is_text(values.type):
            texts = values.dictionary if pa.types.is_dictionary(values.type) else values
            slashed = texts.filter(pc.fill_null(pc.match_substring(texts, "/"), False))
            self._orders |= orders_shown(slashed.to_pylist(), of_periods=column in _PERIODS)

    def read(self, column: str, name: str, values: pa.Array, *, is_counted: bool = True) -> pa.Array:
        """Convert the values of a FOCUS column, delivered as `name`, to whole seconds in UTC.

        With `is_counted` false, nothing is added to the irregularities: the column is read once more.

        Raises:
            RejectedValue: at the first value that is no time, or may be more than one.
        """
        if values.null_count == len(values):
            return pa.nulls(len(values), TIME)
        if pa.types.is_integer(values.type):
            values = values.cast(TEXT)
        if is_text(values.type):
            return self._texts(column, name, dictionary_encoded(empty_as_null(values)), is_counted)
        plain = dictionary_decoded(values)
        if not pa.types.is_timestamp(plain.type):
            return timestamps.to_timestamps(plain)
        return self._typed(column, name, plain, is_counted)

    def _texts(self, column: str, name: str, encoded: pa.DictionaryArray, is_counted: bool) -> pa.Array:
        order = next(iter(self._orders)) if len(self._orders) == 1 else None
        found: list[ReadTime] = []
        refusals: dict[int, str] = {}
        for position, text in enumerate(encoded.dictionary.to_pylist()):
            try:
                read = read_time(text, order)
                found.append(_bound(column, read))
            except ValueError as refusal:
                is_mixed = str(refusal) == ORDER_UNKNOWN and self._orders
                refusals[position] = ORDER_MIXED if is_mixed else str(refusal)
                found.append(ReadTime(0))
        reject_used(encoded, refusals)
        if is_counted:
            self._count(name, encoded, [one.code for one in found])
        return pa.array([one.seconds for one in found], pa.int64()).take(encoded.indices).cast(TIME)

    def _typed(self, column: str, name: str, values: pa.Array, is_counted: bool) -> pa.Array:
        try:
            whole = timestamps.to_timestamps(values)
        except RejectedValue:
            whole = timestamps.to_timestamps(_cut(values))
            if is_counted:
                changed = pc.not_equal(whole.cast(values.type), values)
                self._irregularities.add(FRACTION, f"{name}: {MESSAGES[FRACTION]}", changed, dictionary_decoded(values))
        return self._bounds(column, name, values, whole, is_counted) if column in _PERIODS else whole

    def _bounds(self, column: str, name: str, values: pa.Array, whole: pa.Array, is_counted: bool) -> pa.Array:
        """Read the bounds of billing periods that are typed as local time of a zone as the months that are written."""
        seconds = whole.cast(pa.int64())
        days = pc.multiply(pc.divide(seconds, DAY_SECONDS), DAY_SECONDS)
        if pc.all(pc.equal(days, seconds), min_count=0).as_py():
            return whole
        local = _cut(pc.local_timestamp(values)).cast(pa.int64()) if values.type.tz else seconds
        offsets = pc.subtract(local, seconds)
        pairs = pa.StructArray.from_arrays([seconds, offsets], ["seconds", "offset"]).to_pylist()
        known: dict[tuple[int | None, int], ReadTime] = {}
        for row, pair in enumerate(pairs):
            key = (pair["seconds"], pair["offset"])
            if key[0] is not None and key not in known:
                try:
                    known[key] = _bound(column, ReadTime(key[0], key[1] or 0))
                except ValueError as refusal:
                    raise RejectedValue(row, str(values[row].as_py()), str(refusal)) from refusal
        read = [known.get((pair["seconds"], pair["offset"])) for pair in pairs]
        if is_counted:
            for code in {one.code for one in known.values()} - {""}:
                rows = np.array([one is not None and one.code == code for one in read])
                self._irregularities.add(code, f"{name}: {MESSAGES[code]}", rows, values)
        return pa.array([None if one is None else one.seconds for one in read], pa.int64()).cast(TIME)

    def _count(self, name: str, encoded: pa.DictionaryArray, codes: list[str]) -> None:
        for code in dict.fromkeys(filter(None, codes)):
            rows = pa.array([one == code for one in codes]).take(encoded.indices)
            self._irregularities.add(code, f"{name}: {MESSAGES[code]}", rows, encoded)


def _bound(column: str, read: ReadTime) -> ReadTime:
    return period_bound(read, is_start=column == "BillingPeriodStart") if column in _PERIODS else read


def _cut(values: pa.Array) -> pa.Array:
    """Cut timestamps to whole seconds."""
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[values.type.unit]
    return pc.divide(values.cast(pa.int64()), unit).cast(pa.timestamp("s", values.type.tz))
