"""Counts paid requests of an account over all runs and processes, and stops them at a daily budget (USD for each UTC day).

Each request is recorded as a snapshot of the account before it is sent. So several runs and processes count together, and a process
that dies midway does not lose what it spent. The number of requests that a period took is stored as well, so a collection that the rest
of the day's budget cannot pay for is refused before its first request.
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
    """A `Meter` that refuses requests beyond a daily budget.

    Attributes:
        context: its clock gives the day, its snapshots hold the records.
        budget: USD for each UTC day.
        advice: what a person can do about a used-up budget, for messages.
    """

    context: ProviderContext = field(repr=False)
    budget: Decimal
    advice: str

    def count(self) -> None:
        """Records one request; call it before the request is sent.

        Raises:
            Throttled: the day's budget is used up, until the next UTC day begins.
            Transient: too many processes record requests at once.
        """
        now = self.context.clock()
        if self.left(now) < 1:
            raise self._used_up(now)
        taken_at = self._recorded(now)
        if sorted(self._today(now)).index(taken_at) >= self.allowed:  # another process took the last request
            raise self._used_up(now)
        self._add(1, self.price)

    def left(self, now: datetime) -> int:
        """Returns how many requests the day of `now` has left."""
        return max(0, self.allowed - len(self._today(now)))

    def require(self, requests: int) -> None:
        """Checks that `requests` more requests are within the budget, before money is spent on a collection that cannot finish.

        Raises:
            Throttled: the rest of today's budget does not suffice.
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
        # Those of days to come were recorded while the clock was ahead, or after one that was: they were made, and cost money.
        taken = self.context.snapshots.taken(KIND, BillingPeriod.of(now))
        return [moment for moment in taken if moment.astimezone(UTC).date() >= now.date()]

    def _recorded(self, now: datetime) -> datetime:
        """Records the request and returns the instant under which it is recorded, later than that of any other request.

        Each try leaves twice the room to the newest one that it knows, for what others record meanwhile: of four processes that always
        left a microsecond, one failed twenty times in a row.
        """
        period = BillingPeriod.of(now)
        for tried in range(_TRIES):
            taken = self.context.snapshots.taken(KIND, period)
            taken_at = max([now, *(moment + timedelta(microseconds=2**tried) for moment in taken[-1:])])
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
    """Estimates how many requests a period takes, from the last collection of it, which is stored among the account's snapshots.

    Attributes:
        budget: the daily budget that pays for the requests.
        kind: kind of the snapshots; each way of reading has its own.
        least: requests that any collection takes.
    """

    budget: DailyRequestBudget
    kind: str
    least: int

    def known(self, period: BillingPeriod) -> int | None:
        """Returns what the last collection of a period took, or would have taken at least; None if there was none."""
        kept = self._snapshots.newest(self.kind, period)
        return None if kept is None else int(json.loads(kept.body)["requests"])

    def expected(self, period: BillingPeriod, others: Iterable[BillingPeriod]) -> int:
        """Returns how many requests a period will take; more than a whole day's budget only if an earlier collection of it took more.

        Args:
            period: the period to estimate.
            others: for a period that was never collected, the nearest of these periods with a known number gives the estimate.
        """
        known = self.known(period)
        if known is not None and known > self.budget.allowed:
            return known
        if known is None:
            nearest = sorted(others, key=lambda other: abs(other.start - period.start))
            known = next((told for told in map(self.known, nearest) if told is not None), 0)
        return min(max(known, self.least), self.budget.allowed)

    def keep(self, period: BillingPeriod, requests: int) -> None:
        """Stores how many requests a collection took."""
        last = self._snapshots.newest(self.kind, period)
        now = self.budget.context.clock()
        taken_at = now if last is None else max(now, last.taken_at + timedelta(microseconds=1))
        body = json.dumps({"requests": requests}).encode()
        self._snapshots.add(Snapshot(self.kind, period, taken_at, body))

    def keep_at_least(self, period: BillingPeriod, requests: int) -> None:
        """Stores that a collection takes at least this many requests; it has not ended yet."""
        self.keep(period, max(requests, self.known(period) or 0))

    @property
    def _snapshots(self) -> Snapshots:
        return self.budget.context.snapshots
