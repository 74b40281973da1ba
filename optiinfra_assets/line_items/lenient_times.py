"""Reads times that programs write in other ways than FOCUS, if they can mean only one instant.

Fractions of a second (cut off), an offset from UTC, ``YYYYMMDD``, ``YYYY/MM/DD``, seconds or finer parts since 1970, spaces around it.
``10/05/2026`` is a day in May or in October: the billing periods of the same file decide, as they begin and end with a month.

A billing period is a month. If its start is written in local time, the month is the one that was written: midnight of 1 November at
UTC+2 is still October in UTC, and the whole bill would move to the month before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from optiinfra_assets.line_items.timestamps import ACCEPTED, parse_timestamp

DateOrder = Literal["month first", "day first"]

FRACTION: Final = "time-fraction"
OFFSET: Final = "time-offset"
FORM: Final = "time-form"
PERIOD: Final = "period-offset"
MESSAGES: Final = {
    FRACTION: "fractions of a second were cut off",
    OFFSET: "times with an offset were converted to UTC, which may be the day before or after the one that is written",
    FORM: "times in another form than FOCUS's were read",
    PERIOD: "the start or end of a billing period in local time was read as the month that is written",
}
ORDER_UNKNOWN: Final = (
    "a date whose day and month can be told apart, which no billing period of this file does: write dates as 2026-10-05"
)
ORDER_MIXED: Final = "dates of one order, but this file has both MM/DD/YYYY and DD/MM/YYYY: write dates as 2026-10-05"
MONTH_UNKNOWN: Final = (
    "the first of a month in UTC, or with its offset: this is within hours of the next month, so it may be that month in local "
    "time: write it as 2026-11-01T00:00:00Z"
)

_EAST: Final = 14 * 3600
"""Seconds by which local time is ahead of UTC at most."""
DAY_SECONDS: Final = 86_400
_OLDEST: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""Numbers count as time since 1970 from here on, so that seconds, milliseconds, microseconds and nanoseconds are told apart by size."""
_ISO: Final = re.compile(
    r"(\d{4})([-/]?)(\d\d)\2(\d\d)(?:[Tt ] ?(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?(?: ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)
_SLASHED: Final = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})(?: (\d\d?):(\d\d)(?::(\d\d))?(?: ?([AaPp])[Mm])?)?", re.ASCII)
_EPOCH: Final = re.compile(r"\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadTime:
    """A time as it was read.

    Attributes:
        seconds: since 1970, in UTC.
        offset: of the local time in which it is written, in seconds.
        code: how it was read, a key of `MESSAGES`; '' for the forms of FOCUS.
    """

    seconds: int
    offset: int = 0
    code: str = ""


@lru_cache(maxsize=50_000)
def read_time(text: str, order: DateOrder | None = None) -> ReadTime:
    """Read a time; dates with slashes as `order` says.

    Raises:
        ValueError: the text is not accepted; the message says what is.
    """
    text, given = text.strip(), text
    if match := _SLASHED.fullmatch(text):
        if order is None and int(match[1]) != int(match[2]):
            raise ValueError(ORDER_UNKNOWN)
        return ReadTime(parse_timestamp(_iso_of(match, order)), code=FORM)
    if _EPOCH.fullmatch(text):
        seconds = int(text) // 10 ** (3 * ((len(text) - 9) // 3))
        if seconds < _OLDEST:
            raise ValueError(ACCEPTED)
        return ReadTime(parse_timestamp(datetime.fromtimestamp(seconds, UTC).isoformat()), code=FORM)
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(ACCEPTED)
    return _of_iso(given, match)


def _of_iso(text: str, match: re.Match[str]) -> ReadTime:
    year, _, month, day, hour, minute, second, fraction, zone = match.groups()
    zone = "" if zone in (None, "Z", "z", "UTC", "GMT") else zone
    clock = f"T{hour}:{minute}:{second or '00'}" if hour else ""
    local = parse_timestamp(f"{year}-{month}-{day}{clock}")
    seconds = parse_timestamp(f"{year}-{month}-{day}{clock}{zone}")
    if seconds != local:
        return ReadTime(seconds, local - seconds, OFFSET)
    if (fraction or "").strip("0"):
        return ReadTime(seconds, code=FRACTION)
    return ReadTime(seconds, code="" if _is_strict(text) else FORM)


def _is_strict(text: str) -> bool:
    try:
        parse_timestamp(text)
    except ValueError:
        return False
    return True


def _iso_of(match: re.Match[str], order: DateOrder | None) -> str:
    first, second, year, hour, minute, seconds, half = match.groups()
    month, day = (first, second) if order == "month first" else (second, first)
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            raise ValueError(ACCEPTED)
        hours = hours % 12 + (12 if half in "Pp" else 0)
    return f"{year}-{int(month):02d}-{int(day):02d}T{hours:02d}:{minute or '00'}:{seconds or '00'}Z"


def orders_shown(texts: Iterable[str], *, of_periods: bool) -> set[DateOrder]:
    """Return the orders that dates with slashes show: a number above 12 is a day, and a billing period starts and ends with a month."""
    shown: set[DateOrder] = set()
    for text in texts:
        if not (match := _SLASHED.fullmatch(text.strip())):
            continue
        first, second = int(match[1]), int(match[2])
        if second > 12 or (of_periods and second == 1 != first):
            shown.add("month first")
        elif first > 12 or (of_periods and first == 1 != second):
            shown.add("day first")
    return shown


def period_bound(read: ReadTime, *, is_start: bool) -> ReadTime:
    """Return the start or end of a billing period: of the first of a month in local time, the month that is written.

    Raises:
        ValueError: it may be the start of the next month, in a local time that it does not name.
    """
    if read.seconds % DAY_SECONDS == 0:
        return read
    local = read.seconds + read.offset
    if read.offset and _begins_month(local):
        return ReadTime(local, code=PERIOD)
    if is_start and _begins_month_within(read.seconds, _EAST):
        raise ValueError(MONTH_UNKNOWN)
    return read


def _begins_month(seconds: int) -> bool:
    return seconds % DAY_SECONDS == 0 and datetime.fromtimestamp(seconds, UTC).day == 1


def _begins_month_within(seconds: int, span: int) -> bool:
    return (datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=span)).month != datetime.fromtimestamp(
        seconds, UTC
    ).month
