"""The whole platform as a person starts it, in a process of its own, for the tests of the supervisor and the demo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

PORTS = ("CLICKHOUSE", "DAGSTER", "API")
CLI = ("-m", "optiinfra_assets.cli")


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    numbers = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return numbers


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def stopped_for(seconds: float, pids: list[int]) -> None:
    """Stop processes as a laptop does that sleeps, and let them go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


class Platform:
    """`optiinfra` with its own home and ports; `environment` adds to what its commands get, `umask` is theirs."""

    def __init__(self, home: Path, umask: int = -1, **environment: str) -> None:
        self.home = home
        self.umask = umask
        ports = {f"OPTIINFRA_{name}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
        ours = {name: value for name, value in os.environ.items() if not name.startswith("OPTIINFRA_")}
        self.environment = {**ours, "OPTIINFRA_HOME": str(home), **ports, **environment}
        self.process: subprocess.Popen[str] | None = None

    def command(
        self, *arguments: str, seconds: float = 60, program: tuple[str, ...] = CLI
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, of the command line or of another Python `program`."""
        command = [sys.executable, *program, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=seconds)

    def up(self, *program: str) -> None:
        """Start `optiinfra up`, or its verb in another Python `program`, and wait until everything is ready."""
        log = self.home.with_name(f"{self.home.name}.up.log")
        with log.open("a") as file:
            command = [sys.executable, *(program or CLI), "up"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=file, stderr=file, text=True, umask=self.umask
            )
        process, runtime = self.process, self.home / "runtime.json"
        before = runtime.read_text() if runtime.exists() else ""
        started = eventually(
            lambda: process.poll() is not None or (runtime.exists() and runtime.read_text() not in ("", before)),
            120,
        )
        assert started, log.read_text()
        assert process.poll() is None, log.read_text()

    def status(self) -> dict[str, Any]:
        """What `optiinfra status --json` says."""
        content: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return content

    def is_up(self) -> bool:
        """Whether every part answers; a command is asked, which takes a second of the machine, once those on ports say that they do."""
        asked = {"API": "readyz", "DAGSTER": "healthz"}
        try:
            for name, path in asked.items():
                httpx.get(f"http://127.0.0.1:{self.environment[f'OPTIINFRA_{name}_PORT']}/{path}").raise_for_status()
        except httpx.HTTPError:
            return False
        return bool(self.status()["is_up"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send `number` to `optiinfra up` and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def processes(self) -> list[psutil.Process]:
        """Every process but `up` itself that has this home in its environment, its command line or as working directory."""
        found = []
        for process in psutil.process_iter():
            try:
                traces = [process.environ().get("OPTIINFRA_HOME", ""), process.cwd(), *process.cmdline()]
                is_zombie = process.status() == psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            ours = any(trace == str(self.home) or trace.startswith(f"{self.home}/") for trace in traces)
            if ours and not is_zombie and process.pid not in (os.getpid(), self._pid()):
                found.append(process)
        return found

    def one(self, *words: str, among: Sequence[psutil.Process] | None = None) -> psutil.Process:
        """The process of ours whose command line has all of `words`, not a copy of it; `among`: those that were found a moment ago."""
        having = [one for one in among or self.processes() if set(words) <= _words(one)]
        (found,) = (one for one in having if _parent(one) not in {other.pid for other in having})
        return found

    def _pid(self) -> int | None:
        return self.process.pid if self.process else None


def _parent(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return int(process.ppid())
    return None


def _words(process: psutil.Process) -> set[str]:
    """The words of its command line; none if it has ended meanwhile."""
    try:
        return set(process.cmdline())
    except psutil.Error:
        return set()
