"""Which billing periods can be collected, and how many in one run: each bound from both sides."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import (
    SMALL,
    TOGETHER,
    CollectionRunRequest,
    RunScope,
    in_turns,
    is_open,
    run_scopes,
    together,
)

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


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12)), max_size=40),
)
def test_customers_take_turns_each_in_its_own_order(wanted: list[tuple[str, int]]) -> None:
    scopes = [
        RunScope(customer, "focus", f"{customer}.{number}", BillingPeriod(2026, month), BillingPeriod(2026, month))
        for number, (customer, month) in enumerate(wanted)
    ]
    found = in_turns(scopes)
    assert sorted(scope for scope, _ in found) == sorted(scopes)
    for customer in "abc":
        mine = [(scope, rank) for scope, rank in found if scope.customer_id == customer]
        assert mine == list(zip([one for one in scopes if one.customer_id == customer], range(len(mine)), strict=True))
    assert [rank for _, rank in found] == sorted(rank for _, rank in found)


def test_a_person_goes_before_the_schedule_however_many_runs_the_customer_has() -> None:
    scope = RunScope("a", "focus", "a.b", NOVEMBER_2026, NOVEMBER_2026)

    def priority(trigger: str, rank: int) -> int:
        tags = CollectionRunRequest.of((scope,), "key", "task", trigger, rank=rank).tags
        return int(tags["dagster/priority"])

    ranked = {
        trigger: {priority(trigger, rank) for rank in (0, 5, 1000)} for trigger in ("cli", "schedule", "backfill")
    }
    assert min(ranked["cli"]) > max(ranked["schedule"])
    assert min(ranked["schedule"]) > max(ranked["backfill"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sampled_from("xy"),
            st.integers(0, 30),
            st.sampled_from([None, 0, 1, SMALL, SMALL + 1, 10**9]),
        ),
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_a_run_holds_each_scope_once_and_no_more_than_it_may(
    drawn: list[tuple[str, str, int, int | None]], copies: int
) -> None:
    sizes = {
        RunScope(customer, provider, f"{customer}.{copy}", month, month): size
        for customer, provider, back, size in drawn
        for copy in range(copies)
        for month in (NOVEMBER_2026.shift(-back),)
    }
    ranked = in_turns(sizes)
    runs = together(ranked, {slice_: size for scope, size in sizes.items() for slice_ in scope.slices})
    assert sorted(one for run, _ in runs for one in run) == sorted(sizes)
    assert all(rank == dict(ranked)[run[0]] for run, rank in runs)
    small = [scope for scope, size in sizes.items() if (size or 0) <= SMALL]
    owners = Counter((one.provider, one.account_id) for one in small)
    shared = [run for run, _ in runs if all((sizes[one] or 0) <= SMALL for one in run)]
    longest = {name: max(owners[owner] for owner in owners if owner[0] == name) for name, _ in owners}
    assert len(shared) <= sum(longest.values()) + 2 * len(small) // TOGETHER
    for run, _ in runs:
        assert len({one.account_id for one in run}) == len(run)
        assert len({one.provider for one in run}) == 1
        assert len(run) == 1 or len(run) <= TOGETHER
        assert len(run) == 1 or all((sizes[one] or 0) <= SMALL for one in run)
