"""Asking for a collection, through a real Dagster webserver on the test's PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from loopback import HANG, wait_until_answers
from orchestrated import Files, Platform, free_port

from optiinfra_api.fields.collections import trigger
from optiinfra_assets.database.errors import (
    DagsterUnavailable,
    NothingDue,
    NothingToCollect,
    RecordNotFound,
    RunTerminationFailed,
)
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.ingestion import dagster_client
from optiinfra_assets.ingestion.asset_paths import asset_paths
from optiinfra_assets.ingestion.triggering import (
    LAUNCHED_AT_ONCE,
    cancel_task,
    trigger_collection,
)
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE
from optiinfra_assets.orchestration.run_monitoring import monitor_runs
from optiinfra_assets.settings import Settings, project_file

OCTOBER, NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)
NOW = NOVEMBER.end - timedelta(microseconds=1)


@pytest.fixture
def accounts(metadata: Metadata) -> Metadata:
    """Two customers; the account of the first was seen to have three months, one of them gone."""
    for customer in ("acme", "other"):
        metadata.customers.add(customer)
        metadata.accounts.add(Account(f"{customer}.files", customer, "focus", {"location": f"/data/{customer}"}))
    at = datetime(2026, 11, 1, tzinfo=UTC)
    metadata.work_queue.record_probes({"acme.files": {OCTOBER.shift(-1): "t", OCTOBER: "t"}}, at)
    return metadata


@pytest.fixture
def home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The project's own dagster.yaml on the test's database."""
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", settings.postgres_url or "")
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(project_file("dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


@pytest.fixture
def served(settings: Settings, home: dg.DagsterInstance) -> Iterator[Settings]:
    """Settings with the address of a webserver that has loaded the project's workspace."""
    url = f"http://127.0.0.1:{free_port()}"
    given = settings.model_copy(update={"dagster_url": url, "dagster_token": "of-this-test"})
    shutil.copytree(home.root_directory, settings.home / "dagster")
    (settings.home / "dagster" / "workspace.yaml").write_text(project_file("workspace.yaml").read_text())
    ours = {"OPTIINFRA_HOME": str(settings.home), "OPTIINFRA_DAGSTER_TOKEN": "of-this-test"}
    command = ["-m", "optiinfra_api.web", "optiinfra_assets.embedded.dagster.web:create_app"]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", url.rpartition(":")[2]],
        env={**os.environ, **ours},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_answers(f"{url}/healthz", process)
        yield given
    finally:
        process.terminate()
        process.wait(HANG)


@pytest.mark.parametrize("accept_empty", [False, True], ids=["as usual", "accepting an empty source"])
def test_months_that_are_gone_and_were_collected_as_gone_are_not_asked_for(
    settings: Settings, accounts: Metadata, accept_empty: bool
) -> None:
    accounts.work_queue.record_probes({"acme.files": {}}, NOW)
    states = accounts.slices.states(account_id="acme.files")
    assert {(state.seen_token, state.is_due) for state in states} == {(GONE, True)}
    for state in states:
        accounts.slices.record_collection(state.slice, GONE, NOW)
    with pytest.raises(NothingDue):
        trigger_collection(
            settings, accounts, customer_id="acme", trigger="api", accept_empty=accept_empty, clock=lambda: NOW
        )


def test_a_collection_is_queued_followed_and_canceled(
    served: Settings, accounts: Metadata, home: dg.DagsterInstance
) -> None:
    task = trigger_collection(served, accounts, customer_id="acme", trigger="api")
    assert [str(one.billing_period) for one in task.slices] == ["2026-10", "2026-09"]
    assert home.get_dynamic_partitions("focus_accounts") == ["acme.files"]
    (run,) = home.get_runs()
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert run.tags["dagster/asset_partition_range_start"] == "acme.files|2026-09"
    assert run.tags["dagster/asset_partition_range_end"] == "acme.files|2026-10"
    assert run.tags["dagster/priority"] == "10"
    assert {tuple(key.path) for key in run.asset_selection or ()} == {tuple(path) for path in asset_paths("focus")}
    status = accounts.collections.task_status(task.task_id)
    assert (status.state, status.done, [row.run_id for row in status.slices]) == (
        "queued",
        0,
        [run.run_id, run.run_id],
    )

    single = trigger_collection(
        served, accounts, account_id="other.files", billing_period=NOVEMBER, trigger="cli", accept_empty=True
    )
    tags = next(run.tags for run in home.get_runs() if run.tags["optiinfra/task_id"] == single.task_id)
    assert (tags["dagster/partition"], tags["optiinfra/accept_empty"]) == ("other.files|2026-11", "true")

    assert cancel_task(served, accounts, task.task_id) == 2
    assert accounts.collections.task_status(task.task_id).state == "canceled"
    assert accounts.collections.task_status(single.task_id).state == "queued"
    ended = home.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.CANCELED


def test_without_a_webserver_nothing_is_queued(settings: Settings, accounts: Metadata) -> None:
    away = settings.model_copy(update={"dagster_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(
        DagsterUnavailable, match=r"^Dagster at http://127\.0\.0\.1:\d+ does not answer: .*optiinfra up"
    ):
        trigger_collection(away, accounts, trigger="cli")
    assert accounts.collections.history() == []


class Webserver:
    """What `DagsterClient` is answered, without a webserver: it has the assets and takes runs, unless a test says otherwise."""

    def __init__(self) -> None:
        self.launched: list[dict[str, str]] = []
        self.takes_runs = True
        self.going: list[str] = []
        self.going_on: list[str] = []
        self.ending: dict[str, str] = {"__typename": "TerminateRunSuccess"}

    def __call__(self, document: str, **variables: Any) -> dict[str, Any]:
        """Answer by what is asked."""
        if document == dagster_client._REPOSITORY:
            repository = {"name": "repository", "location": {"name": "location"}}
            return {"assetNodeOrError": {"__typename": "AssetNode", "repository": repository}}
        if document == dagster_client._ADD_PARTITION:
            return {"addDynamicPartition": {"__typename": "AddDynamicPartitionSuccess"}}
        if document == dagster_client._RUNS:
            runs = [{"runId": one, "status": "STARTED"} for one in self.going]
            return {"runsOrError": {"__typename": "Runs", "results": runs}}
        if document == dagster_client._TERMINATE:
            results, self.going = [self.ending for _ in variables["runs"]], self.going_on
            return {"terminateRuns": {"__typename": "TerminateRunsResult", "terminateRunResults": results}}
        return self._launch(variables["runs"])

    def _launch(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        tags = [{one["key"]: one["value"] for one in run["executionMetadata"]["tags"]} for run in runs]
        self.launched += tags
        if not self.takes_runs:
            raise DagsterUnavailable("Dagster does not answer: timed out")
        made = [{"__typename": "LaunchRunSuccess", "run": {"runId": f"run-{n}"}} for n in range(len(runs))]
        return {
            "launchMultipleRuns": {
                "__typename": "LaunchMultipleRunsResult",
                "launchMultipleRunsResult": made,
            }
        }


@pytest.fixture
def webserver(monkeypatch: pytest.MonkeyPatch) -> Webserver:
    """A webserver that answers what a test wants it to."""
    made = Webserver()
    monkeypatch.setattr(
        dagster_client.DagsterClient, "_ask", lambda _, document, **variables: made(document, **variables)
    )
    return made


def test_a_launch_that_fails_half_way_leaves_nothing_queued(
    platform: Platform, accounts: Metadata, files: Files, webserver: Webserver
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.more", location=str(files.path))
    webserver.takes_runs = False
    with pytest.raises(DagsterUnavailable, match="timed out"):
        trigger_collection(platform.settings, accounts, account_id="acme.more", billing_period=OCTOBER, trigger="api")
    ended = [("2026-10", "failed", "Dagster did not take it: ask for it again")]
    assert platform.history() == ended
    assert monitor_runs(accounts, platform.instance, datetime.now(UTC) + timedelta(hours=1)).requests == []
    (tags,) = webserver.launched
    assert platform.run(tags).success
    assert platform.history() == ended
    assert platform.publications("2026-10") == 0


def test_a_confirmation_goes_with_every_run(settings: Settings, accounts: Metadata, webserver: Webserver) -> None:
    periods = [OCTOBER.shift(-2 * back) for back in range(12)]
    accounts.work_queue.record_probes({"acme.files": dict.fromkeys(periods, "t")}, datetime(2026, 11, 1, tzinfo=UTC))
    trigger_collection(settings, accounts, account_id="acme.files", trigger="cli", accept_empty=True)
    assert len(webserver.launched) > LAUNCHED_AT_ONCE
    assert {tags.get("optiinfra/accept_empty") for tags in webserver.launched} == {"true"}
    assert all(row.run_id for row in accounts.collections.history(task_id=webserver.launched[0]["optiinfra/task_id"]))


REFUSED = {"__typename": "TerminateRunFailure", "message": "Unable to terminate run: no answer"}


def test_a_run_that_cannot_be_ended_is_named_and_its_slice_stays_canceled(
    platform: Platform, accounts: Metadata, files: Files, webserver: Webserver
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.more", location=str(files.path))
    task = trigger_collection(
        platform.settings, accounts, account_id="acme.more", billing_period=OCTOBER, trigger="api"
    )
    webserver.going = webserver.going_on = ["run-0"]
    webserver.ending = REFUSED
    with pytest.raises(
        RunTerminationFailed, match=r"refused the end of a run: Unable to terminate run: no answer: .*run-0"
    ):
        cancel_task(platform.settings, accounts, task.task_id)
    canceled = [("2026-10", "canceled", "canceled on request")]
    assert platform.history() == canceled
    assert platform.run(webserver.launched[0]).success
    assert platform.history() == canceled
    assert platform.publications("2026-10") == 0


def test_a_run_that_ended_before_it_could_be_canceled_is_no_failure(
    settings: Settings, accounts: Metadata, webserver: Webserver
) -> None:
    task = trigger_collection(settings, accounts, account_id="acme.files", billing_period=OCTOBER, trigger="api")
    webserver.going, webserver.ending = ["run-0"], REFUSED
    assert cancel_task(settings, accounts, task.task_id) == 1


def test_the_api_says_that_a_run_could_not_be_ended() -> None:
    class Data:
        services = SimpleNamespace(cancel=None)

        async def run(self, *_: object) -> int:
            raise RunTerminationFailed("Dagster at http://10.0.0.1:3000 refused the end of a run")

    async def data_of(_: str | None) -> Data:
        return Data()

    context = SimpleNamespace(require=lambda _: None, data_of=data_of)
    cancel = trigger.CollectingMutation().cancel_collection
    answer = asyncio.run(cancel(SimpleNamespace(context=context), "task"))  # type: ignore[arg-type]
    assert isinstance(answer, trigger.DagsterUnavailable)
    assert "could not end a run; the task is canceled" in answer.message
    assert "10.0.0.1" not in answer.message


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"customer_id": "nobody"}, "no active account of customer 'nobody': none is connected"),
        ({"customer_id": "acme", "account_id": "other.files"}, "active are acme.files (focus)"),
        (
            {"provider": "cloudy"},
            "no active account of provider 'cloudy': active are acme.files (focus), other.files (focus)",
        ),
    ],
)
def test_who_does_not_exist_is_named(
    settings: Settings, accounts: Metadata, filters: dict[str, str], named: str
) -> None:
    with pytest.raises(NothingToCollect) as raised:
        trigger_collection(settings, accounts, trigger="api", **filters)  # type: ignore[arg-type]
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("period", [BillingPeriod(2019, 12), NOVEMBER.shift(1)], ids=str)
def test_a_period_that_cannot_be_collected_is_refused(
    settings: Settings, accounts: Metadata, period: BillingPeriod
) -> None:
    with pytest.raises(ValueError, match=f"{period} is not accepted: use 2020-01 to 2026-11"):
        trigger_collection(settings, accounts, billing_period=period, trigger="api", clock=lambda: NOW)


@pytest.mark.parametrize("period", [BillingPeriod(2020, 1), BillingPeriod.of(datetime.now(UTC))], ids=["first", "last"])
def test_the_first_and_the_last_period_can_be_collected(
    settings: Settings, accounts: Metadata, period: BillingPeriod
) -> None:
    """They are let through to Dagster, which is not there."""
    away = settings.model_copy(update={"dagster_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(DagsterUnavailable, match="does not answer"):
        trigger_collection(away, accounts, billing_period=period, trigger="api")


def test_an_unknown_task_is_refused(settings: Settings, accounts: Metadata) -> None:
    with pytest.raises(RecordNotFound, match="task: 'nothing' does not exist"):
        accounts.collections.task_status("nothing")
    with pytest.raises(RecordNotFound, match="does not exist"):
        cancel_task(settings, accounts, "nothing")


def test_a_task_is_as_far_as_its_slices(accounts: Metadata) -> None:
    slices = [state.slice for state in accounts.slices.states()]
    accounts.collections.queue("task", "api", slices)
    assert accounts.collections.task_status("task").state == "queued"
    first = accounts.collections.start("task", "api", slices[0], "run")
    assert accounts.collections.task_status("task").state == "running"
    accounts.collections.retry(first, "away")
    assert accounts.collections.task_status("task").state == "running"
    accounts.collections.finish(accounts.collections.start("task", "api", slices[1], "run"), "unchanged", rows=1)
    assert accounts.collections.task_status("task").state == "retrying"
    accounts.collections.finish(first, "failed", error="away")
    found = accounts.collections.task_status("task", customer_id="acme")
    assert (found.state, found.done, found.error) == ("failed", 2, "away")
    with pytest.raises(RecordNotFound):
        accounts.collections.task_status("task", customer_id="other")


def test_without_a_period_what_is_due_and_what_may_have_moved_is_collected(
    settings: Settings, accounts: Metadata, webserver: Webserver
) -> None:
    seen = {NOVEMBER.shift(back): "t" for back in (0, -1, -2, -3)}
    accounts.work_queue.record_probes({"other.files": seen}, NOW)
    for period in seen:
        accounts.slices.record_collection(Slice("other", "focus", "other.files", period), "t", NOW)
    accounts.work_queue.record_probes({"other.files": seen | {NOVEMBER.shift(-3): "late credit"}}, NOW)
    task = trigger_collection(settings, accounts, account_id="other.files", trigger="cli", clock=lambda: NOW)
    assert {one.billing_period for one in task.slices} == {NOVEMBER.shift(back) for back in (0, -1, -3)}


def test_where_nothing_is_due_and_nothing_may_have_moved_that_is_said(settings: Settings, accounts: Metadata) -> None:
    old = NOVEMBER.shift(-2)
    accounts.work_queue.record_probes({"other.files": {old: "t"}}, NOW)
    accounts.slices.record_collection(Slice("other", "focus", "other.files", old), "t", NOW)
    with pytest.raises(NothingToCollect, match="nothing is due, and no source has the current billing period"):
        trigger_collection(settings, accounts, account_id="other.files", trigger="cli", clock=lambda: NOW)
