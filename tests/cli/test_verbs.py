"""The verbs on real databases: connect, accounts, token, status, collect, migrate, gc."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import click
import pytest
from command_line import Run

from optiinfra_assets.cli.collecting import _print_outcome, _report
from optiinfra_assets.cli.problems import Problem
from optiinfra_assets.cli.status import AccountStatus, PlatformContents, _next
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.failures import AFTER_PERMANENT, Fault
from optiinfra_assets.domain.source_warnings import SourceWarning
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionTask, Ended
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators.focus_files import generator
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with thirteen months of simulated files, the newest of November 2026."""
    folder = tmp_path_factory.mktemp("files")
    generator.write(CUSTOMERS[0], folder, date(2026, 11, 3))
    return folder


def test_connect_proves_the_source_and_stores_what_it_saw(connected: Run, files: Path, settings: Settings) -> None:
    done = connected("connect", "focus", "--customer", "acme", "--location", str(files), "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["account"] == "acme.focus"
    assert answer["found"] == [str(files)]
    assert answer["periods"] == [f"2025-{month}" for month in (11, 12)] + [
        f"2026-{month:02d}" for month in range(1, 12)
    ]
    metadata = Metadata.connect(settings)
    assert metadata.accounts.get("acme.focus").settings == {"location": str(files)}
    assert [str(one.slice.billing_period) for one in metadata.slices.states(due=True)] == answer["periods"]
    metadata.close()


def test_connecting_again_changes_nothing_and_elsewhere_needs_another_name(
    connected: Run, files: Path, tmp_path: Path
) -> None:
    assert connected("connect", "focus", "--customer", "acme", "--location", str(files)).code == 0
    assert connected("connect", "focus", "--customer", "acme", "--location", str(files)).code == 0
    other = tmp_path / "other"
    generator.write(CUSTOMERS[1], other, date(2026, 11, 3))
    assert (
        "exists with other settings: change them by `optiinfra accounts set`"
        in connected("connect", "focus", "--customer", "acme", "--location", str(other)).error
    )
    assert connected("connect", "focus", "--customer", "acme", "--name", "second", "--location", str(other)).code == 0
    listed = json.loads(connected("accounts", "--json").out)
    assert [one["account"] for one in listed] == ["acme.focus", "acme.second"]


def test_a_relative_location_means_this_folder(connected: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files.parent)
    assert connected("connect", "focus", "--customer", "acme", "--location", files.name).code == 0
    assert json.loads(connected("accounts", "--json").out)[0]["settings"] == {"location": str(files)}


def test_a_source_that_cannot_be_read_stores_nothing(connected: Run, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    refused = connected("connect", "focus", "--customer", "acme", "--location", str(missing))
    assert refused.code == 1
    assert str(missing) in refused.error
    assert json.loads(connected("accounts", "--json").out) == []
    assert connected("connect", "focus", "--customer", "acme", "--location", str(missing), "--no-test").code == 0
    assert [one["account"] for one in json.loads(connected("accounts", "--json").out)] == ["acme.focus"]


@pytest.mark.parametrize("customer", ["Acme Corp", "", "../acme"])
def test_a_customer_id_that_is_not_accepted(connected: Run, files: Path, customer: str) -> None:
    assert "customer: " in connected("connect", "focus", "--customer", customer, "--location", str(files)).error


def test_a_token_is_shown_once_and_revoked_by_its_id(connected: Run, files: Path, settings: Settings) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(files))
    token = json.loads(connected("token", "create", "--customer", "acme", "--days", "7", "--json").out)["token"]
    metadata = Metadata.connect(settings)
    principal = metadata.tokens.authenticate(token)
    assert principal is not None
    assert (principal.customer_id, principal.role) == ("acme", "viewer")
    listed = connected("token", "list", "--json")
    assert token not in listed.out
    (one,) = json.loads(listed.out)
    assert datetime.fromisoformat(one["expires_at"]) > datetime.now(UTC)
    assert connected("token", "revoke", one["token_id"]).code == 0
    assert metadata.tokens.authenticate(token) is None
    metadata.close()


def test_a_token_for_longer_than_a_calendar_has_is_refused(connected: Run) -> None:
    refused = connected("token", "create", "--role", "admin", "--days", "5000000").error
    assert "'--days': 5000000 is not in the range 1<=x<=36500" in refused


def test_a_deleted_account_is_nothing_to_act_upon() -> None:
    deleted = AccountStatus("acme.a", "focus", "disabled", False, 1, 0, None, None, None, "no such folder")
    active = replace(deleted, status="active", last_error=None)
    assert "nothing is connected" in _next([], PlatformContents([deleted]))
    assert "all is well" in _next([], PlatformContents([deleted, active]))


def test_all_is_well_only_if_all_is_well() -> None:
    active = AccountStatus("acme.a", "focus", "active", False, 1, 0, None, None, None, None)
    full = Problem("disk", "the disk is full", "Make room.")
    for contents in (PlatformContents([active], problems=[full]), PlatformContents([replace(active, due=1)])):
        assert "all is well" not in _next([], contents)
    assert _next([], PlatformContents([active], problems=[full])) == "not well: the disk is full: Make room."


def test_a_month_that_fails_is_shown_by_status_and_accounts(connected: Run, files: Path, settings: Settings) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(files))
    with closing(Metadata.connect(settings)) as metadata:
        slice_ = Slice("acme", "focus", "acme.focus", BillingPeriod(2026, 10))
        at = datetime.now(UTC)
        metadata.collections.start("task", "schedule", slice_, "run")
        metadata.failures.record(
            slice_, "october.csv: row 2: '$2.25' is not accepted", Fault.SOURCE, at, AFTER_PERMANENT
        )
    again = f"{at + AFTER_PERMANENT.first:%Y-%m-%d %H:%M} UTC"
    for verb in ("status", "accounts"):
        shown = connected(verb).out
        for part in ("2026-10", "source", "'$2.25'", again, "Correct what the message names"):
            assert part in shown, shown
    assert "all is well" not in connected("status").out
    status = json.loads(connected("status", "--json").out)
    assert status["is_well"] is False
    (failure,) = status["failures"]
    assert failure == json.loads(connected("accounts", "--json").out)[0]["failures"][0]
    assert (failure["period"], failure["fault"], failure["failures"]) == ("2026-10", "source", 1)


