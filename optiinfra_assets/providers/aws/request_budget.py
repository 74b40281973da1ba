"""Requests that cost money, counted for the whole account and stopped at so much a UTC day, whoever makes them.

Each request is on record, among the account's kept answers, before it is sent: so several runs and processes count together, and none
that dies in the middle forgets what it has spent. What a reading of a period took is kept as well: so one that the rest of the day cannot
pay is refused before its first request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import Permanent, Throttled, Transient
from optiinfra_assets.providers.context import Meter, ProviderContext, Snapshot, Snapshots

KIND = "paid request"
_TRIES = 20


@dataclass(slots=True, kw_only=True)
class DailyRequestBudget(Meter):
    """A `Meter` that refuses to go beyond a budget.

    Attributes:
        context: its clock says what day it is, its snapshots hold the record.
        budget: USD a UTC day.
        advice: what a person may do about it, for messages.
    """

    context: ProviderContext = field(repr=False)
    budget: Decimal
    advice: str

    def count(self) -> None:
        """Put one request on record; to be called before it is sent.

        Raises:
            Throttled: the budget of the day is used up; until the next day begins (UTC).
        """
        now = self.context.clock()
        if self.left(now) < 1:
            raise self._used_up(now)
        taken_at = self._recorded(now)
        if sorted(self._today(now)).index(taken_at) >= self.allowed:  # another process was faster
            raise self._used_up(now)
        self._add(1, self.price)

    def left(self, now: datetime) -> int:
        """How many requests may still be made on the day of `now`."""
        return max(0, self.allowed - len(self._today(now)))

    def require(self, requests: int) -> None:
        """Go on only if so many requests more are within the budget, before money is spent on what cannot be finished.

        Raises:
            Throttled: today they are not.
            Permanent: no day's budget suffices.
        """
        if self.requests + requests > self.allowed:
            raise Permanent(
                f"one collection takes {self.requests + requests} requests, ${(self.requests + requests) * self.price}, "
                f"more than the daily budget of ${self.budget}: {self.advice}"
            )
        now = self.context.clock()
        if self.left(now) < requests:
            raise self._used_up(now)

    @property
    def allowed(self) -> int:
        """How many requests a whole day may have."""
        return int(self.budget / self.price)

    def _today(self, now: datetime) -> list[datetime]:
        taken = self.context.snapshots.taken(KIND, BillingPeriod.of(now))
        return [moment for moment in taken if moment.astimezone(UTC).date() == now.date()]

    def _recorded(self, now: datetime) -> datetime:
        """The instant under which the request is on record: after that of any other."""
        period = BillingPeriod.of(now)
        for _ in range(_TRIES):
            taken = self.context.snapshots.taken(KIND, period)
            taken_at = max([now, *(moment + timedelta(microseconds=1) for moment in taken[-1:])])
            body = json.dumps({"at": taken_at.isoformat(), "usd": str(self.price)}).encode()
            if self.context.snapshots.add(Snapshot(KIND, period, taken_at, body)):
                return taken_at
        raise Transient("too many processes make paid requests for this account at once; try again later")

    def _used_up(self, now: datetime) -> Throttled:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Throttled(
            f"the daily budget of ${self.budget} for paid requests does not suffice: {self.allowed - self.left(now)} of "
            f"{self.allowed} are made today; it begins anew at {midnight:%Y-%m-%d %H:%M} UTC; {self.advice}",
            midnight,
        )


@dataclass(frozen=True, slots=True)
class RequestEstimate:
    """How many requests it takes to read a period: as many as the last time, which is kept among the account's answers.

    Attributes:
        budget: pays them.
        kind: under which they are kept; another for each way of reading.
        least: requests that a reading of anything takes.
    """

    budget: DailyRequestBudget
    kind: str
    least: int

    def known(self, period: BillingPeriod) -> int | None:
        """What the last reading of a period took, or at least would have taken; None if there was none."""
        kept = self._snapshots.newest(self.kind, period)
        return None if kept is None else int(json.loads(kept.body)["requests"])

    def expected(self, period: BillingPeriod, others: Iterable[BillingPeriod]) -> int:
        """What a reading of a period will take, more than a whole day's budget only if that is known of the period itself.

        Args:
            period: the period.
            others: what the nearest of these took is what one takes that was never read.
        """
        known = self.known(period)
        if known is not None and known > self.budget.allowed:
            return known
        if known is None:
            nearest = sorted(others, key=lambda other: abs(other.start - period.start))
            known = next((told for told in map(self.known, nearest) if told is not None), 0)
        return min(max(known, self.least), self.budget.allowed)

    def keep(self, period: BillingPeriod, requests: int) -> None:
        """Remember what a reading took."""
        last = self._snapshots.newest(self.kind, period)
        now = self.budget.context.clock()
        taken_at = now if last is None else max(now, last.taken_at + timedelta(microseconds=1))
        body = json.dumps({"requests": requests}).encode()
        self._snapshots.add(Snapshot(self.kind, period, taken_at, body))

    def keep_at_least(self, period: BillingPeriod, requests: int) -> None:
        """Remember that a reading takes so many, or more: it has not ended yet."""
        self.keep(period, max(requests, self.known(period) or 0))

    @property
    def _snapshots(self) -> Snapshots:
        return self.budget.context.snapshots
