"""Makes one anomaly of odd days that belong together: by series within a week, and folded up the tree where the level above shows the
same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np

from optiinfra_assets.analytics.anomalies import Judgement, Kind
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

WITHIN_DAYS: Final = 7
"""A step is odd for some days, until it is the level; a spike may come twice."""
EXPLAINED: Final = Decimal("0.8")
"""So much of what children cost too much has to be seen at their parent."""


@dataclass(frozen=True)
class AnomalyEvent:
    """Odd days of one series that are told of once."""

    series: int
    kind: Kind
    """Of the first of them."""
    days: Mapping[date, Decimal]
    """What each day cost beyond what was expected; below 0 for a drop."""
    ends_before: date = date.max
    """From this day on, what is odd is told again: somebody had an answer to the days before it."""

    @property
    def first_day(self) -> date:
        """The day it began on, which names it: a day that is judged again leaves it the same anomaly."""
        return min(self.days)

    @property
    def last_day(self) -> date:
        """The last odd day so far."""
        return max(self.days)

    @property
    def excess(self) -> Decimal:
        """What all days cost beyond what was expected."""
        return exact_sum(self.days.values())


def merged(
    known: Sequence[AnomalyEvent], day: date, found: Judgement, cost: Sequence[Decimal], digits: int = 2
) -> list[AnomalyEvent]:
    """Return the anomalies after a day was judged, for the first time or again.

    An odd day joins the anomaly of its series that has a day within a week of it and goes on; a day that is odd no more leaves its own,
    and an anomaly without days is gone. `cost` is what each series cost on the day; what the excess is counted from is rounded to
    `digits`.
    """
    events = []
    for event in known:
        days = {when: amount for when, amount in event.days.items() if when != day}
        if days or found.kind[event.series] != Kind.NONE:
            events.append(replace(event, days=days))
    by_series: dict[int, list[int]] = {}
    for place, event in enumerate(events):
        by_series.setdefault(event.series, []).append(place)
    for series in map(int, np.flatnonzero(found.kind)):
        baseline = Decimal(repr(float(found.baseline[series]))).quantize(Decimal(1).scaleb(-digits))
        excess = exact_difference(cost[series], baseline)
        near = [place for place in by_series.get(series, []) if _is_near(events[place], day)]
        if near:
            event = events[near[-1]]
            events[near[-1]] = replace(event, days={**event.days, day: excess})
        else:
            events.append(AnomalyEvent(series, Kind(found.kind[series]), {day: excess}))
    return [event for event in events if event.days]


def _is_near(event: AnomalyEvent, day: date) -> bool:
    """Tell whether a day belongs to an anomaly, or was all there is of it."""
    return day < event.ends_before and (
        not event.days or any(abs((day - when).days) <= WITHIN_DAYS for when in event.days)
    )


def folded(events: Sequence[AnomalyEvent], parent_of: Mapping[int, int]) -> dict[int, int]:
    """Return for each event (by its place) that needs no telling the one above it that tells the same.

    A parent's event takes in those of its children that share days with it, if it has at least `EXPLAINED` of what they cost too much
    together: else savings beside them hide it, and they are told one by one. What is taken in by two levels is with the highest.
    """
    result: dict[int, int] = {}
    for place, event in enumerate(events):
        children = [
            other
            for other, child in enumerate(events)
            if parent_of.get(child.series) == event.series
            and event.first_day < child.ends_before
            and any(_is_near(event, day) for day in child.days)
        ]
        together = exact_sum(events[child].excess for child in children)
        if children and abs(event.excess) >= EXPLAINED * abs(together) and event.excess * together > 0:
            result.update(dict.fromkeys(children, place))
    return {child: _highest(result, child) for child in result}


def _highest(above: Mapping[int, int], place: int) -> int:
    while place in above:
        place = above[place]
    return place
