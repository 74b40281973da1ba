"""The sensors: new accounts, runs that died, freshness, alerts."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg
import psycopg
import pytest
from alert_world import hook, receiving, rule
from dagster._core.events import DagsterEvent, DagsterEventType
from orchestrated import NOW, Files, Platform

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.metadata.collections import CollectionRecord
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.freshness_checks import evaluate_freshness, freshness_check
from optiinfra_assets.orchestration.run_monitoring import monitor_runs
from optiinfra_assets.orchestration.sensors import ACCOUNTS_AT_ONCE
from optiinfra_assets.providers import PROVIDERS


@pytest.fixture
def connected(platform: Platform, files: Files) -> Platform:
    """An account on `files` that nobody has probed."""
    files.write("october", "2026-10", ["1"])
    platform.metadata.customers.add("acme")
    platform.metadata.accounts.add(Account("acme.files", "acme", "focus", {"location": str(files.path)}))
    return platform


def later(platform: Platform, seconds: float = 0) -> datetime:
    """So long after the newest row of the history, which PostgreSQL's own clock dates."""
    newest = max(row.queued_at for row in platform.metadata.collections.history())
    return newest + timedelta(seconds=seconds)


def test_a_new_account_gets_partitions_for_the_months_that_it_has_and_its_history(
    connected: Platform, files: Files
) -> None:
    found = connected.sense("new_accounts")
    assert connected.instance.get_dynamic_partitions("focus_slices") == ["acme.files|2026-10"]
    (request,) = found.run_requests or []
    assert request.tags["dagster/partition"] == "acme.files|2026-10"
    assert [row.trigger for row in connected.metadata.collections.history()] == ["backfill"]
    connected.collect([request])
    assert connected.total("2026-10") == 1
    assert connected.sense("new_accounts").skip_message == "no new account"
    files.write("november", "2026-11", ["2"])
    connected.tick(NOW)
    assert connected.instance.get_dynamic_partitions("focus_slices") == ["acme.files|2026-10", "acme.files|2026-11"]


def test_a_new_account_that_cannot_be_read_is_left_to_the_schedule(connected: Platform) -> None:
    connected.metadata.accounts.add(Account("acme.gone", "acme", "focus", {"location": "/nowhere"}))
    found = connected.sense("new_accounts")
    assert [one.tags["optiinfra/account"] for one in found.run_requests or []] == ["acme.files"]
    assert connected.instance.get_dynamic_partitions("focus_slices") == ["acme.files|2026-10"]
    assert connected.sense("new_accounts").skip_message == "no new account"


def test_what_is_due_of_other_accounts_is_left_to_the_schedule(connected: Platform, files: Files) -> None:
    connected.add_account("acme.known", location=str(files.path))
    connected.metadata.work_queue.record_probe_tries(["acme.known"], NOW)
    connected.metadata.work_queue.record_probes({"acme.known": {BillingPeriod(2026, 10): "seen"}}, NOW)
    requests = connected.sense("new_accounts").run_requests or []
    assert [one.tags["optiinfra/account"] for one in requests] == ["acme.files"]


def test_more_new_accounts_than_one_evaluation_takes_come_with_the_next(connected: Platform) -> None:
    for number in range(ACCOUNTS_AT_ONCE):
        connected.metadata.accounts.add(Account(f"acme.z{number:03d}", "acme", "focus", {"location": "/nowhere"}))
    for left in (1, 0):
        connected.sense("new_accounts")
        tried = [one.probe_tried_at for one in connected.metadata.accounts.states()]
        assert tried.count(None) == left
    assert connected.sense("new_accounts").skip_message == "no new account"


def created_run(platform: Platform, tags: dict[str, str]) -> dg.DagsterRun:
    """A run before any worker has it."""
    job = (
        platform.definitions.get_repository_def()
        .get_job("__ASSET_JOB")
        .get_subset(asset_selection=set(ProviderAssetKeys("focus").collected))
    )
    return platform.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)


