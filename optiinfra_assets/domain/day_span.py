"""UTC days from a first to before an end, and what they are compared with: one rule for pages, tools and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self, TypeVar

_DAY = timedelta(days=1)
_Date = TypeVar("_Date", bound=date)


@dataclass(frozen=True, slots=True)
class DaySpan:
    """The UTC days from `start` to before `end`."""

    start: date
    end: date

    @property
    def last(self) -> date:
        """The last of them."""
        return self.end - _DAY

    @property
    def count(self) -> int:
        """How many they are."""
        return (self.end - self.start).days

    @property
    def graphql(self) -> dict[str, str]:
        """The argument `period`."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    def before(self) -> Self:
        """What they are compared with: the same days of the month before if they begin a month, else as many days just before."""
        if self.start.day > 1 or self.last >= next_month(self.start):
            return self.just_before()
        start = (self.start - _DAY).replace(day=1)
        is_whole = self.end == next_month(self.start)
        return type(self)(start, self.start if is_whole else min(start + timedelta(days=self.count), self.start))

    def just_before(self) -> Self:
        """As many days, just before them."""
        return type(self)(self.start - timedelta(days=self.count), self.start)


def next_month(day: _Date) -> _Date:
    """The first day of the month after that of `day`, at its time if it has one."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
