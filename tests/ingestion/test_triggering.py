"""Asking for a collection, through a real Dagster webserver on the test's PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter
from loopback import HANG, wait_until_answers
from orchestrated import Files, Platform, free_port

from optiinfra_api.fields.collections import trigger
from optiinfra_assets.database.errors import (
    DagsterUnavailable,
    NothingDue,
    NothingToCollect,
    PeriodNotThere,
    RecordNotFound,
    RunTerminationFailed,
    TooManyOpenRequests,
)
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import ACCEPT_EMPTY_TAG, TASK_TAG, CollectionRunRequest, RunScope
from optiinfra_assets.embedded.dagster.home import prepare
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
RECENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


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
    command = ["-m", "optiinfra_api.web", "optiinfra_assets.dagster_processes.web:create_app"]
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
    (run,) = home.get_runs()
    assert run.status is dg.DagsterRunStatus.QUEUED
    keys = ["acme.files|2026-10", "acme.files|2026-09"]
    assert run.run_config == {"ops": {"collect_focus": {"config": {"slices": keys}}}}
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
    assert home.get_dynamic_partitions("focus_slices") == ["other.files|2026-11"]

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


@pytest.mark.parametrize("accept_empty", [False, True], ids=["as usual", "accepting an empty source"])
def test_runs_that_dagster_did_not_take_are_asked_for_again_by_themselves(
    platform: Platform, accounts: Metadata, files: Files, webserver: Webserver, accept_empty: bool
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.more", location=str(files.path))
    webserver.takes_runs = False
    task = trigger_collection(
        platform.settings,
        accounts,
        account_id="acme.more",
        billing_period=OCTOBER,
        trigger="api",
        accept_empty=accept_empty,
    )
    assert platform.history() == [("2026-10", "queued", None)]
    (again,) = monitor_runs(accounts, platform.instance, datetime.now(UTC) + timedelta(minutes=2)).requests
    assert (again.tags[TASK_TAG], again.tags.get(ACCEPT_EMPTY_TAG)) == (
        task.task_id,
        "true" if accept_empty else None,
    )
    assert platform.run(again.tags).success
    assert platform.history() == [("2026-10", "succeeded", None)]
    (tags,) = webserver.launched
    assert platform.run(tags).success, "the first run comes after all, and leaves the slice alone"
    assert platform.publications("2026-10") == 1


def failed_run(platform: Platform, tags: Mapping[str, str]) -> dg.DagsterRun:
    """A run that Dagster could not start, as when its code location is away."""
    job = platform.definitions.get_repository_def().get_job("__ASSET_JOB")
    run = platform.instance.create_run_for_job(job, tags=dict(tags), status=dg.DagsterRunStatus.NOT_STARTED)
    platform.instance.report_run_failed(run)
    platform.instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    return run


def test_a_run_that_failed_before_it_began_is_asked_for_again_and_not_for_ever(
    platform: Platform, accounts: Metadata, files: Files, webserver: Webserver
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.more", location=str(files.path))
    trigger_collection(platform.settings, accounts, account_id="acme.more", billing_period=OCTOBER, trigger="api")
    keys = set()
    for minutes in (2, 4):
        failed_run(platform, webserver.launched[0])
        (again,) = monitor_runs(accounts, platform.instance, datetime.now(UTC) + timedelta(minutes=minutes)).requests
        keys.add(again.key)
    assert len(keys) == 2, "Dagster makes one run for each key"
    late = monitor_runs(accounts, platform.instance, datetime.now(UTC) + timedelta(minutes=31))
    assert (late.closed, late.requests) == (1, [])
    assert platform.history()[0][1] == "failed"


def test_a_slice_whose_run_died_is_not_shown_as_running(platform: Platform, accounts: Metadata, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.more", location=str(files.path))
    period = RunScope("acme", "focus", "acme.more", OCTOBER, OCTOBER)
    tags = CollectionRunRequest.of((period,), "key", "task", "cli").tags
    accounts.collections.queue("task", "cli", period.slices)
    dead = failed_run(platform, tags)
    platform.instance.add_run_tags(dead.run_id, {"dagster/will_retry": "true"})
    accounts.collections.start("task", "cli", period.slices[0], dead.run_id)

    def status() -> str:
        monitor_runs(accounts, platform.instance, datetime.now(UTC))
        return accounts.collections.history(task_id="task")[0].status

    assert status() == "retrying"
    accounts.collections.start("task", "cli", period.slices[0], dead.run_id)
    job = platform.definitions.get_repository_def().get_job("__ASSET_JOB")
    again = platform.instance.create_run_for_job(
        job, tags={**tags, "dagster/retry_number": "1"}, status=dg.DagsterRunStatus.NOT_STARTED
    )
    platform.instance.add_run_tags(dead.run_id, {"dagster/auto_retry_run_id": again.run_id})
    assert status() == "queued"
    assert accounts.collections.history(task_id="task")[0].run_id == again.run_id


def test_a_confirmation_goes_with_every_run(platform: Platform, accounts: Metadata, webserver: Webserver) -> None:
    periods = [OCTOBER.shift(-2 * back) for back in range(12)]
    accounts.work_queue.record_probes({"acme.files": dict.fromkeys(periods, "t")}, datetime(2026, 11, 1, tzinfo=UTC))
    trigger_collection(platform.settings, accounts, account_id="acme.files", trigger="cli", accept_empty=True)
    assert len(webserver.launched) == LAUNCHED_AT_ONCE
    later = monitor_runs(accounts, platform.instance, datetime.now(UTC) + timedelta(minutes=2)).requests
    confirmed = [*webserver.launched, *(request.tags for request in later)]
    assert {tags.get("optiinfra/accept_empty") for tags in confirmed} == {"true"}


def test_a_file_of_an_older_month_changed_now_is_collected_now(
    platform: Platform, files: Files, webserver: Webserver
) -> None:
    for month in (3, 10):
        files.write(f"of{month}", f"2026-{month:02d}", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    platform.collect(platform.tick(RECENT))
    files.write("of3", "2026-03", ["1", "1"])
    task = trigger_collection(
        platform.settings, platform.metadata, account_id="acme.files", trigger="cli", clock=lambda: RECENT
    )
    assert {str(one.billing_period) for one in task.slices} == {"2026-03", "2026-10"}


def test_a_month_that_the_source_does_not_have_is_an_error(
    platform: Platform, files: Files, webserver: Webserver
) -> None:
    for month in (3, 10):
        files.write(f"of{month}", f"2026-{month:02d}", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    ask = partial(trigger_collection, platform.settings, platform.metadata, trigger="cli", clock=lambda: RECENT)
    with pytest.raises(PeriodNotThere, match=r"source of acme\.files has no 2026-05: it has 2026-03 to 2026-10$"):
        ask(account_id="acme.files", billing_period=BillingPeriod(2026, 5))
    assert platform.history() == []
    assert len(ask(billing_period=OCTOBER).slices) == 1
    assert len(ask(account_id="acme.files", billing_period=BillingPeriod(2026, 5), accept_empty=True).slices) == 1


@pytest.mark.parametrize("count", [2, 60])
def test_equal_open_requests_are_one_task(platform: Platform, files: Files, webserver: Webserver, count: int) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.files", location=str(files.path))

    def ask(_: object) -> str:
        return trigger_collection(platform.settings, platform.metadata, customer_id="acme", trigger="api").task_id

    with ThreadPoolExecutor(8) as pool:
        tasks = set(pool.map(ask, range(count)))
    assert len(tasks) == 1
    assert len(webserver.launched) == 1
    assert len(platform.history()) == 1


def test_a_request_is_not_merged_into_one_that_would_read_something_else(
    platform: Platform, files: Files, webserver: Webserver
) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    ask = partial(trigger_collection, platform.settings, platform.metadata, customer_id="acme", trigger="api")
    first = ask()
    row = platform.metadata.collections.history()[0]
    platform.metadata.collections.start(first.task_id, "api", row.slice, "run")
    assert ask().task_id == first.task_id, "it has begun, and reads what the source has now"
    assert ask(billing_period=OCTOBER, accept_empty=True).task_id != first.task_id
    files.write("october", "2026-10", ["1", "2"])
    second = ask()
    assert second.task_id != first.task_id
    files.write("september", "2026-09", ["1"])
    third = ask()
    assert third.task_id not in (first.task_id, second.task_id)
    assert ask(billing_period=OCTOBER).task_id == second.task_id, "a part of what is asked for already"


def test_a_customer_may_have_so_many_requests_open_and_takes_nothing_from_another(
    platform: Platform, files: Files, webserver: Webserver
) -> None:
    for month in range(1, 6):
        files.write(f"of{month}", f"2026-{month:02d}", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    platform.metadata.customers.add("other")
    platform.metadata.accounts.add(Account("other.files", "other", "focus", {"location": str(files.path)}))
    few = platform.settings.model_copy(update={"max_customer_requests": 3})
    ask = partial(trigger_collection, few, platform.metadata, trigger="api")
    for month in (1, 2, 3):
        ask(customer_id="acme", billing_period=BillingPeriod(2026, month))
    with pytest.raises(TooManyOpenRequests, match=r"customer 'acme' has 3 requests .*OPTIINFRA_MAX_CUSTOMER_REQUESTS"):
        ask(customer_id="acme", billing_period=BillingPeriod(2026, 4))
    ask(customer_id="other", billing_period=BillingPeriod(2026, 4))
    priorities = [int(tags["dagster/priority"]) for tags in webserver.launched]
    assert priorities == [10, 9, 8, 10]


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


def test_of_the_places_for_runs_one_is_left_to_other_customers(settings: Settings, home: dg.DagsterInstance) -> None:
    """Asked as Dagster's daemon asks it, with what `optiinfra up` writes for these settings."""
    prepare(settings.model_copy(update={"max_concurrent_runs": 5, "max_customer_runs": 4}))
    written = Path(settings.home) / "dagster" / "dagster.yaml"
    assert "max_concurrent_runs: 5\n" in written.read_text()
    with dg.DagsterInstance.from_config(str(written.parent)) as instance:
        config = instance.get_concurrency_config().run_queue_config
    assert config is not None
    assert config.max_concurrent_runs == 5
    counter = TagConcurrencyLimitsCounter(config.tag_concurrency_limits, [])

    def starts(customer: str) -> bool:
        scope = RunScope(customer, "focus", f"{customer}.files", OCTOBER, OCTOBER)
        run = dg.DagsterRun("job", tags=CollectionRunRequest.of((scope,), "key", "task", "api").tags)
        if counter.is_blocked(run):
            return False
        counter.update_counters_with_launched_item(run)
        return True

    assert [starts("acme") for _ in range(6)] == [True] * 4 + [False] * 2
    assert starts("other")
