"""The clock an hour back and two days ahead: what was recorded while it was wrong holds nothing up, and nothing is lost by it."""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import engines_only
import psycopg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from focus_samples import csv_text, row, write_csv
from loopback import server_folder
from running_platform import Platform
from warehouse_samples import Line, publication, publish, write

from optiinfra_assets.cli.problems import problems_of
from optiinfra_assets.dagster_processes import daemon
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.failures import AFTER_PERMANENT, AFTER_TRANSIENT, Fault, RetryPause
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.orchestration.run_monitoring import monitor_runs
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import Snapshot
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

FAKETIME = next((one for one in Path("/usr/lib").glob("*/faketime/libfaketimeMT*")), None)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OCTOBER = BillingPeriod(2026, 10)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
AHEAD = [HOUR, timedelta(days=2)]


def sql(settings: Settings, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def account(metadata: Metadata) -> Metadata:
    """The metadata with one account, whose October was seen."""
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    metadata.slices.record_probe("acme.main", {OCTOBER: "a"}, AT)
    return metadata


SLICE = Slice("acme", "focus", "acme.main", OCTOBER)


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
@pytest.mark.parametrize("pause", [AFTER_PERMANENT, AFTER_TRANSIENT], ids=["permanent", "transient"])
def test_a_retry_is_not_awaited_that_a_clock_set_which_was_ahead(
    account: Metadata, ahead: timedelta, pause: RetryPause
) -> None:
    account.collections.start("before", "schedule", SLICE, "run")
    account.collections.close("failed", "no", task_id="before")
    for at in (AT + ahead - MINUTE, AT + ahead):
        account.failures.record(SLICE, "no", Fault.SOURCE, at, pause)
    assert SLICE not in account.work_queue.slices_to_collect(["focus"], AT + ahead + MINUTE, "tick")
    assert SLICE in account.work_queue.slices_to_collect(["focus"], AT, "tick")
    account.failures.record(SLICE, "no", Fault.SOURCE, AT, AFTER_PERMANENT)
    assert SLICE not in account.work_queue.slices_to_collect(["focus"], AT + MINUTE, "tick"), "the next wait is real"


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
def test_an_account_is_asked_whose_pause_a_clock_set_that_was_ahead(account: Metadata, ahead: timedelta) -> None:
    account.accounts.add(Account("acme.other", "acme", "focus"))
    for account_id, at in (("acme.main", AT + ahead), ("acme.other", AT)):
        account.work_queue.postpone_probes(account_id, at + HOUR)
        account.work_queue.record_probe_tries([account_id], at)
    asked = account.work_queue.accounts_to_probe(["focus"], AT)
    assert [one.account_id for one in asked] == ["acme.main"]
    asked = account.work_queue.accounts_to_probe(["focus"], AT + HOUR)
    assert [one.account_id for one in asked][-1] == "acme.other" or ahead == HOUR


def test_status_says_that_the_clock_was_ahead_until_the_next_tick(
    account: Metadata, warehouse: Warehouse, settings: Settings
) -> None:
    def kinds() -> set[str]:
        found = problems_of(settings, account, warehouse, account.failures.find(), AT + MINUTE)
        return {one.kind for one in found} - {"disk"}

    account.work_queue.record_probe_tries(["acme.main"], AT + timedelta(days=2))
    assert kinds() == {"clock"}
    account.work_queue.record_probe_tries(["acme.main"], AT)
    assert kinds() == set()


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
def test_a_queued_slice_is_asked_for_again_though_it_was_queued_in_the_future(
    account: Metadata, settings: Settings, instance: dg.DagsterInstance, ahead: timedelta
) -> None:
    account.collections.queue("task", "schedule", [SLICE])
    sql(settings, "UPDATE optiinfra.collection_history SET queued_at = %s", AT + ahead)
    (request,) = monitor_runs(account, instance, AT).requests
    assert list(request.scopes[0].slices) == [SLICE]


def test_a_collection_whose_run_is_gone_is_not_running_whatever_the_clock_says(
    account: Metadata, settings: Settings, instance: dg.DagsterInstance
) -> None:
    account.collections.start("task", "schedule", SLICE, "gone")
    sql(settings, "UPDATE optiinfra.collection_history SET queued_at = %s, started_at = %s", *[AT + AHEAD[1]] * 2)
    assert monitor_runs(account, instance, AT).closed == 1
    assert account.work_queue.open_collections() == []
    assert SLICE in account.work_queue.slices_to_collect(["focus"], AT, "tick")


def test_a_session_lasts_as_long_as_ever_once_the_clock_is_right(metadata: Metadata, settings: Settings) -> None:
    token = metadata.tokens.issue("ops", None, "admin").token.token_id
    session, link = str(metadata.web_sessions.open(token, "127.0.0.1")), metadata.web_sessions.make_link(token)
    sql(
        settings,
        "UPDATE optiinfra.web_sessions SET created_at = created_at + %(a)s, expires_at = expires_at + %(a)s, "
        "ends_at = ends_at + %(a)s".replace("%(a)s", "interval '2 days'"),
    )
    assert metadata.web_sessions.find(session) is not None
    ends = "SELECT expires_at < now() + interval '1 hour 1 minute', ends_at < now() + interval '12 hours 1 minute'"
    assert sql(settings, f"{ends} FROM optiinfra.web_sessions WHERE kind = 'session'") == [(True, True)]
    assert metadata.web_sessions.open_by_link(link, "127.0.0.1") is None, "it would be accepted for two days"


def test_a_reading_is_stored_after_one_that_a_clock_took_which_was_ahead(account: Metadata) -> None:
    snapshots = SnapshotRepository(account, "acme.main", Snapshot)
    now = datetime.now(UTC)
    period = BillingPeriod.of(now)
    for body, at in ((b"1", now - HOUR), (b"2", now + AHEAD[1])):
        assert snapshots.add(Snapshot("pending", period, at, body))
    assert not snapshots.add(Snapshot("pending", period, now - 2 * HOUR, b"2")), "it says the same"
    assert snapshots.add(Snapshot("pending", period, now, b"3"))
    assert snapshots.newest("pending", period).body == b"3"  # type: ignore[union-attr]
    assert [one.body for one in snapshots.read("pending", period)] == [b"1", b"2", b"3"]


def test_a_reading_of_a_process_that_was_stopped_for_long_is_not_taken_for_news(account: Metadata) -> None:
    snapshots = SnapshotRepository(account, "acme.main", Snapshot)
    now = datetime.now(UTC)
    assert snapshots.add(Snapshot("pending", OCTOBER, now, b"2"))
    assert not snapshots.add(Snapshot("pending", OCTOBER, now - 3 * HOUR, b"1"))


def test_garbage_collection_two_days_ahead_leaves_what_is_being_loaded(
    account: Metadata, warehouse: Warehouse, settings: Settings, tmp_path: Path
) -> None:
    """An attempt of a minute ago then seems two days old, and what was published since seems settled."""
    write_csv(tmp_path / "september.csv", csv_text([row(ResourceId=f"r{number}") for number in range(40)]))
    files = account.accounts.add(Account("acme.files", "acme", "focus", {"location": str(tmp_path)}))
    period = BillingPeriod(2024, 9)
    looks = iter(range(9))

    def check() -> None:
        if next(looks) == 0:
            newer = account.slices.start_generation(SLICE, "another")
            publish(warehouse, newer, [Line(Decimal(5))], SLICE)
            account.slices.finish_generation(newer, "published")
        sql(settings, "UPDATE optiinfra.generations SET started_at = now() - interval '2 days'")
        live = account.slices.live_generations()
        warehouse.collect_garbage(datetime.now(UTC) + AHEAD[1], 95, live)

    result = collect_slice(
        PROVIDERS["focus"],
        files,
        period,
        warehouse=warehouse,
        metadata=account,
        run_id="run",
        accept_empty=True,
        check=check,
        log=logging.getLogger("test"),
    )
    assert result.published is not None
    stored = f"FROM raw_costs WHERE generation = {result.published.generation}"
    assert warehouse.client.query(f"SELECT count(), sum(billed_cost) {stored}").result_rows == [(40, Decimal(50))]
    assert account.slices.live_generations(timedelta(0)) == frozenset()


def test_what_is_inside_retention_stays_when_the_clock_goes_two_days_ahead_and_back(warehouse: Warehouse) -> None:
    days = [AT - timedelta(days=back) for back in (60, 30, 1)]
    for generation, day in enumerate(days, start=1):
        publish(warehouse, generation, [Line(Decimal(generation))], SLICE, published_at=day)
    for now in (AT, AT + AHEAD[1], AT + AHEAD[1] + 2 * HOUR, AT - HOUR, AT, AT + 2 * HOUR):
        removed = warehouse.collect_garbage(now, 95, ())
        assert (removed.expired, removed.rows) == (0, 0)
    for generation, day in enumerate(days, start=1):
        assert warehouse.resolve("acme", as_of=day + HOUR).generations == (generation,)


def test_publications_follow_each_other_whatever_the_clock_says(warehouse: Warehouse) -> None:
    for generation, at in enumerate((AT, AT + AHEAD[1], AT, AT - HOUR), start=1):
        publish(warehouse, generation, [Line(Decimal(generation))], SLICE, published_at=at)
        assert warehouse.resolve("acme").generations == (generation,)
    newest = warehouse.current(SLICE)
    assert newest is not None
    assert newest.published_at == AT + AHEAD[1] + timedelta(microseconds=2)


def test_a_publication_that_comes_late_is_not_the_newest_though_the_clock_went_back(warehouse: Warehouse) -> None:
    """Its process was stopped between its last look and its insert; meanwhile the next generation was published, an hour earlier."""
    sent = write(warehouse, 1, [Line(Decimal(1))], SLICE)
    warehouse.derive({1: SLICE})
    publish(warehouse, 2, [Line(Decimal(2))], SLICE, published_at=AT - HOUR)
    late = publication(1, sent, SLICE, published_at=AT).values()
    warehouse.client.insert("publications", [list(late.values())], column_names=list(late))
    assert warehouse.resolve("acme").generations == (2,)
    assert warehouse.resolve("acme", as_of=AT + HOUR).generations == (2,)
    assert warehouse.current(SLICE).generation == 2  # type: ignore[union-attr]
    for now in (AT + timedelta(days=1), AT + timedelta(days=2)):
        warehouse.collect_garbage(now, 95, ())
    stored = "SELECT sum(billed_cost) FROM raw_costs WHERE generation = 2"
    assert warehouse.client.query(stored).result_rows == [(Decimal(2),)]


def _origin(name: str) -> RemoteInstigatorOrigin:
    location = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name="optiinfra")
    return RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)


