"""Normalizes times: text, timestamps or dates in, whole seconds in UTC out, or the value is rejected.

Accepted text: ``2026-11-01T00:00:00Z`` (the FOCUS date/time format), and what real files contain: a space for the ``T``, no ``Z`` (UTC), a
numeric offset, ``UTC``, no seconds (``2024-08-01T00:00Z``), no time at all (midnight), fractions of a second that are zero.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    empty_as_null,
    first_true,
    is_text,
    map_distinct,
)
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TIME

ACCEPTED: Final = "a UTC time such as 2026-11-01T00:00:00Z, in whole seconds, from 1970 to 2105"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = int((datetime(2106, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
"""ClickHouse's DateTime is an unsigned 32-bit count of seconds; it ends on 7 February 2106."""

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.0+)?)?(?:Z| ?UTC|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)


def to_timestamps(values: pa.Array) -> pa.Array:
    """Convert `values` (text, timestamps of any unit, dates) to seconds in UTC; null stays null, '' becomes null; no zone means UTC.

    Raises:
        RejectedValue: at the first value that is not accepted, or for a type that holds no times.
    """
    kind = values.type
    if values.null_count == len(values):
        return pa.nulls(len(values), TIME)
    if is_text(kind):
        return map_distinct(empty_as_null(values), parse_timestamp, pa.int64()).cast(TIME)
    values = dictionary_decoded(values)
    if pa.types.is_timestamp(values.type):
        return _whole_seconds(values)
    if pa.types.is_date(values.type):
        return _whole_seconds(values.cast(pa.timestamp("s")))
    raise RejectedValue(None, None, f"type {kind} is not accepted: timestamps, dates or text")


@lru_cache(maxsize=50_000)
def parse_timestamp(text: str) -> int:
    """Return the seconds since 1970 of a time written as text.

    Raises:
        ValueError: the text is not accepted; the message says what is.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(ACCEPTED)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    sign, offset_hours, offset_minutes = match.groups()[6:]
    try:
        offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        seconds = int((datetime(year, month, day, hour, minute, second, tzinfo=zone) - _EPOCH).total_seconds())
    except ValueError as error:
        raise ValueError(ACCEPTED) from error
    if not 0 <= seconds < _END:
        raise ValueError(ACCEPTED)
    return seconds


def _whole_seconds(values: pa.Array) -> pa.Array:
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[values.type.unit]
    ticks = values.cast(pa.int64())
    seconds = pc.divide(ticks, unit)
    accepted = pc.and_(
        pc.equal(pc.multiply(seconds, unit), ticks),
        pc.and_(pc.greater_equal(seconds, 0), pc.less(seconds, _END)),
    )
    wrong = first_true(pc.invert(accepted))
    if wrong is not None:
        raise RejectedValue(wrong, values[wrong].cast(pa.string()).as_py(), ACCEPTED)
    return seconds.cast(TIME)
