"""A start right after a kill -9 works at the first try, at whatever moment the kill comes, with or without a process that cleans up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from loopback import HANG, eventually, server_folder
from running_platform import Platform

STARTS = 8
SCRIPT = Path(__file__).with_name("engines_only.py")


class Engines(Platform):
    """The two databases under a supervisor, with a temporary folder of their own and a home too long for a socket."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        super().__init__(folder.joinpath(*["a-long-name-of-a-folder"] * 4, "home"), TMPDIR=str(self.temporary))
        self.log = folder / "log"

    def begin(self) -> subprocess.Popen[str]:
        """Start without waiting."""
        with self.log.open("w") as log:
            command = [sys.executable, str(SCRIPT)]
            self.process = subprocess.Popen(command, env=self.environment, stderr=log, text=True)
        return self.process

    def wait(self) -> None:
        """Return once it serves."""
        process = self.process
        assert process is not None
        assert eventually(lambda: self.addresses().get("supervisor") == process.pid or process.poll() is not None)
        assert process.poll() is None, self.log.read_text()

    def addresses(self) -> dict[str, Any]:
        """What it wrote for other commands, or a predecessor that was killed."""
        try:
            content: dict[str, Any] = json.loads((self.home / "runtime.json").read_text())
        except FileNotFoundError:
            return {}
        return content

    def watchdog(self) -> psutil.Process:
        """The process that cleans up after a kill."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if "optiinfra_assets.embedded.watchdog" in child.cmdline())


@pytest.fixture
def engines() -> Iterator[Engines]:
    """No process of it is left after the test."""
    with server_folder() as folder:
        started = Engines(folder)
        yield started
        if started.process and started.process.poll() is None:
            started.stop()


def test_starts_in_a_row_each_right_after_a_kill(engines: Engines) -> None:
    for number in range(STARTS):
        process = engines.begin()
        if number % 4 == 3:
            time.sleep(number / 8)  # while it starts
        else:
            engines.wait()
        if number % 4 == 1:
            engines.watchdog().kill()
        process.kill()
        process.wait(HANG)
    engines.begin()
    engines.wait()
    with psycopg.connect(engines.addresses()["postgres_url"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert engines.stop() == 0
    assert engines.processes() == []
    assert list(engines.temporary.iterdir()) == []


def test_after_a_kill_nothing_stays_in_the_temporary_folder(engines: Engines) -> None:
    process = engines.begin()
    engines.wait()
    assert list(engines.temporary.iterdir()) != [], "the home is too long for a socket"
    (engines.home / "tmp" / "of-a-service").write_text("x")
    process.kill()
    process.wait(HANG)
    assert eventually(lambda: not list(engines.temporary.iterdir()) and not (engines.home / "tmp").exists())
    assert eventually(lambda: not (engines.home / "runtime.json").exists())
    assert eventually(lambda: engines.processes() == [])


def test_a_stopped_supervisor_holds_its_home(engines: Engines) -> None:
    """One that is frozen is not one that was killed: nothing of it may be ended."""
    process = engines.begin()
    engines.wait()
    process.send_signal(signal.SIGSTOP)
    try:
        command = [sys.executable, str(SCRIPT)]
        second = subprocess.run(command, env=engines.environment, capture_output=True, text=True, timeout=HANG)
        assert f"already served by process {process.pid}" in second.stderr
        with psycopg.connect(engines.addresses()["postgres_url"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        process.send_signal(signal.SIGCONT)


def test_it_ends_at_sigterm_though_who_started_it_ignores_that(engines: Engines) -> None:
    """Dagster, in a process that ignores SIGINT as each job in the background of a script does, ignores SIGTERM as well."""
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        process = engines.begin()
    finally:
        signal.signal(signal.SIGTERM, handler)
    engines.wait()
    process.terminate()
    assert process.wait(HANG) == 0
    assert engines.processes() == []
    assert not (engines.home / "runtime.json").exists()
    stopped = engines.command("status")
    assert stopped.returncode == 0
    assert "optiinfra up" in stopped.stdout
