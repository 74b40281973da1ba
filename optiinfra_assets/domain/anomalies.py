"""Anomalies as they are stored, and what people say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum


class UsageKey(NamedTuple):
    """What a series of usage is of; `service` '' for the whole account."""

    provider: str
    account: str
    service: str
    currency: str


class AnomalyStatus(StrEnum):
    """What people say of an anomaly."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    PLANNED = "planned"
    FALSE = "false"
    EXPECTED = "expected"
    FIXED = "fixed"


LONGEST_NOTE = 500
"""Characters."""
RESOLVED = frozenset({AnomalyStatus.PLANNED, AnomalyStatus.FALSE, AnomalyStatus.EXPECTED, AnomalyStatus.FIXED})
"""States in which nobody has anything left to do."""


class AnomalyDay(NamedTuple):
    """What an odd day cost, exactly, and what was expected of it, in whole subunits."""

    cost: Decimal
    expected: Decimal

    @property
    def excess(self) -> Decimal:
        """What it cost beyond what was expected; below 0 for a drop."""
        return exact_difference(self.cost, self.expected)


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a person said of an anomaly. Times are UTC.

    Attributes:
        until_day: the last day for which it is planned; None: no end.
        up_to: the cost of a day that is planned; None: any.
        from_day: the first day that it teaches: none that the anomaly had.
    """

    anomaly_id: str
    set_at: datetime
    state: AnomalyStatus
    until_day: date | None
    up_to: Decimal | None
    note: str
    author: str
    author_name: str
    from_day: date

    def plans(self, day: date, cost: float) -> bool:
        """Tell whether it is planned that a day costs so much."""
        is_on_time = self.until_day is None or day <= self.until_day
        return (
            self.state is AnomalyStatus.PLANNED
            and is_on_time
            and (self.up_to is None or Decimal(repr(cost)) <= self.up_to)
        )


@dataclass(frozen=True, slots=True)
class StoredAnomaly:
    """An anomaly as it was at an instant. Times are UTC.

    Attributes:
        made_at: since when it is like this.
        kind: what is odd about its first day.
        days: its odd days; those it had last if it is gone.
        projected: what it will have cost by the end of the month of its last day.
        score: how many times the width of the band its oddest day lies off.
        folded_into: the anomaly above it that shows the same; None: it is told of itself.
        causes: what explains the excess, see `analytics.stored_causes`.
        is_gone: its days, judged again, are odd no more.
        state: what was said last; None: nothing, so it is open.
    """

    anomaly_id: str
    made_at: datetime
    found_at: datetime
    series: UsageKey
    kind: str
    days: Mapping[date, AnomalyDay]
    projected: Decimal
    score: float
    folded_into: str | None
    causes: Mapping[str, Any]
    is_gone: bool
    is_simulated: bool
    state: StateChange | None = None

    @property
    def first_day(self) -> date:
        """The first odd day."""
        return min(self.days)

    @property
    def last_day(self) -> date:
        """The last odd day so far."""
        return max(self.days)

    @property
    def cost(self) -> Decimal:
        """What its days cost, exactly."""
        return exact_sum(one.cost for one in self.days.values())

    @property
    def expected(self) -> Decimal:
        """What was expected of them."""
        return exact_sum(one.expected for one in self.days.values())

    @property
    def excess(self) -> Decimal:
        """What they cost beyond that; below 0 for a drop."""
        return exact_difference(self.cost, self.expected)

    @property
    def ends_before(self) -> date:
        """The first day that is told again if it is odd: somebody has an answer to the days before it. The last there is: none has."""
        return self.state.from_day if self.state is not None and self.said in RESOLVED else date.max

    @property
    def said(self) -> AnomalyStatus:
        """Its state."""
        return AnomalyStatus.OPEN if self.state is None else self.state.state


def anomaly_id(customer_id: str, series: UsageKey, first_day: date) -> str:
    """Return the id of an anomaly that is found for the first time: the same whoever finds it, however often."""
    text = "\0".join((customer_id, *series, first_day.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_said(status: AnomalyStatus, until_day: date | None, up_to: Decimal | None, note: str) -> None:
    """Check what a person says of an anomaly.

    Raises:
        ValueError: something of it is not accepted; the message names it.
    """
    if status is not AnomalyStatus.PLANNED and (until_day is not None or up_to is not None):
        raise ValueError("until, upTo: go with the state planned only")
    if up_to is not None and (not up_to.is_finite() or not 0 <= up_to < 10**15):
        raise ValueError(f"upTo: {up_to} is not accepted: use an amount from 0 on, such as 1250.50")
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise ValueError(f"note: longer than {LONGEST_NOTE} characters, or not text")
