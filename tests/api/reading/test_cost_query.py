"""What a cost query may ask for: each bound from both sides, at the API itself, which has to answer what is just within."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import documents
import pytest
from world import World

LONGEST = timedelta(days=3660)
NEW_YEAR = date(2026, 1, 1)
FIRST, END = date(1971, 1, 1), date(2100, 1, 1)
DAY = timedelta(days=1)


def period(start: date, end: date) -> dict[str, str]:
    return {"start": str(start), "end": str(end)}


@pytest.mark.parametrize(
    ("start", "end"),
    [(NEW_YEAR, NEW_YEAR + DAY), (NEW_YEAR - LONGEST, NEW_YEAR), (FIRST, FIRST + LONGEST), (END - DAY, END)],
    ids=["one day", "the longest", "the first day and the longest", "the last day"],
)
def test_a_period_just_within_its_bounds_is_answered(world: World, start: date, end: date) -> None:
    answer = world.customer().data(documents.TOTAL, period=period(start, end))
    assert answer["totalCost"]["totals"] == []


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (NEW_YEAR, NEW_YEAR, "it has no day"),
        (NEW_YEAR - LONGEST - DAY, NEW_YEAR, "longer than 3660 days"),
        (FIRST - DAY, FIRST + DAY, "out of range"),
        (END - DAY, END + DAY, "out of range"),
    ],
    ids=["no day", "a day too long", "a day too early", "a day too late"],
)
def test_a_period_just_beyond_them_is_refused(world: World, start: date, end: date, why: str) -> None:
    error = world.customer().error(documents.TOTAL, period=period(start, end))
    assert error["message"] == f"period: {start} to {end} is not accepted: {why}"


@pytest.mark.parametrize("field", ["service", "currency"])
def test_a_filter_has_a_thousand_values_at_most(world: World, field: str) -> None:
    asked: dict[str, Any] = {"period": period(NEW_YEAR, NEW_YEAR + DAY)}
    customer = world.customer()
    values = [f"value {number}" for number in range(1001)]
    answer = customer.data(documents.TOTAL, **asked, filter={field: values[:1000]})
    assert answer["totalCost"]["totals"] == []
    error = customer.error(documents.TOTAL, **asked, filter={field: values})
    assert error["message"] == f"filter.{field}: 1001 values are not accepted"


@pytest.mark.parametrize(("days", "accepted"), [(0, False), (1, True), (31, True), (32, False)])
def test_the_newest_days_are_a_month_of_them_at_most(world: World, days: int, accepted: bool) -> None:
    document = f"{{ latestCosts(days: {days}) {{ accounts {{ account }} }} }}"
    if accepted:
        assert world.customer().data(document)["latestCosts"]["accounts"] == []
    else:
        assert world.customer().error(document)["message"] == f"days: {days} is not accepted"