def test_errors_beyond_those_shown_are_found_without_collecting_again(
    capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    metadata = Metadata.connect(settings)
    metadata.migrate()
    periods = [BillingPeriod(2026, 1).shift(-back) for back in range(25)]
    for period in periods:
        slice_ = Slice("acme", "focus", "acme.files", period)
        row = metadata.collections.start("cli-1", "cli", slice_, "run")
        metadata.collections.finish(row, "failed", error="no")
    _print_outcome(metadata.collections.task_status("cli-1"))
    metadata.close()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith('error: and 5 more; see collectionStatus(taskId: "cli-1") of the GraphQL service')
    assert "optiinfra collect" not in last


@pytest.mark.parametrize(("ended", "code"), [("succeeded", 0), ("unchanged", 0), ("failed", 1), ("canceled", 1)])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_who_waits_learns_by_the_exit_code_whether_all_was_collected(
    metadata: Metadata, capsys: pytest.CaptureFixture[str], ended: Ended, code: int, as_json: bool
) -> None:
    slices = tuple(Slice("acme", "focus", "acme.files", BillingPeriod(2026, month)) for month in (10, 9))
    for slice_, state in zip(slices, ("succeeded", ended), strict=True):
        row = metadata.collections.start("cli-1", "cli", slice_, "run")
        metadata.collections.finish(row, state, error=None if code == 0 else "no")
    exited = 0
    try:
        _report(metadata, CollectionTask("cli-1", slices), wait=True, as_json=as_json)
    except click.exceptions.Exit as error:
        exited = error.exit_code
    assert exited == code
    assert ended in capsys.readouterr().out


def test_who_waits_is_told_what_was_read_with_a_warning(metadata: Metadata, capsys: pytest.CaptureFixture[str]) -> None:
    slice_ = Slice("acme", "focus", "acme.files", BillingPeriod(2026, 10))
    row = metadata.collections.start("cli-1", "cli", slice_, "run")
    warnings = [SourceWarning("file-skipped", f"{number}.csv: no cost file") for number in range(21)]
    metadata.collections.finish(row, "succeeded", warnings=warnings)
    earlier = Slice("acme", "focus", "acme.files", BillingPeriod(2026, 9))
    row = metadata.collections.start("cli-1", "cli", earlier, "run")
    metadata.collections.finish(row, "succeeded", warnings=warnings[:1])
    task = CollectionTask("cli-1", (slice_, earlier))
    _report(metadata, task, wait=True, as_json=False)
    *told, last = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert told[0] == f"warning: {slice_} and 1 more: 0.csv: no cost file"
    assert (len(told), last) == (20, "warning: and 1 more; --json has all of them")
    _report(metadata, task, wait=True, as_json=True)
    shown, _ = json.loads(capsys.readouterr().out)["slices"]
    assert shown["warnings"] == [one.values() for one in warnings]


def test_a_token_for_a_customer_that_does_not_exist(connected: Run) -> None:
    assert "customer: 'nobody' does not exist" in connected("token", "create", "--customer", "nobody").error
    assert "customer: needed for role viewer" in connected("token", "create").error


def test_status_of_an_installation_that_never_ran_says_what_to_type(run: Run, tmp_path: Path) -> None:
    shown = run("status")
    assert shown.code == 0
    assert "optiinfra up" in shown.out
    assert json.loads(run("status", "--json").out)["home"] == str(tmp_path / "home")


def test_status_names_what_is_down_and_shows_the_rest(connected: Run, files: Path) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(files))
    shown = connected("status", "--json")
    assert shown.code == 1
    status = json.loads(shown.out)
    up = {part["name"]: part["is_up"] for part in status["parts"]}
    assert up["postgres"] is True
    assert up["clickhouse"] is True
    assert up["dagster-webserver"] is False
    (account,) = status["accounts"]
    assert (account["account"], account["periods"], account["due"]) == ("acme.focus", 0, 13)
    assert "dagster-webserver is down" in status["next"]


