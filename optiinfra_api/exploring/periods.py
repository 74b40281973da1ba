"""Periods of UTC days that pages offer, and what each is compared with. An end is exclusive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

PRESETS: Final = {
    "this-month": "This month",
    "last-month": "Last month",
    "7-days": "Last 7 days",
    "30-days": "Last 30 days",
    "90-days": "Last 90 days",
    "12-months": "Last 12 months",
}
"""Name in the address -> what people read."""

GRANULARITIES: Final = {"DAILY": "Days", "WEEKLY": "Weeks", "MONTHLY": "Months"}
_MOST_DAYS: Final = 62
_MOST_WEEKS: Final = 200
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Days:
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

    def before(self) -> Days:
        """What they are compared with: the same days of the month before if they begin a month, else as many days just before."""
        if self.start.day > 1 or self.last >= next_month(self.start):
            return self.just_before()
        start = (self.start - _DAY).replace(day=1)
        is_whole = self.end == next_month(self.start)
        return Days(start, self.start if is_whole else min(start + timedelta(days=self.count), self.start))

    def just_before(self) -> Days:
        """As many days, just before them."""
        return Days(self.start - timedelta(days=self.count), self.start)

    def granularity(self) -> str:
        """What makes one amount of a chart where nobody chose."""
        return "DAILY" if self.count <= _MOST_DAYS else "WEEKLY" if self.count <= _MOST_WEEKS else "MONTHLY"

    def buckets(self, granularity: str) -> Iterator[date]:
        """The first days of the days, weeks or months that the answer to a cost query may have; the first may lie before `start`."""
        day = self.start
        if granularity == "WEEKLY":
            day -= timedelta(days=day.weekday())
        elif granularity == "MONTHLY":
            day = day.replace(day=1)
        while day < self.end:
            yield day
            day = next_month(day) if granularity == "MONTHLY" else day + _DAY * (7 if granularity == "WEEKLY" else 1)


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def preset(name: str, today: date) -> Days:
    """The days of a name of `PRESETS`. All but the last month include `today`."""
    first, tomorrow = today.replace(day=1), today + _DAY
    if name == "last-month":
        return Days((first - _DAY).replace(day=1), first)
    if name == "12-months":
        return Days(next_month(first.replace(year=first.year - 1)), tomorrow)
    if name == "this-month":
        return Days(first, tomorrow)
    return Days(tomorrow - timedelta(days=int(name.partition("-")[0])), tomorrow)


def month_to_date(today: date) -> Days:
    """The days of a month that are over: of this month, or on its first day those of the month before."""
    yesterday = today - _DAY
    return Days(yesterday.replace(day=1), today)