def test_rows_of_a_dead_run_are_closed_and_due_again(connected: Platform) -> None:
    (request,) = connected.sense("new_accounts").run_requests or []
    run = created_run(connected, dict(request.tags))
    assert monitor_runs(connected.metadata, connected.instance, later(connected)).closed == 0
    (row,) = connected.metadata.collections.history()
    assert (row.status, row.run_id) == ("queued", run.run_id)
    connected.metadata.collections.start(row.task_id, "backfill", row.slice, run.run_id)
    connected.instance.report_run_failed(run)
    connected.instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    assert monitor_runs(connected.metadata, connected.instance, later(connected)).closed == 1
    (row,) = connected.metadata.collections.history()
    assert row.status == "failed"
    assert "it is due again" in (row.error or "")
    assert len(connected.tick(NOW)) == 1


def test_rows_of_a_canceled_run_are_canceled(connected: Platform) -> None:
    (request,) = connected.sense("new_accounts").run_requests or []
    run = created_run(connected, dict(request.tags))
    connected.instance.report_run_canceled(run)
    assert monitor_runs(connected.metadata, connected.instance, later(connected)).closed == 1
    assert connected.history() == [("2026-10", "canceled", "the run was canceled")]


def test_a_run_that_dagster_launches_again_keeps_its_rows_and_goes_on(connected: Platform, files: Files) -> None:
    files.write("november", "2026-11", ["2"])
    (request,) = connected.sense("new_accounts").run_requests or []
    dead = created_run(connected, dict(request.tags))
    done, open_ = connected.metadata.collections.history()[::-1]
    row = connected.metadata.collections.start(done.task_id, "backfill", done.slice, dead.run_id)
    connected.metadata.collections.finish(row, "succeeded", rows=1)
    connected.metadata.collections.assign_run(open_.task_id, [open_.slice], dead.run_id)
    connected.instance.report_run_failed(dead)
    connected.instance.add_run_tags(dead.run_id, {"dagster/will_retry": "true"})
    assert monitor_runs(connected.metadata, connected.instance, later(connected)).closed == 0
    again = connected.run({**request.tags, "dagster/retry_number": "1"}, config=request.run_config)
    assert again.success
    collected = connected.instance.get_materialized_partitions(ProviderAssetKeys("focus").raw)
    assert collected == {f"acme.files|{open_.slice.billing_period}"}
    assert {status for _, status, _ in connected.history()} == {"succeeded"}


def test_a_row_whose_run_was_never_launched_is_asked_for_again(connected: Platform) -> None:
    (request,) = connected.sense("new_accounts").run_requests or []
    assert monitor_runs(connected.metadata, connected.instance, later(connected)).requests == []
    assert monitor_runs(connected.metadata, connected.instance, later(connected, 300)).requests == []
    (again,) = monitor_runs(connected.metadata, connected.instance, later(connected, 300.1)).requests
    assert {**again.tags, "dagster/sensor_name": "new_accounts"} == dict(request.tags)
    created_run(connected, dict(again.tags))
    assert monitor_runs(connected.metadata, connected.instance, later(connected, 300.1)).requests == []


