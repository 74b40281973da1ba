"""The scalars that GraphQL itself does not have.

Amounts, days and instants are answered as the strings that ClickHouse wrote: no number passes through a float or gains an exponent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

DecimalText = NewType("DecimalText", str)
DateText = NewType("DateText", str)
InstantText = NewType("InstantText", str)
DateColumn = NewType("DateColumn", list[str])
DecimalColumn = NewType("DecimalColumn", list[str])
Count = NewType("Count", int)
TagMap = NewType("TagMap", dict[str, Any])

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")

_FIRST_INSTANT = datetime(1900, 1, 1, tzinfo=UTC)


class BadValue(ValueError):
    """The value of a scalar is not accepted. GraphQL puts the value and its place before the message."""


def _parsed(text: Any, form: re.Pattern[str], parse: Callable[[str], Any], example: str) -> Any:
    try:
        if isinstance(text, str) and form.fullmatch(text):
            return parse(text)
    except (ValueError, OverflowError):
        pass  # such as February 30th, or an instant on the calendar's first day that lies on the day before it in UTC
    raise BadValue(f"use a form such as {example}")


def parse_date(text: Any) -> date:
    """Parse a UTC day from ``YYYY-MM-DD``.

    Raises:
        BadValue: the value has another form.
    """
    day: date = _parsed(text, _DATE, date.fromisoformat, "2026-11-30")
    return day


def parse_instant(text: Any) -> datetime:
    """Parse an aware UTC instant from ISO 8601 with a zone.

    Raises:
        BadValue: the value has another form, or lies before 1900, the first instant that ClickHouse's DateTime64 can hold.
    """
    instant: datetime = _parsed(text, _INSTANT, _in_utc, "2026-11-30T12:00:00Z")
    if instant < _FIRST_INSTANT:
        raise BadValue(f"use an instant from {instant_text(_FIRST_INSTANT)} on")
    return instant


def parse_decimal(given: Any) -> str:
    """Take the text of a number, or a whole number; who asks for it says which are accepted.

    Raises:
        BadValue: it is neither, such as a float, which is not exact, or true, which Python takes for 1.
    """
    if isinstance(given, str) or type(given) is int:
        return str(given)
    raise BadValue('use a string such as "1250.50"')


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def instant_text(value: datetime | str) -> str:
    """Format an instant as ISO 8601 in UTC with ``Z``; a string, which ClickHouse wrote that way, stays as it is."""
    return value if isinstance(value, str) else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


_DATE_SCALAR = strawberry.scalar(
    name="Date",
    description="A UTC day, `YYYY-MM-DD`.",
    serialize=str,
    parse_value=parse_date,
)
_INSTANT_SCALAR = strawberry.scalar(
    name="DateTime",
    description="An instant in ISO 8601 with its zone, such as `2026-11-30T12:00:00Z`. Answers are in UTC.",
    serialize=instant_text,
    parse_value=parse_instant,
)

SCALARS: dict[object, ScalarDefinition] = {
    date: _DATE_SCALAR,
    DateText: _DATE_SCALAR,
    datetime: _INSTANT_SCALAR,
    InstantText: _INSTANT_SCALAR,
    DecimalText: strawberry.scalar(
        name="Decimal",
        description="An exact decimal number as a string, without exponent or trailing zeros: `-0.000000000000000001`.",
        parse_value=parse_decimal,
    ),
    DateColumn: strawberry.scalar(
        name="Dates", description="A whole column of UTC days: a list of `YYYY-MM-DD`, oldest first."
    ),
    DecimalColumn: strawberry.scalar(
        name="Amounts",
        description="A whole column of exact decimals: a list of strings, each at the same place as its day in `dates`.",
    ),
    Count: strawberry.scalar(name="Count", description="A whole number that may exceed 32 bits."),
    TagMap: strawberry.scalar(name="Tags", description="A JSON object of strings by name; a value may be null."),
}


def decimal_text(value: Decimal) -> DecimalText:
    """Format `value` as ClickHouse writes it: no exponent, no trailing zeros, no minus before zero."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return DecimalText("0" if text in ("-0", "") else text)
