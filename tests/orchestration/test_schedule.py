"""The schedule, tick by tick with a fixed time, on real stores and real files."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, Throttled, Transient
from optiinfra_assets.domain.run_scope import TASK_TAG, CollectionRunRequest, RunScope
from optiinfra_assets.ingestion.onboarding import build_account, read_source, save_account
from optiinfra_assets.orchestration.freshness_checks import evaluate_freshness

QUARTER = timedelta(minutes=15)


def ranges(requests: list[dg.RunRequest]) -> list[str]:
    """What each request covers: its partition, or the first and last of those in its configuration."""
    found = []
    for one in requests:
        steps = one.run_config.get("ops", {}).values()
        keys = sorted(key for step in steps for key in step["config"]["slices"])
        found.append(f"{keys[0]}..{keys[-1]}" if keys else one.tags["dagster/partition"])
    return found


@pytest.fixture
def connected(platform: Platform, files: Files) -> Platform:
    """An account on `files`, which has two months."""
    files.write("october", "2026-10", ["1"])
    files.write("november", "2026-11", ["2"])
    platform.add_account("acme.files", location=str(files.path))
    return platform


def test_a_first_tick_collects_everything_and_a_second_nothing(connected: Platform, files: Files) -> None:
    requests = connected.tick(NOW)
    assert ranges(requests) == ["acme.files|2026-10..acme.files|2026-11"]
    assert {status for _, status, _ in connected.history()} == {"queued"}
    assert all(result.success for result in connected.collect(requests))
    assert {status for _, status, _ in connected.history()} == {"succeeded"}
    assert connected.tick(NOW + QUARTER) == []
    assert connected.total("2026-11") == files.total("2026-11")


def test_a_tick_that_finds_nothing_says_what_it_checked(connected: Platform) -> None:
    connected.collect(connected.tick(NOW))
    assert connected.skip_reason(NOW + QUARTER) == "nothing to collect: 1 accounts checked"


def test_only_what_changed_is_requested(connected: Platform, files: Files) -> None:
    connected.collect(connected.tick(NOW))
    files.write("october", "2026-10", ["1", "1"])
    requests = connected.tick(NOW + QUARTER)
    assert ranges(requests) == ["acme.files|2026-10"]
    connected.collect(requests)
    assert connected.publications("2026-10") == 2
    assert connected.publications("2026-11") == 1


def test_a_removed_file_is_a_change_once(connected: Platform, files: Files) -> None:
    connected.collect(connected.tick(NOW))
    files.remove("october")
    requests = connected.tick(NOW + QUARTER)
    assert ranges(requests) == ["acme.files|2026-10"]
    connected.collect(requests)
    assert connected.total("2026-10") == 0
    assert connected.tick(NOW + 2 * QUARTER) == []


def test_a_file_removed_before_it_could_be_collected_is_settled(connected: Platform, files: Files) -> None:
    connected.collect(connected.tick(NOW))
    files.write("september", "2026-09", ["not a number"])
    connected.collect(connected.tick(NOW + QUARTER))
    files.remove("september")
    for tick in range(2, 5):
        connected.collect(connected.tick(NOW + tick * QUARTER))
    assert connected.tick(NOW + 6 * QUARTER) == []
    assert connected.total("2026-09") is None


def test_a_tick_evaluated_twice_asks_for_the_same_run(connected: Platform) -> None:
    first, again = connected.tick(NOW), connected.tick(NOW)
    assert [one.run_key for one in first] == [one.run_key for one in again]
    assert len(connected.history()) == 2


def test_what_a_task_has_open_is_not_requested_again(connected: Platform) -> None:
    connected.tick(NOW)
    assert connected.tick(NOW + QUARTER) == []


def test_a_failing_account_does_not_hold_up_another(connected: Platform) -> None:
    connected.add_account("acme.gone", location="/nowhere/at/all")
    requests = connected.tick(NOW)
    assert [one.tags["optiinfra/account"] for one in requests] == ["acme.files"]
    states = {state.account.account_id: state for state in connected.metadata.accounts.states()}
    assert "there is no such folder" in (states["acme.gone"].last_error or "")
    assert states["acme.files"].last_error is None
    assert states["acme.files"].last_probe_at == NOW


def test_an_account_that_recovers_loses_its_error(connected: Platform, files: Files) -> None:
    connected.collect(connected.tick(NOW))
    hidden = files.path.rename(files.path.with_name("hidden"))
    connected.tick(NOW + QUARTER)
    assert connected.metadata.accounts.states()[0].last_error
    hidden.rename(files.path)
    assert connected.tick(NOW + 2 * QUARTER) == []
    assert connected.metadata.accounts.states()[0].last_error is None


def test_refused_data_are_not_read_again_for_six_hours_unless_they_change(connected: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["bad"])
    connected.collect(connected.tick(NOW))
    assert connected.tick(NOW + QUARTER) == []
    refused = NOW + timedelta(hours=6)
    assert connected.tick(refused - timedelta(seconds=1)) == []
    assert ranges(connected.tick(refused)) == ["acme.files|2026-10"]


def test_refused_data_that_were_corrected_are_collected_by_the_next_tick(connected: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["bad"])
    connected.collect(connected.tick(NOW))
    files.write("october", "2026-10", ["3"])
    connected.collect(connected.tick(NOW + QUARTER))
    assert connected.total("2026-10") == 3


def test_data_corrected_while_they_are_read_are_collected_by_the_next_tick(
    scripted_platform: Platform, scripted: Scripted, files: Files
) -> None:
    files.write("october", "2026-10", ["1"])

    def corrected_meanwhile(*_: object) -> None:
        scripted.on_collect = lambda *_: None
        files.write("october", "2026-10", ["2"])
        assert scripted_platform.tick(NOW + QUARTER) == []
        raise BadData("row 1: not accepted")

    scripted.on_collect = corrected_meanwhile
    scripted_platform.collect(scripted_platform.tick(NOW))
    assert [status for _, status, _ in scripted_platform.history()] == ["failed"]
    scripted_platform.collect(scripted_platform.tick(NOW + 2 * QUARTER))
    assert scripted_platform.total("2026-10", "scripted") == 2


def test_a_confirmed_empty_source_is_not_asked_again_until_something_is_there(
    connected: Platform, files: Files
) -> None:
    connected.collect(connected.tick(NOW))
    total = connected.total("2026-10")
    away = files.path.rename(files.path.with_name("away"))
    files.path.mkdir()
    period = BillingPeriod(2026, 10)
    scope = RunScope("acme", "focus", "acme.files", period, period)
    confirmed = CollectionRunRequest.of((scope,), "key", "task", "cli", accept_empty=True).tags
    assert connected.run(confirmed).success
    assert connected.total("2026-10") == 0
    for tick in (1, 2, 30):
        assert connected.tick(NOW + tick * QUARTER) == []
    files.path.rmdir()
    away.rename(files.path)
    requests = connected.tick(NOW + 31 * QUARTER)
    assert ranges(requests) == ["acme.files|2026-10"]
    connected.collect(requests)
    assert connected.total("2026-10") == total
    assert connected.tick(NOW + 32 * QUARTER) == []


def test_what_connecting_saw_of_months_that_are_never_collected_is_not_due(platform: Platform, files: Files) -> None:
    files.write("old", "2019-05", ["1"])
    files.write("october", "2026-10", ["2"])
    provider = platform.providers["focus"]
    account = build_account(provider, "acme", "files", {"location": str(files.path)})
    save_account(platform.metadata, provider, account, read_source(provider, account))
    platform.collect(platform.tick(NOW))
    assert platform.total("2026-10") == 2
    (activity,) = platform.metadata.activity.find("acme")
    assert (activity.known_periods, activity.due_periods) == (1, 0)
    found = evaluate_freshness(platform.metadata, provider, NOW + timedelta(minutes=59))
    assert found is not None
    assert found.passed


def test_a_transient_failure_is_due_again_at_the_next_tick(
    scripted_platform: Platform, scripted: Scripted, files: Files
) -> None:
    files.write("october", "2026-10", ["1"])

    def fail(*_: object) -> None:
        raise Transient("away")

    scripted.on_collect = fail
    scripted_platform.collect(scripted_platform.tick(NOW))
    scripted.on_collect = lambda *_: None
    requests = scripted_platform.tick(NOW + QUARTER)
    assert len(requests) == 1
    scripted_platform.collect(requests)
    assert scripted_platform.total("2026-10", "scripted") == 1


def test_a_throttling_provider_is_left_alone(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    probes: list[str] = []

    def throttle(account_id: str) -> None:
        probes.append(account_id)
        raise Throttled("too many requests", NOW + timedelta(minutes=40))

    scripted.on_probe = throttle
    for tick in range(4):
        scripted_platform.tick(NOW + tick * QUARTER)
    assert len(probes) == 2


def test_a_bug_in_a_provider_is_recorded_without_its_text(scripted_platform: Platform, scripted: Scripted) -> None:
    def fail(_: str) -> None:
        raise KeyError("password=hunter2")

    scripted.on_probe = fail
    assert scripted_platform.tick(NOW) == []
    assert scripted_platform.metadata.accounts.states()[0].last_error == "unexpected KeyError in the probe of scripted"


def test_a_disabled_account_is_not_asked(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    scripted_platform.metadata.accounts.disable("acme.files")

    def fail(_: str) -> None:
        raise BadData("asked")

    scripted.on_probe = fail
    assert scripted_platform.tick(NOW) == []
    assert scripted_platform.metadata.accounts.states()[0].last_error is None


def test_a_month_that_has_not_begun_is_named_and_waits(connected: Platform, files: Files) -> None:
    files.write("next", "2026-12", ["9"])
    assert ranges(connected.tick(NOW)) == ["acme.files|2026-10..acme.files|2026-11"]
    assert "2026-12" in (connected.metadata.accounts.states()[0].last_error or "")


def test_the_history_says_who_asked_and_the_run_belongs_to_the_task(connected: Platform) -> None:
    requests = connected.tick(NOW)
    rows = connected.metadata.collections.history()
    assert {(row.trigger, row.task_id) for row in rows} == {("schedule", requests[0].tags[TASK_TAG])}
    (result,) = connected.collect(requests)
    assert {row.run_id for row in connected.metadata.collections.history()} == {result.run_id}


def test_a_long_history_comes_in_years_newest_first(connected: Platform, files: Files) -> None:
    for month in range(1, 13):
        files.write(f"old{month}", f"2025-{month:02d}", ["1"])
    for month in range(1, 10):
        files.write(f"new{month}", f"2026-{month:02d}", ["1"])
    assert ranges(connected.tick(NOW)) == [
        "acme.files|2025-11..acme.files|2026-11",
        "acme.files|2025-01..acme.files|2025-10",
    ]


def test_a_closed_month_becomes_complete_though_its_last_usage_lies_before_its_end(
    platform: Platform, files: Files
) -> None:
    """The file has usage of the 1st only. It was written after the month; a month whose files stop within it says nothing of its end."""
    files.write("september", "2026-09", ["1"])
    files.write("october", "2026-10", ["1"])
    for name, at in (("september", datetime(2026, 9, 20, tzinfo=UTC)), ("october", datetime(2026, 11, 2, tzinfo=UTC))):
        os.utime(files.path / f"{name}.csv", (at.timestamp(), at.timestamp()))
    platform.add_account("acme.files", location=str(files.path))
    month, closed = BillingPeriod(2026, 10), datetime(2026, 11, 16, tzinfo=UTC)

    def through(at: datetime) -> datetime | None:
        platform.collect(platform.tick(at))
        return platform.metadata.slices.freshness("acme").reached["acme.files"]

    assert through(closed - QUARTER) == month.start + timedelta(hours=1)
    assert through(closed) == month.end
    assert platform.tick(closed + QUARTER) == []
    assert platform.publications("2026-10") == 1
    resolved = platform.warehouse.resolve("acme", standing=platform.metadata.slices.freshness("acme"))
    assert resolved.data_through == month.end
    september = platform.warehouse.current(platform.slice("2026-09"))
    assert september is not None
    assert september.covered_through == BillingPeriod(2026, 9).start + timedelta(hours=1)
