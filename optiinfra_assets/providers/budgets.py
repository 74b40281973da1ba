"""Requests that cost money, counted for the whole account and stopped at so much a UTC day, whoever makes them.

Each request is on record, among the account's kept answers, before it is sent: so several runs and processes count together, and none
that dies in the middle forgets what it has spent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from optiinfra_assets.model import BillingPeriod
from optiinfra_assets.providers.base import Permanent, Throttled, Transient
from optiinfra_assets.providers.context import Context, Snapshot
from optiinfra_assets.providers.metering import Meter

KIND = "paid request"
_TRIES = 20


@dataclass(slots=True, kw_only=True)
class DailyBudget(Meter):
    """A `Meter` that refuses to go beyond a budget.

    Attributes:
        context: its clock says what day it is, its snapshots hold the record.
        budget: USD a UTC day.
        advice: what a person may do about it, for messages.
    """

    context: Context = field(repr=False)
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
        if sorted(self._today(now)).index(taken_at) >= self._allowed:  # another process was faster
            raise self._used_up(now)
        self._add(1, self.price)

    def left(self, now: datetime) -> int:
        """How many requests may still be made on the day of `now`."""
        return max(0, self._allowed - len(self._today(now)))

    def require(self, requests: int) -> None:
        """Go on only if so many requests more are within the budget, before money is spent on what cannot be finished.

        Raises:
            Throttled: today they are not.
            Permanent: no day's budget suffices.
        """
        if self.requests + requests > self._allowed:
            raise Permanent(
                f"one collection takes {self.requests + requests} requests, ${(self.requests + requests) * self.price}, "
                f"more than the daily budget of ${self.budget}: {self.advice}"
            )
        now = self.context.clock()
        if self.left(now) < requests:
            raise self._used_up(now)

    @property
    def _allowed(self) -> int:
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
            f"the daily budget of ${self.budget} for paid requests does not suffice: {self._allowed - self.left(now)} of "
            f"{self._allowed} are made today; it begins anew at {midnight:%Y-%m-%d %H:%M} UTC; {self.advice}",
            midnight,
        )
