"""A failure that stands is seen at its account, with its time of the next try, and ends with the next success."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.cli.problems import LEAST_FREE_BYTES, disk_problem, problems_of
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    Throttled,
    Transient,
    Unreachable,
)
from optiinfra_assets.domain.failures import REMEDIES, Fault
from optiinfra_assets.ingestion.onboarding import read_source, save_settings
from optiinfra_assets.vault.credential_audit import Actor

QUARTER = timedelta(minutes=15)
BEYOND = "99999999999999999999"


@pytest.fixture
def failing(scripted_platform: Platform, scripted: Scripted, files: Files) -> Callable[[Exception], Platform]:
    """A platform whose collection of October fails with the given error, at the tick of NOW."""

    def fail(error: Exception) -> Platform:
        files.write("october", "2026-10", ["1"])

        def raise_it(*_: object) -> None:
            raise error

        scripted.on_collect = raise_it
        scripted_platform.collect(scripted_platform.tick(NOW))
        return scripted_platform

    return fail


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (CredentialRejected("the key was revoked"), Fault.CREDENTIAL),
        (BadData("row 1: not accepted"), Fault.SOURCE),
        (ContractChanged("an answer that was not expected"), Fault.PROVIDER),
        (Transient("the provider failed (500)"), Fault.PROVIDER),
        (Throttled("too many requests", NOW + timedelta(hours=3)), Fault.PROVIDER),
        (Unreachable("no answer"), Fault.NETWORK),
        (OSError(errno.ENOSPC, "No space left on device"), Fault.STORAGE),
        (KeyError("password=hunter2"), Fault.PLATFORM),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_failure_is_seen_where_its_account_is(
    failing: Callable[[Exception], Platform], error: Exception, fault: Fault
) -> None:
    platform = failing(error)
    (failure,) = platform.metadata.failures.find(customer_id="acme")
    assert (failure.account_id, str(failure.billing_period), failure.fault) == ("acme.files", "2026-10", fault)
    assert (failure.since, failure.failures, failure.remedy) == (NOW, 1, REMEDIES[fault])
    assert "hunter2" not in failure.message
    (account,) = platform.metadata.activity.find("acme")
    assert account.last_error == f"2026-10: {failure.message}"
    assert platform.metadata.accounts.states()[0].last_error == account.last_error
    problems = problems_of(platform.settings, platform.metadata, platform.warehouse, [failure], NOW)
    assert [one.what for one in problems if one.kind == "failure"] == [f"acme.files 2026-10: {failure.message}"]


def test_the_next_success_ends_a_failure(failing: Callable[[Exception], Platform], scripted: Scripted) -> None:
    platform = failing(Transient("away"))
    scripted.on_collect = lambda *_: None
    platform.collect(platform.tick(NOW + QUARTER))
    assert platform.metadata.failures.find() == []
    assert platform.metadata.activity.find("acme")[0].last_error is None


def test_a_failure_ends_when_the_source_goes_back_to_what_was_collected(platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    platform.collect(platform.tick(NOW))
    kept = files.path / "october.csv"
    content, times = kept.read_bytes(), kept.stat()
    files.write("september", "2026-09", ["bad"])
    platform.collect(platform.tick(NOW + QUARTER))
    assert [str(one.billing_period) for one in platform.metadata.failures.find()] == ["2026-09"]
    files.remove("september")
    platform.collect(platform.tick(NOW + 2 * QUARTER))
    assert platform.metadata.failures.find() == []
    assert (kept.read_bytes(), kept.stat()) == (content, times)


def test_since_when_stays_while_it_fails(failing: Callable[[Exception], Platform]) -> None:
    platform = failing(Transient("away"))
    platform.collect(platform.tick(NOW + QUARTER))
    (failure,) = platform.metadata.failures.find()
    assert (failure.since, failure.failures) == (NOW, 2)


@pytest.mark.parametrize(
    ("error", "minutes"),
    [
        (Transient("away"), [15, 45, 90]),
        (KeyError("a bug"), [15, 45, 90]),
        (BadData("row 1: not accepted"), [360, 1080]),
    ],
    ids=["transient", "unexpected", "permanent"],
)
def test_a_failure_is_tried_less_and_less_often(
    failing: Callable[[Exception], Platform], error: Exception, minutes: list[int]
) -> None:
    platform = failing(error)
    for at in minutes:
        assert platform.tick(NOW + timedelta(minutes=at) - QUARTER) == [] or at == 15
        requests = platform.tick(NOW + timedelta(minutes=at))
        assert len(requests) == 1
        platform.collect(requests)


def test_a_total_beyond_what_is_stored_is_refused_once_and_says_so(platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", [BEYOND, BEYOND])
    platform.add_account("acme.files", location=str(files.path))
    platform.collect(platform.tick(NOW))
    assert platform.tick(NOW + QUARTER) == []
    (failure,) = platform.metadata.failures.find()
    assert (failure.fault, failure.retry_at) == (Fault.SOURCE, NOW + timedelta(hours=6))
    assert f"adds up to {2 * Decimal(BEYOND):f}" in failure.message
    files.write("october", "2026-10", [BEYOND, f"-{BEYOND}", BEYOND])
    platform.collect(platform.tick(NOW + 2 * QUARTER))
    assert platform.total("2026-10") == Decimal(BEYOND)


def test_days_that_the_derived_tables_cannot_hold_are_not_tried_at_every_tick(platform: Platform, files: Files) -> None:
    """The month comes to little, but one day of it to too much: `_row` puts rows 0 and 28 on the first day."""
    amounts = ["0"] * 57
    amounts[0] = amounts[28] = amounts[56] = BEYOND
    amounts[1] = amounts[2] = amounts[3] = f"-{BEYOND}"
    files.write("october", "2026-10", amounts)
    platform.add_account("acme.files", location=str(files.path))
    platform.collect(platform.tick(NOW))
    (failure,) = platform.metadata.failures.find()
    assert (failure.fault, failure.retry_at) == (Fault.STORAGE, NOW + timedelta(hours=6))
    assert platform.tick(NOW + QUARTER) == []


def test_a_person_who_changes_the_account_has_it_tried_by_the_next_tick(
    failing: Callable[[Exception], Platform], scripted: Scripted
) -> None:
    platform = failing(CredentialRejected("the key was revoked"))
    assert platform.tick(NOW + QUARTER) == []
    (account,) = platform.metadata.accounts.find()
    save_settings(platform.metadata, account, read_source(scripted, account), Actor.here("connect"), with_secrets=False)
    assert len(platform.tick(NOW + 2 * QUARTER)) == 1


def test_a_probe_that_fails_is_a_failure_of_its_account(scripted_platform: Platform, scripted: Scripted) -> None:
    def fail(_: str) -> None:
        raise Unreachable("no answer")

    scripted.on_probe = fail
    for number in range(2):
        scripted_platform.tick(NOW + number * QUARTER)
    (failure,) = scripted_platform.metadata.failures.find()
    assert (failure.billing_period, failure.fault, failure.since) == (None, Fault.NETWORK, NOW)
    scripted_platform.metadata.accounts.disable("acme.files")
    assert scripted_platform.metadata.failures.find() == []


def test_accounts_that_nobody_asks_and_collections_that_do_not_move_are_problems(
    platform: Platform, files: Files
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    platform.tick(NOW)
    queued = platform.metadata.collections.history()[0].queued_at

    def kinds(hours: float) -> set[str]:
        at = max(queued, NOW) + timedelta(hours=hours)
        platform.metadata.work_queue.record_probe_tries(["acme.files"], at - timedelta(minutes=90 if hours < 1 else 1))
        found = problems_of(platform.settings, platform.metadata, platform.warehouse, [], at)
        return {one.kind for one in found} - {"disk"}

    assert kinds(0.5) == {"not_asked"}
    assert kinds(1.9) == set()
    assert kinds(2.1) == {"stuck"}


@given(free=st.integers(0, 2**44), total=st.integers(1, 2**44))
def test_a_disk_is_a_problem_only_if_little_is_left_in_share_and_in_bytes(free: int, total: int) -> None:
    free = min(free, total)
    found = disk_problem("/data", free, total)
    assert (found is not None) == (free < LEAST_FREE_BYTES and free * 20 < total)


def test_a_run_that_died_is_a_failure_of_the_platform(
    failing: Callable[[Exception], Platform], scripted: Scripted
) -> None:
    platform = failing(Transient("away"))
    scripted.on_collect = lambda *_: None
    (request,) = platform.tick(NOW + QUARTER)
    run = platform.instance.create_run_for_job(
        platform.definitions.get_repository_def().get_job("__ASSET_JOB"),
        tags=dict(request.tags),
        status=dg.DagsterRunStatus.NOT_STARTED,
    )
    row = platform.metadata.collections.history()[0]
    platform.metadata.collections.start(row.task_id, "schedule", row.slice, run.run_id)
    platform.instance.report_run_failed(run)
    platform.instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    platform.sense("follow_runs")
    (failure,) = platform.metadata.failures.find()
    assert (failure.fault, failure.message) == (Fault.PLATFORM, "the run ended before this slice was collected")
