"""Keyset pages: a cursor names the last row of a page and the generations it was read from, so that a series of pages stays consistent
while new generations are published. A cursor holds no secret and grants no access: the token decides whose data are read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import orjson
import strawberry

from optiinfra_api.access.context import CustomerData
from optiinfra_api.graphql.errors import CursorExpired, InvalidArgument
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.database.errors import AsOfNotRetained
from optiinfra_assets.domain.publications import ResolvedGenerations

MAX_FIRST = 1000

T = TypeVar("T")

_VERSION = 1
_FIXED_VALUES = 4
"""Number of values in a cursor before those of the position."""

_CHECKSUM_SIZE = 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AMOUNT = re.compile(r"-?\d{1,58}(\.\d{1,18})?")
_NUMBERS = re.compile(r"\d{1,16}(,\d{1,16})*")
_LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The highest instant in a position, in microseconds. It exceeds the limit on other integers: clients write "never" as the year 9999."""

_FITS: dict[type, Callable[[Any], bool]] = {
    # The checksum rejects damaged cursors, not forged ones: no value may cause an error in a database or in a conversion to a date.
    int: lambda value: type(value) is int and 0 <= value < 2**53,
    str: lambda value: type(value) is str and "\0" not in value,
    bytes: lambda value: type(value) is str,
    Decimal: lambda value: type(value) is str and _AMOUNT.fullmatch(value) is not None,
    datetime: lambda value: type(value) is int and 0 <= value < 2**32,
    timedelta: lambda value: type(value) is int and 0 <= value <= _LAST_INSTANT,
    tuple: lambda value: type(value) is str and _NUMBERS.fullmatch(value) is not None,
}
"""Checks of the values of a position: integers, strings for PostgreSQL (str), strings for ClickHouse (bytes), amounts as strings, seconds
since 1970 (datetime), microseconds since 1970 (timedelta), and comma-separated integers in one string (tuple)."""


def to_micros(instant: datetime) -> int:
    """Convert an aware instant to what cursors hold: microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Convert the microseconds of a cursor to a UTC instant."""
    return _EPOCH + micros * _MICROSECOND


