"""The embedded PostgreSQL: starts, stops, survives kill -9 of any process, says in one line why not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from loopback import server_folder

from optiinfra_assets.embedded.errors import PostgresError
from optiinfra_assets.embedded.postgres import __main__ as postgres


def servers(path: Path) -> list[psutil.Process]:
    """Every PostgreSQL process that works in data directory `path`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()) == path:
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def in_foreground(path: Path) -> Iterator[subprocess.Popen[str]]:
    """``python -m optiinfra_assets.embedded.postgres --path`` as a person or the supervisor runs it."""
    command = [sys.executable, "-m", "optiinfra_assets.embedded.postgres", "--path", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def first_line(process: subprocess.Popen[str]) -> str:
    """What the foreground process prints once connections are taken: the URL."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def path() -> Iterator[Path]:
    """A data directory that no server works in any more after the test."""
    with server_folder() as parent:
        folder = parent / "postgres"
        yield folder
        postgres.stop(folder)
        assert eventually(lambda: not servers(folder)), f"left running: {servers(folder)}"


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    url = postgres.start(path)
    assert postgres.start(path) == url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        version, zone = connection.execute("SELECT version(), current_setting('timezone')").fetchone() or (
            "",
            "",
        )
    assert version.startswith("PostgreSQL 18.")
    assert zone == "UTC"
    postgres.stop(path)
    assert not servers(path)
    with psycopg.connect(postgres.start(path)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["long-folder-name"] * 8) / "with 'quotes' & spaces"
    url = postgres.start(path)
    try:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            sockets = Path(connection.info.host)
    finally:
        postgres.stop(path)
    assert sockets != path
    assert not sockets.exists()


def test_the_socket_lets_in_nobody_else(path: Path) -> None:
    postgres.start(path)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_foreground_stops_cleanly(path: Path, sign: signal.Signals) -> None:
    with in_foreground(path) as process, closing(psycopg.connect(first_line(process))) as connected:
        connected.execute("SELECT 1")
        process.send_signal(sign)
        assert process.wait(20) == 0
    assert not servers(path)
    assert not (path / "postmaster.pid").exists()


def test_foreground_ends_when_the_server_dies(path: Path) -> None:
    with in_foreground(path) as process:
        first_line(process)
        os.kill(int((path / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert process.wait(20) == 1


def test_acknowledged_rows_survive_kill_9_of_every_process(path: Path) -> None:
    with in_foreground(path) as process:
        with psycopg.connect(first_line(process)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        # Looked for first: on a busy machine that takes long enough for the watchdog to stop them in good order.
        doomed = servers(path)
        process.kill()
        for server in doomed:
            with suppress(psutil.NoSuchProcess):
                server.kill()
    assert (path / "postmaster.pid").exists()
    with psycopg.connect(postgres.start(path)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_kill_9_of_the_owner_leaves_no_server(path: Path) -> None:
    with in_foreground(path) as process:
        first_line(process)
        process.kill()
        assert eventually(lambda: not servers(path))


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(path: Path) -> None:
    postgres.start(path)
    lines = (path / "postmaster.pid").read_text().splitlines()
    postgres.stop(path)
    (path / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with psycopg.connect(postgres.start(path)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_second_server_on_the_same_folder_is_refused(path: Path) -> None:
    postgres.start(path)
    with in_foreground(path) as second:
        _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert errors.count("\n") == 1
    assert f"{path}: already served by process " in errors


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("PG_VERSION", "16\n", "of PostgreSQL 16, but this is PostgreSQL 18"),
        ("notes.txt", "mine", "neither empty nor"),
    ],
)
def test_a_folder_that_is_not_ours_is_left_alone(path: Path, file: str, content: str, said: str) -> None:
    path.mkdir()
    (path / file).write_text(content)
    with pytest.raises(PostgresError, match=said) as caught:
        postgres.start(path)
    assert "\n" not in str(caught.value)
    assert "OPTIINFRA_HOME" in str(caught.value)
    assert (path / file).read_text() == content
