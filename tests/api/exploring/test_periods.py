"""Periods: what each is compared with, and the days, weeks and months of a chart."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.exploring.periods import GRANULARITIES, PRESETS, Days, month_to_date, preset
from optiinfra_assets.domain.day_span import next_month

DAYS = st.dates(date(1980, 1, 1), date(2090, 1, 1))


@given(DAYS, st.sampled_from(list(PRESETS)))
def test_a_preset_ends_today_or_with_the_last_month(today: date, name: str) -> None:
    days = preset(name, today)
    assert days.start < days.end
    assert days.end == (today.replace(day=1) if name == "last-month" else today + timedelta(days=1))


@given(DAYS, st.sampled_from([name for name in PRESETS if name.endswith("-days")]))
def test_a_number_of_days_is_so_many(today: date, name: str) -> None:
    assert preset(name, today).count == int(name.partition("-")[0])


@given(DAYS, st.integers(1, 400))
def test_what_is_compared_with_lies_before(start: date, count: int) -> None:
    days = Days(start, start + timedelta(days=count))
    before = days.before()
    assert before.start < before.end <= days.start
    if start.day > 1:
        assert (before.count, before.end) == (count, start)


@given(DAYS)
def test_a_whole_month_is_compared_with_the_whole_month_before(today: date) -> None:
    month = preset("last-month", today)
    before = month.before()
    assert (before.end, before.start.day, next_month(before.start)) == (month.start, 1, month.start)


@given(DAYS)
def test_month_to_date_is_the_days_that_are_over(today: date) -> None:
    days = month_to_date(today)
    assert (days.end, days.start.day, days.start.month) == (today, 1, (today - timedelta(days=1)).month)


@pytest.mark.parametrize(
    ("today", "before"),
    [
        (date(2026, 3, 31), Days(date(2026, 2, 1), date(2026, 3, 1))),
        (date(2024, 3, 30), Days(date(2024, 2, 1), date(2024, 3, 1))),
        (date(2026, 11, 18), Days(date(2026, 10, 1), date(2026, 10, 18))),
        (date(2026, 12, 1), Days(date(2026, 10, 1), date(2026, 11, 1))),
        (date(2026, 1, 10), Days(date(2025, 12, 1), date(2025, 12, 10))),
    ],
    ids=["a short month", "a leap year", "the same days", "the first of a month", "New Year"],
)
def test_the_same_days_of_the_month_before(today: date, before: Days) -> None:
    assert month_to_date(today).before() == before


@given(DAYS, st.integers(1, 400), st.sampled_from(list(GRANULARITIES)))
def test_the_points_of_a_chart_cover_every_day_once(start: date, count: int, granularity: str) -> None:
    days = Days(start, start + timedelta(days=count))
    firsts = list(days.buckets(granularity))
    ends = [*firsts[1:], next_month(firsts[-1]) if granularity == "MONTHLY" else firsts[-1] + timedelta(days=7)]
    assert firsts[0] <= start < ends[0]
    assert firsts == sorted(set(firsts))
    assert firsts[-1] < days.end
    if granularity == "WEEKLY":
        assert {one.weekday() for one in firsts} == {0}
    if granularity == "MONTHLY":
        assert {one.day for one in firsts} == {1}