@strawberry.type(description="Whether there is more, and where it begins.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="There are more rows after this page.")
    end_cursor: str | None = strawberry.field(
        description="Give it as `after`, with all other arguments unchanged, for the next page. Null: the page is empty."
    )


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended.

    Attributes:
        question: digest of the query that it belongs to.
        as_of: UTC instant that the pages are read as of; None for rows that are not published in generations.
        snapshot: digest of the generations that were read.
        position: key of the last row.
    """

    question: str
    as_of: datetime | None
    snapshot: str
    position: tuple[Any, ...]

    def encode(self) -> str:
        """The cursor as the string that the client gets."""
        micros = None if self.as_of is None else to_micros(self.as_of)
        content = orjson.dumps([_VERSION, self.question, micros, self.snapshot, *self.position])
        return base64.urlsafe_b64encode(_checksum(content) + content).decode().rstrip("=")


def check_first(first: int) -> None:
    """Check a page size.

    Raises:
        InvalidArgument: `first` is not 1 to 1000.
    """
    if not 1 <= first <= MAX_FIRST:
        raise InvalidArgument(f"first: {first} is not accepted", f"Use 1 to {MAX_FIRST}.")


def cut(question: str, rows: list[T], first: int, position: Callable[[T], tuple[Any, ...]]) -> tuple[list[T], PageInfo]:
    """Cut a page of at most `first` from `rows`, of which the caller has read one more if there are so many; say whether there is more.

    For rows that are not published in generations; `question` is the digest that `decode` compares, `position` returns the key of a row.
    """
    shown = rows[:first]
    end = Cursor(question, None, "", position(shown[-1])).encode() if shown else None
    return shown, PageInfo(has_next_page=len(rows) > first, end_cursor=end)


def decode(text: str, question: str, types: tuple[type, ...]) -> Cursor:
    """Decode the cursor of a client's `after`, whose position must have values of `types`; see `_FITS`.

    Raises:
        InvalidArgument: the text is not one of our cursors, or belongs to another query.
    """
    version, asked, micros, snapshot, *position = _opened(text)
    is_whole = len(position) == len(types) and (micros is None or _FITS[int](micros))
    if version != _VERSION or not is_whole or not all(map(_fits, position, types)):
        raise _not_ours()
    if asked != question:
        raise InvalidArgument(
            "after: the cursor belongs to a query with other arguments",
            "Keep all arguments but `after` the same from page to page.",
        )
    as_of = None if micros is None else from_micros(micros)
    return Cursor(question, as_of, snapshot, tuple(position))


def _opened(text: str) -> list[Any]:
    """The values that `Cursor.encode` wrote into `text`; raises InvalidArgument if the text is damaged."""
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _not_ours() from None
    content = sealed[_CHECKSUM_SIZE:]
    if sealed != _checksum(content) + content:
        raise _not_ours()
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise _not_ours() from None
    if not isinstance(values, list) or len(values) < _FIXED_VALUES:
        raise _not_ours()
    return values


def _fits(value: Any, kind: type) -> bool:
    return _FITS[kind](value)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM_SIZE).digest()


def _not_ours() -> InvalidArgument:
    return InvalidArgument("after: not a cursor of this service", "Use `endCursor` of the page before, unchanged.")


def _digest(generations: Sequence[int]) -> str:
    """Short hash of the generations that a page is read from."""
    return hashlib.blake2b(orjson.dumps(sorted(generations)), digest_size=8).hexdigest()


Position = tuple[Any, ...]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowPage:
    """One page of rows.

    Attributes:
        resolved: the generations that every page of the series is read from.
        rows: the rows of this page.
        info: whether there are more rows, and the cursor to them.
    """

    resolved: ResolvedGenerations
    rows: list[Row]
    info: PageInfo


@dataclass(frozen=True, slots=True)
class Paginator:
    """Cuts the rows of one field into pages.

    Attributes:
        data: the customer's data.
        question: the cost query, the same for all pages.
        belongs_to: what else a cursor is bound to: the field, and the arguments that `question` does not hold.
        types: types of the values of a position.
        position: returns the key of a row.
        read: reads rows from (generations, most rows, position that the rows come after; None: from the first).
    """

    data: CustomerData
    question: CostQuery
    belongs_to: tuple[object, ...]
    types: tuple[type, ...]
    position: Callable[[Row], Position]
    read: Callable[[ResolvedGenerations, int, Position | None], Awaitable[list[Row]]]

    async def page(self, first: int, after: str | None) -> RowPage:
        """Read the page of at most `first` rows that begins after the cursor `after`; None: the first page.

        Raises:
            InvalidArgument: `first` is out of range; the cursor is not one of ours, or belongs to another query.
            CursorExpired: the generations that the earlier pages were read from cannot be read any more.
        """
        check_first(first)
        asked = self.question.digest(self.data.customer_id, *self.belongs_to)
        if after is None:
            resolved, rows = await self.data.answered(
                self.question, lambda resolved: self.read(resolved, first + 1, None)
            )
            as_of = self.question.as_of or resolved.published_at
        else:
            cursor = decode(after, asked, self.types)
            resolved, as_of = await _resolved_again(self.data, self.question, cursor), cursor.as_of
            rows = await self.read(resolved, first + 1, cursor.position)
        shown = rows[:first]
        end = None
        if shown:
            snapshot = _digest(resolved.generations)
            end = Cursor(asked, as_of, snapshot, self.position(shown[-1])).encode()
        return RowPage(resolved, shown, PageInfo(has_next_page=len(rows) > first, end_cursor=end))


async def _resolved_again(data: CustomerData, question: CostQuery, cursor: Cursor) -> ResolvedGenerations:
    """Resolve the generations that the page before was read from; raises CursorExpired if that is not possible."""
    try:
        resolved = await data.resolve(question, cursor.as_of)
    except AsOfNotRetained as error:
        raise CursorExpired(f"after: {error}", _AGAIN) from None
    if cursor.snapshot != _digest(resolved.generations):
        # A publication of an earlier instant became visible only after the first page was read.
        raise CursorExpired("after: data were being published when the first page was read", _AGAIN)
    return resolved


_AGAIN = "Begin again without `after`."
