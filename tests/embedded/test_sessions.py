"""What a killed supervisor leaves is ended, whoever else has its environment is not, and nothing of it holds a port or a lock any more."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from loopback import HANG

from optiinfra_assets.embedded import preflight, sessions
from optiinfra_assets.embedded.postgres.server_user import NUMBERS

SLEEP = [sys.executable, "-c", "import time; print('runs', flush=True); time.sleep(600)"]
TWO = f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(600)"
HOLDER = """
import ctypes, socket, sys, threading, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
memory = b"x" * (400 << 20)
print("runs", flush=True)
if "without-its-first-thread" in sys.argv:
    threading.Thread(target=time.sleep, args=[600]).start()
    ctypes.CDLL(None).pthread_exit(None)
time.sleep(600)
"""


@contextmanager
def started(
    command: list[str], marker: str | None, *, own_session: bool = True, user: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that says when it runs, with the marker in its environment or without."""
    environment = {name: value for name, value in os.environ.items() if name != sessions.MARKER}
    environment |= {sessions.MARKER: marker} if marker else {}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=own_session, user=user
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=HANG)


def left_by_a_killed_supervisor(home: Path, *leaders: int) -> None:
    """Write what the supervisor with pid 1 would have left."""
    (home / "sessions.json").write_text(json.dumps({"marker": sessions.marker(home, 1), "leaders": leaders}))


def test_the_rest_of_a_session_ends_with_its_leader_and_without_it(tmp_path: Path) -> None:
    marker = sessions.marker(tmp_path, 1)
    with started([sys.executable, "-c", TWO], marker) as first, started([sys.executable, "-c", TWO], marker) as second:
        children = [child for leader in (first, second) for child in psutil.Process(leader.pid).children()]
        assert len(children) == 2
        second.kill()
        second.wait(HANG)
        left_by_a_killed_supervisor(tmp_path, first.pid, second.pid)
        sessions.end_left(tmp_path)
        assert first.wait(HANG) == -signal.SIGTERM
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not (tmp_path / "sessions.json").exists()


def test_who_only_has_the_environment_or_only_the_number_of_a_session_is_left_alone(tmp_path: Path) -> None:
    marker = sessions.marker(tmp_path, 1)
    with ExitStack() as stack:
        copied_it = stack.enter_context(started(SLEEP, marker))
        in_another_session = stack.enter_context(started(SLEEP, marker, own_session=False))
        got_the_number = stack.enter_context(started(SLEEP, None))
        of_another_home = stack.enter_context(started(SLEEP, sessions.marker(tmp_path / "other", 1)))
        left_by_a_killed_supervisor(tmp_path, got_the_number.pid, of_another_home.pid)
        sessions.end_left(tmp_path)
        strangers = (copied_it, in_another_session, got_the_number, of_another_home)
        assert [stranger.poll() for stranger in strangers] == [None] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_a_process_of_another_user_is_left_alone_but_not_the_database_of_root(tmp_path: Path) -> None:
    sleep, marker = ["sh", "-c", "echo runs; exec sleep 600"], sessions.marker(tmp_path, 1)
    with started(sleep, marker, user=65534) as other, started(sleep, marker, user=NUMBERS[0]) as database:
        left_by_a_killed_supervisor(tmp_path, other.pid, database.pid)
        sessions.end_left(tmp_path)
        assert other.poll() is None
        assert database.wait(HANG) == -signal.SIGTERM


@pytest.mark.parametrize("content", ["", '{"marker": "x", "lead'])
def test_a_file_that_a_full_disk_or_a_power_cut_left_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "sessions.json").write_text(content)
    sessions.end_left(tmp_path)
    assert not (tmp_path / "sessions.json").exists()


@pytest.mark.parametrize("kind", ["whole", "without-its-first-thread"])
def test_a_port_is_free_once_its_holder_is_ended(tmp_path: Path, kind: str) -> None:
    """The kernel frees a large process's memory first and then closes its sockets, thread by thread: meanwhile it looks like a zombie."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    for _ in range(2):
        with started([sys.executable, "-c", HOLDER, str(port), kind], sessions.marker(tmp_path, 1)) as holder:
            left_by_a_killed_supervisor(tmp_path, holder.pid)
            sessions.end_left(tmp_path)
            assert preflight.port_is_free("127.0.0.1", port)
