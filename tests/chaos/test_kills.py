"""kill -9 of what collects, of what collects garbage, of ClickHouse and of PostgreSQL, at random moments of a collection.

Meanwhile `status` says what is down. After every restart each slice's total is that of a published generation and of a version the files
once had, and the history says of no collection that it runs; then the collection that was killed is run again and completes the work. The
moments come from a seed that a failure prints. Each victim dies in every part of a collection, which is cut into as many as there are
kills of it: 4 in all, and more where ``OPTIINFRA_TEST_KILLS`` asks for more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from loopback import eventually, server_folder
from machine import ACCOUNT, PERIODS, Machine, ended

from optiinfra_assets.domain.accounts import Slice

VICTIMS = ("collector", "clickhouse", "postgres", "garbage collector")
KILLS = int(os.environ.get("OPTIINFRA_TEST_KILLS", "4"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with server_folder() as servers:
        machine = Machine(tmp_path, servers / "postgres", rows=10_000)
        try:
            machine.start()
            machine.prepare()
            yield machine
        finally:
            machine.stop()


def moments(seconds: float, random_: random.Random) -> list[tuple[str, float]]:
    """Whom to kill, and how many seconds after a collection began that takes so many; in random order."""
    parts = -(-KILLS // len(VICTIMS))
    found = [(victim, (part + random_.random()) * seconds / parts) for victim in VICTIMS for part in range(parts)]
    random_.shuffle(found)
    return found[:KILLS]


def kill_during_a_collection(machine: Machine, victim: str, moment: float) -> bool:
    """kill -9 of one of the four so many seconds after a collection began; whether it still ran then.

    What a supervisor would start again is started; a collector that lost its database ends by itself.
    """
    garbage = machine.garbage_collector() if victim == "garbage collector" else None
    process = machine.collector()
    process.join(moment)
    is_hit = process.is_alive()
    if garbage is not None:
        garbage.kill()
        garbage.join()
    elif victim == "collector":
        process.kill()
    else:
        machine.kill(victim)
        assert eventually(lambda: machine.down() == {victim})
        machine.start()
    ended(process)
    assert machine.down() == set()
    return is_hit


@pytest.mark.timeout(1800)
def test_nothing_half_is_ever_seen_and_the_next_collection_completes(
    machine: Machine, instance: dg.DagsterInstance
) -> None:
    """After each kill the reader sees whole versions only, and the work that was killed completes when run again."""
    seed = random.SystemRandom().randrange(10**9)
    random_ = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    for period in PERIODS:
        machine.write(period, random_)
    machine.collect()
    machine.write(PERIODS[0], random_)
    hits = 0
    for number, (victim, moment) in enumerate(moments(machine.collect(), random_)):
        machine.write(random_.choice(PERIODS), random_)
        hits += kill_during_a_collection(machine, victim, moment)
        totals = machine.totals()
        assert set(totals) == set(PERIODS)
        assert all(total in machine.versions[period] for period, total in totals.items())
        machine.check_history(instance)
        if number % 5 == 4:
            machine.collect()
            assert machine.totals() == machine.newest
    print(f"{hits} of {KILLS} kills hit a collection")  # noqa: T201
    assert hits > KILLS // 3, "collections had ended before they were to be killed"
    _no_row_is_left_behind(machine)


def _no_row_is_left_behind(machine: Machine) -> None:
    """Rows of killed attempts go with the next garbage collection; those of publications stay."""
    machine.collect()
    with machine.stores() as stores:
        live = stores.metadata.slices.live_generations(timedelta(0))
        stores.warehouse.collect_garbage(datetime.now(UTC) + timedelta(days=2), 95, live)
        orphans = "SELECT count() FROM raw_costs WHERE generation NOT IN (SELECT generation FROM publications)"
        assert stores.warehouse.client.query(orphans).result_rows == [(0,)]
        current = {one.slice: one.generation for one in stores.warehouse.resolve(ACCOUNT.customer_id).publications}
        assert set(current) == {Slice.of(ACCOUNT, period) for period in PERIODS}
    assert machine.totals() == machine.newest
