"""A part that runs and answers no more is replaced; parts that are well are left alone, however much of the clock's time passes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from loopback import free_port, wait_until_answers
from running_platform import Platform, eventually
from world import World

from optiinfra_assets.embedded import home_folder, liveness

QUICK = """
from optiinfra_assets.cli import main
from optiinfra_assets.embedded import liveness
liveness.PERIOD, liveness.PROBE_TIMEOUT = 0.5, 2.0
main()
"""
"""The command line with a supervisor that asks ten times as often as usual."""

LATEST = 100
"""Seconds in which all parts are replaced, on a machine that is busy with other tests too."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform."""
    running = Platform(tmp_path_factory.mktemp("silent") / "home")
    running.up("-c", QUICK)
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def _parts(platform: Platform) -> dict[str, int]:
    """The process of each part that has to answer: of PostgreSQL the server itself, which our process only starts."""
    postmaster = (platform.home / "postgres" / "postmaster.pid").read_text().split()[0]
    return {
        "postgres": int(postmaster),
        "clickhouse": platform.one("optiinfra_assets.embedded.clickhouse").pid,
        "webserver": platform.one("optiinfra_api.web").pid,
        "daemon": platform.one("optiinfra_assets.embedded.dagster.daemon").pid,
        "code location": platform.one("grpc").pid,
        "api": platform.one("optiinfra_api").pid,
    }


def _are_others(platform: Platform, before: dict[str, int]) -> bool:
    """Whether every part runs, each in another process than before."""
    try:
        return not set(_parts(platform).values()) & set(before.values())
    except (ValueError, OSError):
        return False  # one of them does not run yet


def _stopped_for(seconds: float, pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


def test_who_sleeps_with_the_whole_machine_is_not_replaced(platform: Platform) -> None:
    """As a laptop does: all stop, and the clock goes on. Eight seconds are twice what the supervisor would wait for an answer."""
    assert platform.process is not None
    before = _parts(platform)
    _stopped_for(8, [platform.process.pid, *before.values()])
    time.sleep(6)
    assert _parts(platform) == before
    assert eventually(platform.is_up, LATEST), platform.status()


def test_every_part_that_is_silent_is_replaced(platform: Platform) -> None:
    before = _parts(platform)
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: not any(map(psutil.pid_exists, before.values())), LATEST), before
    assert eventually(lambda: _are_others(platform, before), LATEST), platform.processes()
    assert eventually(platform.is_up, LATEST), platform.status()
    said = platform.home.with_name(f"{platform.home.name}.up.log").read_text()
    for name in ("postgres", "clickhouse", "dagster-webserver", "dagster-daemon", "code-location", "api"):
        assert any(name in line and "did not answer" in line for line in said.splitlines()), (name, said)


def test_a_probe_waits_for_an_answer_and_not_for_a_connection(platform: Platform) -> None:
    pid = platform.one("grpc").pid
    socket = home_folder.code_location_socket(platform.home)
    probe = liveness.grpc_answers(lambda: asyncio.open_unix_connection(socket))
    assert asyncio.run(probe(pid))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(probe(pid), 1))
    finally:
        os.kill(pid, signal.SIGCONT)


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


def test_a_process_that_was_stopped_for_long_is_not_taken_for_hanging() -> None:
    process = _hanging(3, 0)
    time.sleep(1)
    _stopped_for(1.5, [process.pid])
    said, log = process.communicate(timeout=LATEST)
    assert (process.returncode, said, log) == (0, "turned\n", "")