def test_schedules_and_sensors_go_on_once_the_clock_is_right(instance: dg.DagsterInstance) -> None:
    """Dagster evaluates a schedule after its last tick, and a sensor some seconds after it, so both would stand still for two days."""
    now = AT.timestamp()
    ahead = (AT + AHEAD[1]).timestamp()
    schedule, sensor = _origin("collect_due"), _origin("follow_runs")
    told = (
        (schedule, InstigatorType.SCHEDULE, ScheduleInstigatorData("*/15 * * * *", now - 9, ahead)),
        (sensor, InstigatorType.SENSOR, SensorInstigatorData(ahead, None, 30, "cursor", ahead, now - 9)),
    )
    for origin, kind, data in told:
        instance.add_instigator_state(InstigatorState(origin, kind, InstigatorStatus.RUNNING, data))
        for at in (now - 900, ahead - 900, ahead):
            instance.create_tick(
                TickData(
                    origin.get_id(),
                    origin.instigator_name,
                    kind,
                    TickStatus.SUCCESS,
                    at,
                    run_ids=[],
                    selector_id=origin.get_selector().get_id(),
                )
            )
    assert daemon.forget_future(instance, now) == 6
    assert daemon.forget_future(instance, now) == 0
    states = {one.origin.instigator_name: one.instigator_data for one in instance.all_instigator_state()}
    assert states["collect_due"] == ScheduleInstigatorData("*/15 * * * *", now - 9, now)
    assert states["follow_runs"] == SensorInstigatorData(now, None, 30, "cursor", now, now - 9)
    for origin in (schedule, sensor):
        found = instance.get_ticks(origin.get_id(), origin.get_selector().get_id())
        assert sorted(tick.timestamp for tick in found) == [now - 900, now, now]


