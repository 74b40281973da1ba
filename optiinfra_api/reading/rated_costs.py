"""A column of costs of a table in memory in another currency: converted once for each row, so that questions only add. Exact.

An amount, in units of 10**-18, is the sum of its parts of 16 bits, each multiplied by a power of 2**16; so is a rate, in units of 10**-36.
Sums of products of such parts fit into 64 bits. What comes of them is held in limbs of 32 bits, lowest first, all of them signed: so those
above the first ones of small amounts are 0, of negative ones too, and need not be added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from optiinfra_api.reading.rate_book import KnownRate, RatesByDay, known_rate
from optiinfra_assets.analytics.currency import SAME

DIGITS: Final = 54
"""Fraction digits of a converted amount."""
_RATE_LIMBS: Final = 8
_SAME: Final = known_rate(SAME)
_EPOCH: Final = date(1970, 1, 1)
_HALF: Final = 2**16 - 1
_WHOLE: Final = 2**32 - 1
_LACKING: Final = -1
_NEVER: Final = 2**31

Ints = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversionAsked:
    """How a question is converted.

    Attributes:
        currency: the display currency.
        granularity: the buckets that are shown: ``daily``, ``weekly``, ``monthly`` or ``whole``.
        columns: of the columns of a converted series, those that are wanted.
        state: changes whenever a rate may.
        rates_of: returns the rates of the months (``YYYY-MM``) of each currency.
        convert: converts rows of a statement, by day, as `Display.series` does, from the first day of the period on; None: nothing does.
    """

    currency: str
    granularity: str
    columns: frozenset[str]
    state: str
    rates_of: Callable[[Mapping[str, Collection[str]]], Awaitable[Mapping[str, RatesByDay]]]
    convert: Callable[[list[Row], date], Awaitable[None]] | None = None

    @property
    def key(self) -> list[Any]:
        """What an answer depends on."""
        return [self.currency, self.granularity, sorted(self.columns), self.state]


class _Columns(NamedTuple):
    """What is said of rates, each by its number: the days of their quotes, and the numbers of the first ones of equal texts and sources."""

    first_day: Ints
    last_day: Ints
    text: Ints
    source: Ints

    @classmethod
    def of(cls, known: Sequence[KnownRate | None]) -> Self:
        texts: dict[str, int] = {}
        sources: dict[str, int] = {}
        rows = [
            (
                (one.rate.day - _EPOCH).days if one and one.rate.day else _LACKING,
                texts.setdefault(one.text, number) if one else _LACKING,
                sources.setdefault(one.rate.source, number) if one else _LACKING,
            )
            for number, one in enumerate(known)
        ]
        days, numbers, quoted = np.array(rows, np.int64).reshape(-1, 3).T
        return cls(np.where(days == _LACKING, _NEVER, days), days, numbers, quoted)


class RatedCosts:
    """The converted costs of rows, of those that were asked for. Belongs to one table, column of costs, currency and state of the rates."""

    def __init__(self, costs: Sequence[Ints], days: Ints, currencies: tuple[Ints, Sequence[str]]) -> None:
        """
        Args:
            costs: limbs of the costs of all rows.
            days: the number of the day of each row.
            currencies: the number of the currency of each row, and the currencies.
        """
        self._costs, self._days, self._currencies = costs, days, currencies
        self._limbs: list[Ints] = [np.zeros(len(days), np.int32) for _ in range(len(costs) + _RATE_LIMBS)]
        self._used: list[Ints | None] = [None] * len(self._limbs)
        self._codes = np.full(len(days), -1, np.int32)
        self._lock = Lock()
        self._known: list[KnownRate | None] = []
        self._numbers: dict[int, int] = {}
        self._columns = _Columns.of([])

    def lacks(self, places: slice) -> bool:
        """Whether some of these rows are not converted yet."""
        return bool((self._codes[places] < 0).any())

    def months(self, places: Any) -> dict[str, set[str]]:
        """The months of rows by currency, of those that are not converted yet."""
        found: dict[str, set[str]] = {}
        for currency, day in self._asked(self._pending(places))[0]:
            found.setdefault(currency, set()).add(day[:7])
        return found

    def convert(self, places: Any, rates: Mapping[str, RatesByDay], own: str) -> None:
        """Convert rows that are not converted yet; `rates` by currency, none of `own`, whose rate is 1."""
        with self._lock:
            pending = self._pending(places)
            if len(pending):
                self._convert(pending, rates, own)

    def _convert(self, pending: Ints, rates: Mapping[str, RatesByDay], own: str) -> None:
        pairs, of_row = self._asked(pending)
        numbers = [self._number(_SAME if currency == own else rates[currency][day]) for currency, day in pairs]
        codes = np.array(numbers)[of_row]
        limbs = _products([cost[pending] for cost in self._costs], _parts_of_rates(self._known)[codes])
        for own_limb, limb in zip(self._limbs, limbs, strict=False):
            own_limb[pending] = limb
        self._used = [limb if limb.any() else None for limb in self._limbs]
        self._codes[pending] = codes
        self._columns = _Columns.of(self._known)

    def limbs(self, places: Any) -> list[Ints | None]:
        """The converted costs of rows; None: all are 0. They are 0 where a rate is missing."""
        return [None if limb is None else limb[places] for limb in self._used]

    def described(self, places: Any, groups: Ints, number: int, currency: str) -> list[tuple[Row, list[str]]]:
        """Say by which rates the rows of each of `number` groups are converted: the fields of a converted sum without the amount, and the
        days without a rate. `groups`: the number of the group of each row."""
        size = len(self._known)
        pairs = _distinct(groups.astype(np.int64) * size + self._codes[places], number * size)
        starts = np.searchsorted(pairs, np.arange(number) * size)
        codes = pairs % size
        of_groups = (_bounds(column[codes], starts) for column in self._columns)
        found = []
        said: dict[tuple[tuple[int, int], ...], Row] = {}  # groups that are months have few rates between them
        for group, bounds in enumerate(zip(*of_groups, strict=True)):
            (_, _, text, source) = bounds
            lacks = text[0] == _LACKING
            if lacks or source[0] != source[1]:
                end = starts[group + 1] if group + 1 < number else len(codes)
                named = set(self._columns.source[codes[starts[group] : end]].tolist()) - {_LACKING}
                fields = self._fields(bounds, named, currency)
            else:
                fields = said.get(bounds) or said.setdefault(bounds, self._fields(bounds, {source[0]}, currency))
            found.append((fields, self._missing(places, groups == group) if lacks else []))
        return found

    def _fields(self, bounds: Sequence[tuple[int, int]], sources: set[int], currency: str) -> Row:
        """The fields of a converted sum without the amount: `bounds`, the lowest and highest of each of `_Columns`, and the sources."""
        first, last, text, _ = bounds
        only = self._known[text[0]] if text[0] == text[1] and len(sources) == 1 else None
        days = [_iso(day) for day in (first[0], last[1]) if 0 <= day < _NEVER]
        return {
            "currency": currency,
            "rate": only and only.text,
            "rate_date": days[-1] if only and days else None,
            "rate_source": self._source(*sources) if len(sources) == 1 else self._sources(sources),
            "first_rate_date": days[0] if days else None,
            "last_rate_date": days[-1] if days else None,
        }

    def only(self, places: Any, cells: Ints, number: int) -> tuple[list[str | None], list[bool]]:
        """The one rate of each of `number` cells, None if there are several or one is missing, and whether one is missing."""
        known = list(self._known)
        numbers = self._columns.text[self._codes[places]]
        last = np.full(number, _LACKING)
        last[cells] = numbers
        last[cells[last[cells] != numbers]] = len(known)
        lacks = np.zeros(number, bool)
        lacks[cells[numbers == _LACKING]] = True
        last[lacks] = _LACKING
        texts = [*(one and one.text for one in known), None, None]
        return [texts[one] for one in last.tolist()], lacks.tolist()

    def _sources(self, numbers: Collection[int]) -> str | None:
        return ", ".join(sorted(map(self._source, numbers))) or None

    def _source(self, number: int) -> str:
        known = self._known[number]
        return known.rate.source if known else ""

    def _missing(self, places: Any, of_group: Ints) -> list[str]:
        lacks = self._columns.text[self._codes[places]] == _LACKING
        return list(map(_iso, np.unique(self._days[places][of_group & lacks]).tolist()))

    def _pending(self, places: Any) -> Ints:
        is_new = self._codes[places] < 0
        found: Ints = places.start + np.flatnonzero(is_new) if isinstance(places, slice) else places[is_new]
        return found

    def _asked(self, pending: Ints) -> tuple[list[tuple[str, str]], Ints]:
        """The currencies and days of rows, each pair once, and the number of that of each row."""
        if not len(pending):
            return [], pending
        codes, currencies = self._currencies
        days = self._days[pending].astype(np.int64)
        first, span = int(days.min()), int(np.ptp(days)) + 1
        combined = codes[pending].astype(np.int64) * span + (days - first)
        present = _distinct(combined, len(currencies) * span)
        pairs = [(currencies[one // span], _iso(first + one % span)) for one in present.tolist()]
        return pairs, np.searchsorted(present, combined)

    def _number(self, rate: KnownRate | None) -> int:
        number = self._numbers.setdefault(id(rate), len(self._known))
        if number == len(self._known):
            self._known.append(rate)
        return number


def _products(costs: Sequence[Ints], rates: Ints) -> list[Ints]:
    """The products of costs and rates, row by row, as limbs."""
    parts = [half for cost in costs for half in (cost.astype(np.int64) & _HALF, cost.astype(np.int64) >> 16)]
    columns = np.zeros((2 * -(-(len(parts) + rates.shape[1]) // 2), len(rates)), np.int64)
    others = [(place, np.ascontiguousarray(rate)) for place, rate in enumerate(rates.T) if rate.any()]
    for place, part in enumerate(parts):
        if part.any():
            for other, rate in others:
                columns[place + other] += part * rate
    limbs = []
    carry: Any = 0
    for low in range(0, len(columns), 2):
        whole = columns[low] + (columns[low + 1] << 16) + carry + 2**31
        limbs.append((whole & _WHOLE) - 2**31)
        carry = whole >> 32
    return [*limbs, carry]


def _parts_of_rates(rates: Sequence[KnownRate | None]) -> Ints:
    """The parts of each rate, 0 without one."""
    units = [b"" if one is None else one.units for one in rates]
    size = max(*map(len, units), 2)
    whole = np.frombuffer(b"".join(one.ljust(size, b"\0") for one in units), "<u2").reshape(len(units), -1)
    return whole.astype(np.int64)


def _distinct(numbers: Ints, most: int) -> Ints:
    """The numbers, each once, in order; they are below `most`."""
    found: Ints = np.unique(numbers) if most > 2**22 else np.flatnonzero(np.bincount(numbers, minlength=1))
    return found


def _bounds(numbers: Ints, starts: Ints) -> list[tuple[int, int]]:
    """The lowest and the highest of the numbers from each of `starts` on."""
    if not len(starts):
        return []
    both = (np.minimum.reduceat(numbers, starts).tolist(), np.maximum.reduceat(numbers, starts).tolist())
    return list(zip(*both, strict=True))


@lru_cache(maxsize=8192)
def _iso(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