def test_status_shows_failures_while_clickhouse_is_down(
    connected: Run, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(tmp_path / "nowhere"), "--no-test")
    metadata, at, may = Metadata.connect(settings), datetime.now(UTC), BillingPeriod(2024, 5)
    slice_ = Slice("acme", "focus", "acme.focus", may)
    metadata.slices.record_probe("acme.focus", {may: "t"}, at)
    metadata.failures.record(slice_, "row 7 is no good", Fault.SOURCE, at, AFTER_PERMANENT)
    metadata.close()
    monkeypatch.setenv("OPTIINFRA_CLICKHOUSE_URL", "http://127.0.0.1:1/nowhere")
    shown = connected("status", "--json")
    assert shown.code == 1
    status = json.loads(shown.out)
    assert [one["message"] for one in status["failures"]] == ["row 7 is no good"]
    assert "clickhouse is down" in status["next"]


def test_collect_says_what_it_does_not_accept_and_that_dagster_is_away(connected: Run, files: Path) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(files))
    assert "billing period: '2026-13' is not accepted: use YYYY-MM" in connected("collect", "--period", "2026-13").error
    assert "billing period: 2099-01 is not accepted" in connected("collect", "--period", "2099-01").error
    assert "acme.focus" in connected("collect", "--account", "acme.other").error
    assert "127.0.0.1:1" in connected("collect").error


def test_collect_where_nothing_is_due_says_so_and_is_no_failure(
    connected: Run, tmp_path: Path, settings: Settings
) -> None:
    connected("connect", "focus", "--customer", "acme", "--location", str(tmp_path / "nowhere"), "--no-test")
    metadata, at, may = Metadata.connect(settings), datetime.now(UTC), BillingPeriod(2024, 5)
    metadata.slices.record_probe("acme.focus", {may: "t"}, at)
    metadata.slices.record_collection(Slice("acme", "focus", "acme.focus", may), "t", at)
    metadata.close()
    said = connected("collect", "--wait")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("nothing is due, and no source has the current billing period")
    assert json.loads(connected("collect", "--json").out) == {"task": None, "slices": []}


def test_migrate_again_runs_nothing(connected: Run) -> None:
    assert json.loads(connected("migrate", "--json").out) == {"postgres": [], "clickhouse": []}
    assert json.loads(connected("migrate", "--dry-run", "--json").out) == {"postgres": [], "clickhouse": []}


def test_migrate_dry_run_prints_what_it_would_do_and_does_not(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIINFRA_CLICKHOUSE_URL", str(settings.clickhouse_url))
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", str(settings.postgres_url))
    first, again = run("migrate", "--dry-run"), run("migrate", "--dry-run")
    assert first.code == 0
    assert "CREATE TABLE" in first.out
    assert first.out == again.out


def test_gc_of_nothing(connected: Run) -> None:
    expected = {"expired": 0, "removed": 0, "orphans": 0, "rows": 0, "archived": 0}
    assert json.loads(connected("gc", "--dry-run", "--json").out) == expected
    assert json.loads(connected("gc", "--json").out) == expected
