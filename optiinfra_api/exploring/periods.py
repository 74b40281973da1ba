"""Periods of UTC days that pages offer, and what each is compared with. An end is exclusive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from optiinfra_assets.domain.day_span import DaySpan, next_month

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
class Days(DaySpan):
    """The UTC days that a page shows."""

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