@pytest.mark.parametrize("back", [3600, 172_800])
def test_the_daemon_starts_again_when_the_clock_is_set_back(back: int) -> None:
    """A clock that goes ahead, or is corrected by less than a minute, is left to Dagster."""
    steps = iter([0.0, 1.0, 172_800.0, 172_799.0, 172_770.0, 172_800.0 - back])
    slept: list[float] = []
    assert daemon.until_set_back(lambda: next(steps), lambda: 0.0, slept.append) == back
    assert len(slept) == 5


@pytest.mark.skipif(FAKETIME is None, reason="NOT TESTED: libfaketime is not installed (Debian package faketime)")
@pytest.mark.skipif(
    "faketime" in os.environ.get("LD_PRELOAD", ""), reason="the suite runs by a clock that is moved already"
)
def test_no_part_is_replaced_because_the_clock_jumps() -> None:
    """The databases and their supervisor, all stopped for an hour of clock, then an hour back, two days ahead, and right again."""
    with server_folder() as folder, tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o755)  # PostgreSQL may be another user
        clock = Path(shared) / "clock"
        _set(clock, 0)
        moved = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
        home = folder / "home"
        engines = Platform(home, DONT_FAKE_MONOTONIC="1", **moved)
        engines.up(str(Path(engines_only.__file__)))
        try:
            parts = {one.pid for one in engines.processes()}
            assert engines.process is not None
            for pid in (*parts, engines.process.pid):
                os.kill(pid, signal.SIGSTOP)
            _set(clock, 3600)
            for pid in (*parts, engines.process.pid):
                os.kill(pid, signal.SIGCONT)
            for seconds in (3600, -3600, 172_800, 0):
                _set(clock, seconds)
                time.sleep(1.5)
                url = json.loads((home / "runtime.json").read_text())["postgres_url"]
                with psycopg.connect(url) as connection:
                    (told,) = connection.execute("SELECT extract(epoch FROM now())").fetchone()  # type: ignore[misc]
                assert abs(float(told) - time.time() - seconds) < 60
            assert parts <= {one.pid for one in engines.processes()}
            assert "died" not in (folder / "home.up.log").read_text()
        finally:
            engines.stop()


def _set(clock: Path, seconds: int) -> None:
    written = clock.with_suffix(".new")  # whoever reads it meanwhile reads the old offset or the new one
    written.write_text(f"{seconds:+d}")
    written.chmod(0o644)
    written.rename(clock)
