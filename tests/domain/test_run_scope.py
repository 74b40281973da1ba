"""Which billing periods can be collected, and how many in one run: each bound from both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import is_open, run_scopes

JANUARY_2020, NOVEMBER_2026 = BillingPeriod(2020, 1), BillingPeriod(2026, 11)


@pytest.mark.parametrize(
    ("period", "accepted"),
    [
        (BillingPeriod(2019, 12), False),
        (JANUARY_2020, True),
        (NOVEMBER_2026, True),
        (BillingPeriod(2026, 12), False),
    ],
    ids=str,
)
def test_from_the_first_month_to_the_current_one(period: BillingPeriod, accepted: bool) -> None:
    for now in (NOVEMBER_2026.start, NOVEMBER_2026.end - timedelta(microseconds=1)):
        assert is_open(period, now) == accepted


def test_the_next_month_is_open_with_its_first_instant() -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    assert is_open(BillingPeriod(2026, 12), december)
    assert not is_open(BillingPeriod(2026, 12), december - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("months", "spans"),
    [
        (1, ["2026-11"]),
        (12, ["2025-12..2026-11"]),
        (13, ["2025-11..2026-11"]),
        (14, ["2025-11..2026-11", "2025-10"]),
        (26, ["2025-11..2026-11", "2024-10..2025-10"]),
        (27, ["2025-11..2026-11", "2024-10..2025-10", "2024-09"]),
    ],
)
def test_a_run_has_a_year_and_a_month_at_most(months: int, spans: list[str]) -> None:
    asked = [Slice("acme", "focus", "acme.main", NOVEMBER_2026.shift(-back)) for back in range(months)]
    assert [str(scope).rpartition("/")[2] for scope in run_scopes(asked)] == spans