def test_as_long_as_runs_of_a_task_come_the_others_are_waited_for(
    connected: Platform, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiinfra_assets.domain.run_scope.TOGETHER", 1)
    connected.metadata.accounts.add(Account("acme.more", "acme", "focus", {"location": str(files.path)}))
    first, second = connected.sense("new_accounts").run_requests or []
    with psycopg.connect(str(connected.settings.postgres_url), autocommit=True) as connection:
        connection.execute("UPDATE optiinfra.collection_history SET queued_at = now() - interval '10 minutes'")
    run = created_run(connected, dict(first.tags))
    launched = connected.instance.get_run_records(dg.RunsFilter([run.run_id]))[0].create_timestamp
    for seconds in (0, 300):
        at = launched + timedelta(seconds=seconds)
        assert monitor_runs(connected.metadata, connected.instance, at).requests == []
    at = launched + timedelta(seconds=300.1)
    (lost,) = monitor_runs(connected.metadata, connected.instance, at).requests
    assert lost.scopes[0].account_id == second.tags["optiinfra/account"]


def test_a_row_that_ends_while_runs_are_looked_at_stays_as_it_ended(
    connected: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    (request,) = connected.sense("new_accounts").run_requests or []
    run = created_run(connected, dict(request.tags))
    (queued,) = connected.metadata.collections.history()
    row = connected.metadata.collections.start(queued.task_id, "backfill", queued.slice, run.run_id)
    read = connected.metadata.work_queue.open_collections

    def read_just_before_the_end() -> list[CollectionRecord]:
        found = read()
        connected.metadata.collections.finish(row, "succeeded", generation=7, rows=1)
        connected.instance.report_dagster_event(
            DagsterEvent(DagsterEventType.RUN_SUCCESS.value, "__ASSET_JOB"), run.run_id
        )
        return found

    monkeypatch.setattr(connected.metadata.work_queue, "open_collections", read_just_before_the_end)
    monitor_runs(connected.metadata, connected.instance, later(connected))
    (ended,) = connected.metadata.collections.history()
    assert (ended.status, ended.generation, ended.error) == ("succeeded", 7, None)


def test_a_run_from_the_ui_has_a_history_of_its_own(connected: Platform) -> None:
    connected.sense("new_accounts")
    result = connected.materialise("2026-10")
    rows = {row.task_id: row for row in connected.metadata.collections.history()}
    assert rows[result.run_id].trigger == "ui"


def test_freshness_names_what_is_not_fresh(connected: Platform, files: Files) -> None:
    def at(minutes: int) -> dg.AssetCheckEvaluation:
        found = evaluate_freshness(connected.metadata, PROVIDERS["focus"], NOW + timedelta(minutes=minutes))
        assert found is not None
        return found

    connected.collect(connected.tick(NOW))
    assert at(59).passed
    assert not at(61).passed
    assert "acme.files: no answer since" in (at(61).description or "")
    files.write("october", "2026-10", ["5"])
    connected.tick(NOW + timedelta(minutes=15))
    connected.tick(NOW + timedelta(hours=3))
    assert "focus/acme.files/2026-10: changed" in (at(180).description or "")


def test_the_freshness_sensor_evaluates_the_check_where_there_is_an_account(connected: Platform) -> None:
    found = connected.sense("freshness").asset_events
    assert all(isinstance(one, dg.AssetCheckEvaluation) for one in found)
    checks = {(one.asset_key, one.check_name, one.passed) for one in found if isinstance(one, dg.AssetCheckEvaluation)}
    assert checks == {(ProviderAssetKeys("focus").source, "freshness", True)}


@pytest.mark.parametrize(("provider", "evaluated"), [("focus", [True]), ("aws", [])])
def test_freshness_without_an_account_is_skipped(connected: Platform, provider: str, evaluated: list[bool]) -> None:
    check = freshness_check(PROVIDERS[provider])
    job = dg.Definitions(
        asset_checks=[check], resources={"stores": connected._stores}
    ).get_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=connected.instance)
    assert result.success
    assert [one.passed for one in result.get_asset_check_evaluations()] == evaluated


def test_the_alerts_sensor_finds_and_sends_what_rules_watch_for(connected: Platform) -> None:
    with receiving() as receiver:
        metadata = connected.metadata
        channel, key = hook(metadata, receiver.url)
        rule(metadata, channel, "collection", options={"minutes": 0})
        rule(metadata, channel, "restatement")
        assert connected.sense("alerts").skip_message == "0 occasions; messages: 0 sent, 0 failed, 0 given up"
        connected.clock.now += timedelta(days=100)
        assert connected.sense("alerts").skip_message == "1 occasions; messages: 1 sent, 0 failed, 0 given up"
        assert connected.sense("alerts").skip_message == "0 occasions; messages: 0 sent, 0 failed, 0 given up"
        (one,) = receiver.got
    assert one.is_signed(key)
    assert one.json["occasions"][0]["title"].startswith("acme.files stands still since ")
