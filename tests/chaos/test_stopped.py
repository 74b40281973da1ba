"""SIGSTOP for an hour of clock: what was stopped in the middle of its work wakes to a world that went on without it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess

import dagster as dg
import pytest
from loopback import eventually, server_folder
from machine import PERIODS, Machine, ended

from optiinfra_assets.orchestration.run_monitoring import monitor_runs

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Both databases, and one collection of both months."""
    random_ = random.Random(8)  # noqa: S311 - amounts of money, not secrets
    with server_folder() as servers:
        machine = Machine(tmp_path_factory.mktemp("stopped"), servers / "postgres", rows=20_000)
        try:
            machine.start()
            machine.prepare()
            for period in PERIODS:
                machine.write(period, random_)
            machine.collect()
            yield machine
        finally:
            machine.stop()


@contextmanager
def stopped(machine: Machine) -> Iterator[BaseProcess]:
    """A collector that was stopped while it loads line items, and goes on afterwards."""
    before = _loading(machine)
    process = machine.collector()
    assert process.pid is not None
    assert eventually(lambda: _loading(machine) > before or not process.is_alive(), 0)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGCONT)
        ended(process)


def _loading(machine: Machine) -> int:
    with machine.stores() as stores:
        return len(stores.metadata.slices.live_generations())


def test_a_collector_that_wakes_after_its_collection_was_given_up_publishes_nothing(
    machine: Machine, instance: dg.DagsterInstance
) -> None:
    """It holds the lock on its slice all the time, so nobody else collects that one, and garbage collection leaves its rows."""
    machine.write(PERIODS[0], random.Random(1))  # noqa: S311 - amounts of money
    with stopped(machine), machine.stores() as stores:
        now = datetime.now(UTC) + HOUR
        live = stores.metadata.slices.live_generations(timedelta(0))
        assert live
        stores.warehouse.collect_garbage(now + 48 * HOUR, 95, live)
        monitor_runs(stores.metadata, instance, now)
        assert stores.metadata.work_queue.open_collections() == []
        assert machine.down() == set()
        other = machine.collector()
        assert ended(other) == 1, "its first slice is locked"
    assert machine.totals()[PERIODS[0]] in machine.versions[PERIODS[0]]
    machine.check_history(instance)
    machine.collect()
    assert machine.totals() == machine.newest


def test_a_collector_that_wakes_after_another_took_its_slice_is_refused(
    machine: Machine, instance: dg.DagsterInstance
) -> None:
    """PostgreSQL was started anew meanwhile, which ends all locks, and what the stopped one had read is no longer true."""
    machine.write(PERIODS[0], random.Random(2))  # noqa: S311 - amounts of money
    with stopped(machine):
        machine.kill("postgres")
        machine.start()
        for period in PERIODS:
            machine.write(period, random.Random(3 + period.month))  # noqa: S311 - amounts of money
        machine.collect()
        assert machine.totals() == machine.newest
    assert machine.totals() == machine.newest
    machine.check_history(instance)
    with machine.stores() as stores:
        assert stores.metadata.slices.live_generations(timedelta(0)) == frozenset()


def test_a_clickhouse_that_was_stopped_is_told_and_goes_on(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` waits for its answer no longer than for any other, and the collection that it kept waiting completes."""
    monkeypatch.setattr("optiinfra_assets.cli.health._PATIENCE", 2.0)
    machine.write(PERIODS[1], random.Random(4))  # noqa: S311 - amounts of money
    assert machine.clickhouse is not None
    process = machine.collector()
    process.join(0.2)
    machine.clickhouse.send_signal(signal.SIGSTOP)
    try:
        assert machine.down() == {"clickhouse"}
    finally:
        machine.clickhouse.send_signal(signal.SIGCONT)
    assert ended(process) == 0
    assert machine.totals() == machine.newest
    monkeypatch.undo()
    assert machine.down() == set()
