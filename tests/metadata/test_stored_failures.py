"""Failures as they are stored: how long the schedule waits, since when, and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.failures import (
    AFTER_PERMANENT,
    AFTER_TRANSIENT,
    AFTER_UNEXPECTED,
    Failure,
    Fault,
    RetryPause,
)
from optiinfra_assets.metadata import Metadata

OCTOBER = BillingPeriod(2026, 10)
SLICE = Slice("acme", "focus", "acme.main", OCTOBER)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def account(metadata: Metadata) -> Metadata:
    """The metadata with one account, whose October was seen."""
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    metadata.slices.record_probe("acme.main", {OCTOBER: "a"}, AT)
    return metadata


def fail(metadata: Metadata, pause: RetryPause, at: datetime = AT, until: datetime | None = None) -> Failure:
    """One more failed collection; the failure that stands then."""
    metadata.collections.start(f"task-{at.isoformat()}", "schedule", SLICE, "run")
    metadata.failures.record(SLICE, "no", Fault.PROVIDER, at, pause, until)
    (failure,) = metadata.failures.find()
    return failure


def due(metadata: Metadata, at: datetime) -> bool:
    """Whether the schedule would collect the slice at an instant, were no other task open."""
    for task in {row.task_id for row in metadata.work_queue.open_collections()}:
        metadata.collections.close("failed", "no", task_id=task)
    return bool(metadata.work_queue.slices_to_collect(["focus"], at, "tick"))


@pytest.mark.parametrize(
    ("pause", "waits"),
    [
        (AFTER_PERMANENT, [6 * HOUR, 12 * HOUR, 24 * HOUR, 24 * HOUR]),
        (AFTER_TRANSIENT, [0 * HOUR, 20 * MINUTE, 40 * MINUTE, HOUR, HOUR]),
        (AFTER_UNEXPECTED, [0 * HOUR, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE, 160 * MINUTE, 320 * MINUTE, 6 * HOUR]),
    ],
    ids=["permanent", "transient", "unexpected"],
)
def test_each_failure_in_a_row_waits_longer(account: Metadata, pause: RetryPause, waits: list[timedelta]) -> None:
    for number, wait in enumerate(waits, start=1):
        at = AT + number * 48 * HOUR
        failure = fail(account, pause, at)
        assert (failure.failures, failure.since, failure.retry_at) == (number, AT + 48 * HOUR, at + wait)
        assert due(account, at + wait)
        assert not due(account, at + wait - MINUTE) or not wait


def test_after_many_failures_the_wait_is_still_a_time(account: Metadata) -> None:
    for number in range(80):
        failure = fail(account, AFTER_PERMANENT, AT + number * MINUTE)
    assert failure.retry_at == AT + 79 * MINUTE + AFTER_PERMANENT.longest


def test_a_provider_that_names_a_time_is_not_asked_before(account: Metadata) -> None:
    until = AT + 3 * HOUR
    assert fail(account, AFTER_TRANSIENT, AT, until).retry_at == until
    assert not due(account, until - MINUTE)
    assert due(account, until)


def test_another_state_of_the_source_is_tried_at_once(account: Metadata) -> None:
    fail(account, AFTER_PERMANENT)
    assert not due(account, AT + HOUR)
    account.slices.record_probe("acme.main", {OCTOBER: "b"}, AT)
    assert due(account, AT + HOUR)
    (failure,) = account.failures.find()
    assert failure.message == "no", "until it is collected, the failure stands"
    assert failure.retry_at is None, "what is tried at the next tick does not claim to wait"


def test_what_was_collected_before_and_failed_since_is_tried_when_it_says_so(account: Metadata) -> None:
    """A person had an unchanged month collected again: no probe sees a change, so the failure would stand for ever."""
    account.slices.record_collection(SLICE, "a", AT)
    failure = fail(account, AFTER_PERMANENT)
    assert failure.retry_at == AT + 6 * HOUR
    assert not due(account, AT + 6 * HOUR - MINUTE)
    assert due(account, AT + 6 * HOUR)
    account.slices.record_collection(SLICE, "a", AT + 6 * HOUR)
    assert account.failures.find() == []
    assert not due(account, AT + 48 * HOUR)


def test_a_success_ends_it_and_the_next_failure_is_the_first_again(account: Metadata) -> None:
    fail(account, AFTER_PERMANENT)
    account.slices.record_collection(SLICE, "a", AT + HOUR)
    assert account.failures.find() == []
    account.slices.record_probe("acme.main", {OCTOBER: "b"}, AT)
    later = AT + 10 * HOUR
    failure = fail(account, AFTER_PERMANENT, later)
    assert (failure.failures, failure.since, failure.retry_at) == (1, later, later + 6 * HOUR)


def test_a_month_that_was_never_seen_keeps_no_failure(account: Metadata) -> None:
    strange = Slice("acme", "focus", "acme.main", BillingPeriod(2021, 1))
    account.failures.record(strange, "no", Fault.SOURCE, AT, AFTER_PERMANENT)
    assert account.failures.find() == []


@settings(max_examples=20)
@given(steps=st.lists(st.sampled_from(["fail", "succeed", "change", "back"]), max_size=8))
def test_a_failure_stands_exactly_while_what_failed_is_not_collected(account: Metadata, steps: list[str]) -> None:
    seen, collected, failed, number = "0", "0", None, 0
    account.slices.record_probe("acme.main", {OCTOBER: seen}, AT)
    account.slices.record_collection(SLICE, seen, AT)
    for number, step in enumerate(steps, start=1):
        if step == "fail":
            account.collections.start(f"{steps}-{number}", "schedule", SLICE, "run")
            account.failures.record(SLICE, "no", Fault.SOURCE, AT, AFTER_PERMANENT)
            failed = seen
        elif step == "succeed":
            account.slices.record_collection(SLICE, seen, AT)
            collected, failed = seen, None
        else:
            seen = str(number) if step == "change" else collected
            account.slices.record_probe("acme.main", {OCTOBER: seen}, AT)
        stands = failed is not None and (seen != collected or failed == seen)
        assert bool(account.failures.find()) == stands
    account.slices.record_collection(SLICE, seen, AT)


def test_only_the_customers_own_failures_are_seen(account: Metadata) -> None:
    fail(account, AFTER_PERMANENT)
    with account.of_customer("other"):
        assert account.failures.find() == []
    with account.of_customer("acme"):
        assert len(account.failures.find(customer_id="acme", account_id="acme.main")) == 1
    assert account.failures.find(customer_id="other") == []
