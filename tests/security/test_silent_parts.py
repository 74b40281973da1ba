"""A part that runs and answers no more is replaced; parts that are well are left alone, however much of the clock's time passes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]
import psycopg
from loopback import free_port, wait_until_answers
from running_platform import eventually, stopped_for
from world import World

from optiinfra_assets.embedded import liveness

LATEST = 100
"""Seconds in which all parts are replaced, on a machine that is busy with other tests too."""


def test_the_daemon_is_silent_when_its_heartbeats_stay_away(postgres_url: str) -> None:
    probe = liveness.heartbeat_comes(postgres_url)

    def looks(count: int) -> list[bool]:
        async def looking() -> list[bool]:
            return [await probe(0) for _ in range(count)]

        return asyncio.run(looking())

    assert looks(2) == [True, True], "what the database does not tell is no silence"
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("CREATE TABLE daemon_heartbeats (timestamp timestamp)")
        try:
            database.execute("INSERT INTO daemon_heartbeats VALUES ('2026-11-30'), ('2026-11-29')")
            assert looks(1 + liveness.HEARTBEAT_LOOKS) == [True] * liveness.HEARTBEAT_LOOKS + [False]
            # The clock was set back: the newest heartbeat is another one.
            database.execute("UPDATE daemon_heartbeats SET timestamp = '2026-11-28'")
            assert looks(2) == [True, True]
        finally:
            database.execute("DROP TABLE daemon_heartbeats")


def test_a_worker_that_is_silent_is_replaced(world: World) -> None:
    port = free_port()
    command = [sys.executable, "-m", "optiinfra_api", "--port", str(port), "--workers", "2"]
    databases = {
        "OPTIINFRA_HOME": str(world.settings.home),
        "OPTIINFRA_CLICKHOUSE_URL": str(world.settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(world.settings.postgres_url),
    }
    process = subprocess.Popen(command, env={**os.environ, **databases}, stderr=subprocess.DEVNULL)
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/healthz", process)
        workers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        assert len(workers) == 2
        workers[0].suspend()
        assert eventually(lambda: not workers[0].is_running(), LATEST)
        assert workers[1].is_running()
    finally:
        process.terminate()
        process.wait(LATEST)


HANGING = """
import asyncio, sys, time
from optiinfra_api.server.loop_watch import watched

async def serve():
    with watched(asyncio.get_running_loop(), tick=0.05, most=10):
        await asyncio.sleep(float(sys.argv[1]))
        print("turned", flush=True)
        time.sleep(float(sys.argv[2]))

asyncio.run(serve())
"""


def _hanging(well: float, hangs: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HANGING, str(well), str(hangs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_whose_event_loop_hangs_ends_and_says_where() -> None:
    process = _hanging(0.1, 600)
    said, log = process.communicate(timeout=LATEST)
    assert (process.returncode, said) == (70, "turned\n")
    assert re.search(r"line \d+ in serve", log)


def test_a_process_that_wasstopped_for_long_is_not_taken_for_hanging() -> None:
    process = _hanging(3, 0)
    time.sleep(1)
    stopped_for(1.5, [process.pid])
    said, log = process.communicate(timeout=LATEST)
    assert (process.returncode, said, log) == (0, "turned\n", "")
