"""Accounts at a glance: probes, publications, and what was asked of their providers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.metadata import Metadata

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOVEMBER = BillingPeriod(2026, 11)


def account(metadata: Metadata, account_id: str, provider: str = "focus") -> None:
    customer_id = account_id.partition(".")[0]
    metadata.customers.add(customer_id)
    metadata.accounts.add(Account(account_id, customer_id, provider))


def test_an_account_that_has_done_nothing_yet(metadata: Metadata) -> None:
    account(metadata, "acme.main")
    (one,) = metadata.activity.find("acme")
    assert (one.account_id, one.provider, one.status, one.is_simulated) == (
        "acme.main",
        "focus",
        "active",
        False,
    )
    assert (one.last_probe_at, one.last_change_at, one.last_published_at, one.last_error) == (None,) * 4
    assert (one.known_periods, one.due_periods, one.requests, one.request_cost) == (0, 0, 0, 0)


def test_progress_of_a_backfill_and_the_last_publication(metadata: Metadata) -> None:
    account(metadata, "acme.main")
    metadata.slices.record_probe("acme.main", {NOVEMBER: "a", NOVEMBER.shift(-1): "b"}, NOW)
    (one,) = metadata.activity.find("acme")
    assert (one.known_periods, one.due_periods, one.last_change_at) == (2, 2, NOW)
    slice_ = Slice("acme", "focus", "acme.main", NOVEMBER)
    later = NOW + timedelta(minutes=3)
    metadata.slices.record_collection(slice_, "a", later, generation=7, published_at=later)
    metadata.work_queue.record_probe_errors({"acme.main": ("no answer", Fault.NETWORK)}, NOW)
    (one,) = metadata.activity.find("acme")
    assert (one.known_periods, one.due_periods, one.last_published_at) == (2, 1, later)
    assert one.last_error == "no answer"


def test_periods_before_the_first_that_is_collected_are_not_due_for_ever(metadata: Metadata) -> None:
    account(metadata, "acme.main")
    metadata.slices.record_probe("acme.main", {BillingPeriod(2019, 5): "old", NOVEMBER: "a"}, NOW)
    statement = sql_files.read("postgres", "migrations", "0037_slice_state_before_first_period.sql")
    with metadata._connection() as connection:
        connection.execute(statement.encode())
    (one,) = metadata.activity.find("acme")
    assert (one.known_periods, one.due_periods) == (1, 1)


def test_a_customers_accounts_come_in_pages_and_are_nobody_elses(metadata: Metadata) -> None:
    for account_id in ("acme.a", "acme.b", "acme.c", "zenith.a"):
        account(metadata, account_id, "aws" if account_id == "acme.b" else "focus")
    first = metadata.activity.find("acme", first=2)
    rest = metadata.activity.find("acme", first=2, after=first[-1].account_id)
    assert [one.account_id for one in [*first, *rest]] == ["acme.a", "acme.b", "acme.c"]
    assert [one.account_id for one in metadata.activity.find("acme", provider="aws")] == ["acme.b"]
    assert metadata.activity.find("acme", account_id="zenith.a") == []


@settings(max_examples=15)
@given(
    made=st.lists(
        st.tuples(
            st.sampled_from(["probe", "collect"]),
            st.integers(1, 10**6),
            st.decimals("0", "99", places=12),
            st.integers(0, 40),
        ),
        max_size=12,
    )
)
def test_requests_and_their_price_add_up_exactly(metadata: Metadata, made: list[tuple[str, int, Decimal, int]]) -> None:
    account(metadata, "acme.main")
    account(metadata, "acme.other")
    (before,) = metadata.activity.find("acme", account_id="acme.main")
    for purpose, requests, cost, hours in made:
        asked = {"acme.main": (requests, cost), "acme.other": (1, Decimal(1))}
        metadata.activity.record_requests(purpose, asked, NOW + timedelta(hours=hours))  # type: ignore[arg-type]
    (after,) = metadata.activity.find("acme", account_id="acme.main")
    assert after.requests - before.requests == sum(requests for _, requests, _, _ in made)
    assert after.request_cost - before.request_cost == sum((cost for _, _, cost, _ in made), Decimal(0))
