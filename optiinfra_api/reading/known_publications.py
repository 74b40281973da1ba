"""The current publications of one customer in memory, and the generations that answer a question about them.

A customer may have a hundred thousand slices, so what depends on the days of a question is found in columns, and what is published later
is added to what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, Self

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.news import Stamp
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import NOTHING, Freshness
from optiinfra_assets.domain.publications import Extent, PublishedGeneration, ResolvedGenerations

Fingerprint = tuple[int, int]
"""How many publications a customer has, and the sum of their numbers."""

_CACHED_ANSWERS: Final = 32
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = -(2**62)
_COLUMNS: Final = np.dtype(
    [
        ("generation", "u8"),
        ("first", "i4"),
        ("last", "i4"),
        ("period", "i4"),
        ("line_items", "f8"),
        ("covered", "i8"),
        ("published", "i8"),
        ("is_final", "?"),
        ("is_simulated", "?"),
    ]
)
Columns = NDArray[Any]


@dataclass(slots=True)
class KnownPublications:
    """All current publications of a customer, read when it had had those of `fingerprint`.

    Attributes:
        positions: the place of each slice in `publications` and `columns`.
        newest: the highest generation.
        settled: while the news of the customer are these, nothing newer is published.
        checked: when that was found out last, of the monotonic clock.
        looked: the news when PostgreSQL was asked last whether an attempt may publish, and when that was.
        standing: the freshness of the accounts, which decides how far answers reach.
    """

    fingerprint: Fingerprint
    publications: tuple[PublishedGeneration, ...]
    positions: dict[Slice, int]
    columns: Columns
    newest: int
    settled: Stamp | None = None
    checked: float = 0.0
    looked: tuple[Stamp, float] | None = None
    standing: Freshness = NOTHING
    _answers: LRUCache[tuple[object, ...], ResolvedGenerations] = field(
        default_factory=partial(LRUCache, _CACHED_ANSWERS)
    )
    _accounts: LRUCache[tuple[object, ...], _Accounts] = field(default_factory=partial(LRUCache, _CACHED_ANSWERS))
    _all: Columns | None = None

    @classmethod
    def of(cls, fingerprint: Fingerprint, publications: Iterable[PublishedGeneration]) -> Self:
        """Make one from the newest publication of each slice."""
        found = tuple(publications)
        positions = {one.slice: place for place, one in enumerate(found)}
        return cls(fingerprint, found, positions, _columns(found), max((one.generation for one in found), default=0))

    def with_later(self, fingerprint: Fingerprint, later: Sequence[PublishedGeneration]) -> Self | None:
        """Add all publications whose generation is higher than the `newest`; None if that does not make those of `fingerprint`."""
        numbers = [one.generation for one in later]
        if fingerprint != (self.fingerprint[0] + len(later), self.fingerprint[1] + sum(numbers)):
            return None
        publications, positions, columns = list(self.publications), dict(self.positions), self.columns.copy()
        newest = {one.slice: one for one in sorted(later, key=lambda one: one.generation)}
        others = [one for slice_, one in newest.items() if slice_ not in positions]
        replaced = [(positions[slice_], one) for slice_, one in newest.items() if slice_ in positions]
        for place, one in replaced:
            publications[place] = one
        columns[[place for place, _ in replaced]] = _columns([one for _, one in replaced])
        positions.update((one.slice, len(publications) + place) for place, one in enumerate(others))
        columns = np.concatenate([columns, _columns(others)])
        return replace(
            self,
            fingerprint=fingerprint,
            publications=(*publications, *others),
            positions=positions,
            columns=columns,
            newest=max([self.newest, *numbers]),
            settled=None,
            _answers=LRUCache(_CACHED_ANSWERS),
            _accounts=LRUCache(_CACHED_ANSWERS),
            _all=None,
        )

    def stand(self, standing: Freshness) -> None:
        """Set the current freshness of the accounts, and drop the answers that used another."""
        if standing is not self.standing:
            self.standing = standing
            self._answers.clear()
            self._accounts.clear()

    def resolved(self, question: CostQuery) -> ResolvedGenerations:
        """Return the generations that answer `question` now, and how far they reach given the freshness of the accounts."""
        key = (question.providers, question.accounts, question.billing_periods, question.start, question.end)
        if key not in self._answers:
            own = self._of_accounts(question)
            self._answers[key] = own.within(question.start, question.end, question.billing_periods)
        return self._answers[key]

    def of_all_days(self, generations: Sequence[int], start: date, end: date) -> Columns | None:
        """All generations of the customer, sorted, if `generations` are those with charges on the days of [start, end); None: they are not.

        What is held of all of them then answers questions about any days. It is the same object each time.
        """
        answer = self._answers.get(((), (), (), start, end))
        if answer is None or answer.generations != tuple(generations):
            return None
        if self._all is None:
            self._all = np.sort(self.columns["generation"])
        return self._all

    def _of_accounts(self, question: CostQuery) -> _Accounts:
        key = (question.providers, question.accounts)
        if key not in self._accounts:
            publications, columns = self.publications, self.columns
            if question.providers or question.accounts:
                chosen = [place for place, one in enumerate(self.publications) if _is_asked(one, question)]
                publications = tuple(self.publications[place] for place in chosen)
                columns = self.columns[np.array(chosen, np.int64)]
            self._accounts[key] = _Accounts.of(publications, columns, self.standing)
        return self._accounts[key]


@dataclass(frozen=True, slots=True)
class _Accounts:
    """The publications of some accounts, and what of an answer about them does not depend on its days."""

    publications: tuple[PublishedGeneration, ...]
    columns: Columns
    standing: Freshness
    through: datetime | None
    published_at: datetime | None

    @classmethod
    def of(cls, publications: tuple[PublishedGeneration, ...], columns: Columns, standing: Freshness) -> Self:
        published = _instant(int(columns["published"].max(initial=_NEVER)))
        return cls(publications, columns, standing, _through(publications, columns, standing), published)

    def within(self, start: date | None, end: date | None, months: Sequence[str] = ()) -> ResolvedGenerations:
        """As `ResolvedGenerations.of`, with the generations of some billing periods, ``YYYY-MM``, only; none: of all."""
        chosen = _with_charges(self.columns, start, end)
        if months:
            first_days = [BillingPeriod.parse(month).start.toordinal() for month in months]
            chosen = chosen[np.isin(chosen["period"], first_days)]
        if self.through is None:
            is_complete = False
        elif end is None:
            is_complete = bool(self.columns["is_final"].all())
        else:
            is_complete = datetime(end.year, end.month, end.day, tzinfo=UTC) <= self.through
        return ResolvedGenerations(
            generations=tuple(chosen["generation"].tolist()),
            publications=self.publications,
            data_through=self.through,
            published_at=self.published_at,
            is_complete=is_complete,
            standing=self.standing,
            extent=_extent(chosen, start, end),
        )


def _with_charges(columns: Columns, start: date | None, end: date | None) -> Columns:
    """Those with charges on the days of [start, end); None: no bound."""
    has_charges = columns["last"] >= (start.toordinal() if start else 1)
    has_charges &= columns["first"] < (end.toordinal() if end else date.max.toordinal())
    return columns[has_charges]


def _is_asked(one: PublishedGeneration, question: CostQuery) -> bool:
    return (not question.providers or one.slice.provider in question.providers) and (
        not question.accounts or one.slice.account_id in question.accounts
    )


def _columns(publications: Sequence[PublishedGeneration]) -> Columns:
    """Days as ordinals, none as days that no question asks for; instants in microseconds."""
    rows = [
        (
            one.generation,
            one.first_charge_date.toordinal() if one.first_charge_date and one.last_charge_date else 2**31 - 1,
            one.last_charge_date.toordinal() if one.first_charge_date and one.last_charge_date else 0,
            one.slice.billing_period.start.toordinal(),
            one.line_items,
            _micros(one.covered_through),
            _micros(one.published_at),
            one.is_final,
            one.is_simulated,
        )
        for one in publications
    ]
    return np.array(rows, _COLUMNS)


def _micros(instant: datetime | None) -> int:
    return _NEVER if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def _instant(micros: int) -> datetime | None:
    return None if micros == _NEVER else _EPOCH + timedelta(microseconds=micros)


def _through(publications: tuple[PublishedGeneration, ...], columns: Columns, standing: Freshness) -> datetime | None:
    """The `data_through` of an answer; see `ResolvedGenerations`."""
    covered: dict[str, int] = {}
    for one, micros in zip(publications, columns["covered"].tolist(), strict=True):
        account_id = one.slice.account_id
        if micros > covered.get(account_id, _NEVER - 1):
            covered[account_id] = micros
    newest = {
        account_id: max(micros, _micros(standing.reached.get(account_id))) for account_id, micros in covered.items()
    }
    if active := newest.keys() - standing.disabled:
        newest = {account_id: newest[account_id] for account_id in active}
    return _instant(min(newest.values(), default=_NEVER))


def _extent(chosen: Columns, start: date | None, end: date | None) -> Extent:
    """What the rows of some publications with charges on the days of [start, end) say together."""
    if not len(chosen):
        return Extent(None, None, 0, is_simulated=False)
    first, following = chosen["first"].astype(float), chosen["last"] + 1.0
    asked = np.minimum(following, end.toordinal() if end else np.inf) - np.maximum(
        first, start.toordinal() if start else 0
    )
    return Extent(
        date.fromordinal(int(chosen["period"].min())),
        date.fromordinal(int(chosen["period"].max())),
        float((chosen["line_items"] * np.maximum(asked, 0) / (following - first)).sum()),
        is_simulated=bool(chosen["is_simulated"].any()),
    )
