"""Starts the whole platform on one machine, keeps it running, and stops it so that no process is left.

Flow in: `Settings`. Flow out: running servers, their addresses in ``OPTIINFRA_HOME/runtime.json``, their output in
``OPTIINFRA_HOME/logs``. `services` says what runs; this module runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from optiinfra_assets.embedded import (
    exchange,
    home_folder,
    liveness,
    logs,
    metrics_token,
    preflight,
    processes,
    runtime_file,
    services,
    sessions,
)
from optiinfra_assets.embedded.dagster import home as dagster_home
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.embedded.private_files import PRIVATE_UMASK
from optiinfra_assets.embedded.services import ManagedService
from optiinfra_assets.embedded.sessions import StartedSessions
from optiinfra_assets.settings import Settings

FIRST_DELAY, LONGEST_DELAY, STEADY = 0.5, 30.0, 60.0
"""Seconds before a restart: doubled each time up to `LONGEST_DELAY`, reset after the service ran for `STEADY`."""
START_TIMEOUT = 180.0
"""Seconds for a service to become ready; crash recovery of a database on a slow disk takes longest."""
PROBE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """An event to show to people: service `name` is now `state` (ready, died, stopped) after `seconds`."""

    name: str
    state: str
    seconds: float
    detail: str = ""


Report = Callable[[ServiceEvent], None]
Then = Callable[[Settings], None]


def serve(
    home: Path,
    settings_of: Callable[[], Settings],
    report: Report,
    then: Then | None = None,
    *,
    once: bool = False,
    also: Sequence[ManagedService] = (),
) -> None:
    """Serve the platform in `home` until SIGINT, SIGTERM or SIGHUP.

    Args:
        home: OPTIINFRA_HOME.
        settings_of: returns the settings; called once we hold `home` and it has no stale ``runtime.json``.
        report: called with every event.
        then: called in a thread with the resolved settings once everything is ready; an exception in it stops everything.
        once: stop as soon as `then` has returned.
        also: services in addition to those of the platform.

    Raises:
        PreflightError: a check failed or a service did not become ready. Nothing is left running.
    """
    os.umask(PRIVATE_UMASK)
    home = home.expanduser().resolve()
    with preflight.hold_home(home):
        sessions.end_left(home)
        runtime_file.remove(home)
        exchange.finish(home)
        asked = settings_of()
        preflight.check_disk(home)
        for port in services.ports(asked):
            preflight.check_port(port.host, port.number, port.setting)
        with home_folder.working_folders(home):
            settings = services.resolved(asked)
            metrics_token.prepare(settings)
            plan = [*also, *services.plan(asked, settings, dagster_home.prepare(settings))]
            started = StartedSessions(home)
            with _watchdog(home):
                try:
                    asyncio.run(_Supervisor(plan, settings, report, started).run(then, once=once))
                finally:
                    started.end_all()


@contextlib.contextmanager
def _watchdog(home: Path) -> Iterator[None]:
    """Start a process that ends all services if this process dies without ending them."""
    command = [sys.executable, "-m", "optiinfra_assets.embedded.watchdog", str(home), str(os.getpid())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        process.communicate(b"done")


class _Supervisor:
    """The running services of one installation."""

    def __init__(
        self, plan: list[ManagedService], settings: Settings, report: Report, started: StartedSessions
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._report = report
        self._sessions = started
        self._ready = {service.name: asyncio.Event() for service in plan}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._silent: set[str] = set()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._environment = {**services.environment(settings), sessions.MARKER: started.marker}

    async def run(self, then: Then | None, *, once: bool) -> None:
        """Start all services, serve, and stop them."""
        self._listen_to_signals()
        jobs = [asyncio.create_task(self._keep(service)) for service in self._plan]
        jobs += [
            asyncio.create_task(self._lead(then, once=once)),
            asyncio.create_task(self._bound_logs()),
        ]
        stop = asyncio.create_task(self._stop.wait())
        try:
            waiting = {*jobs, stop}
            while not stop.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for job in done:
                    job.result()
        finally:
            runtime_file.remove(self._settings.home)
            for job in (*jobs, stop):
                job.cancel()
            await asyncio.gather(*jobs, stop, return_exceptions=True)
            await self._stop_all()

    def _listen_to_signals(self) -> None:
        def asked(number: signal.Signals) -> None:
            (self._hurry if self._stop.is_set() else self._stop).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup` has SIGHUP ignored, and a shell SIGINT of what it runs in the background. SIGTERM is always meant.
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, asked, number)

    async def _lead(self, then: Then | None, *, once: bool) -> None:
        """Once everything is ready, write the runtime file and call `then`."""
        for event in self._ready.values():
            await event.wait()
        runtime_file.write(self._settings, services.ports(self._settings))
        if then:
            await _in_thread(lambda: then(self._settings))
        if once:
            self._stop.set()

    async def _keep(self, service: ManagedService) -> None:
        """Run `service` once the services that it needs are ready; restart it whenever it dies, after a delay that grows."""
        for name in service.after:
            await self._ready[name].wait()
        delay = FIRST_DELAY
        while True:
            started = time.monotonic()
            said_from, code = await self._run_once(service, started)
            if service.ready is None and code == 0:
                return
            log = self._log(service)
            if not self._ready[service.name].is_set():
                late = time.monotonic() - started > START_TIMEOUT
                why = f"not ready after {START_TIMEOUT:.0f} s" if late else logs.reason(log, said_from)
                raise PreflightError(f"{service.name}: {why} (see {log})")
            delay = FIRST_DELAY if time.monotonic() - started > STEADY else min(delay * 2, LONGEST_DELAY)
            why = f"killed by {signal.Signals(-code).name}" if code < 0 else logs.reason(log, said_from)
            if service.name in self._silent:
                self._silent.remove(service.name)
                why = f"it ran and did not answer {liveness.MISSES} times in a row"
            self._report(
                ServiceEvent(service.name, "died", time.monotonic() - started, f"{why}; again in {delay:.0f} s")
            )
            await asyncio.sleep(delay)

    async def _run_once(self, service: ManagedService, started: float) -> tuple[int, int]:
        """Run `service` until it ends; report when it is ready.

        Returns:
            The byte at which its output starts in its log, and its exit code.
        """
        with logs.open_log(self._log(service)) as log:
            said_from = log.tell()
            process = await self._spawn(service, log)
        self._sessions.add(process.pid)
        self._running[service.name] = process
        if service.ready:
            await self._until_ready(service.name, service.ready, process, started)
        watching = asyncio.create_task(self._end_if_silent(service, process))
        try:
            code = await process.wait()
        finally:
            watching.cancel()
        del self._running[service.name]
        if service.ready is None and code == 0:
            self._set_ready(service.name, started)
        # Its children must not run beside those of its successor.
        await asyncio.to_thread(self._sessions.end, process.pid)
        return said_from, code

    async def _spawn(self, service: ManagedService, log: BinaryIO) -> asyncio.subprocess.Process:
        # Start it in the log folder: `python -m` imports from the working directory first, and that folder contains no Python.
        wanted = {**self._environment, **service.environment}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *service.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in wanted.items() if value is not None},
            cwd=self._log(service).parent,
            start_new_session=True,
            preexec_fn=processes.tie_to_parent(signal.SIGTERM),
        )

    async def _until_ready(
        self, name: str, ready: services.Probe, process: asyncio.subprocess.Process, started: float
    ) -> None:
        ended = asyncio.create_task(process.wait())
        while not ended.done():
            with contextlib.suppress(TimeoutError):
                if await asyncio.wait_for(ready(process.pid), PROBE_TIMEOUT):
                    self._set_ready(name, started)
                    return
            if time.monotonic() - started > START_TIMEOUT:
                process.kill()
            await asyncio.wait([ended], timeout=0.05)

    async def _end_if_silent(self, service: ManagedService, process: asyncio.subprocess.Process) -> None:
        probe = liveness.probe_of(service, self._settings)
        if probe is not None:
            await liveness.until_silent(process.pid, probe)
            self._silent.add(service.name)
            process.kill()

    def _set_ready(self, name: str, started: float) -> None:
        self._ready[name].set()
        self._report(ServiceEvent(name, "ready", time.monotonic() - started))

    def _log(self, service: ManagedService) -> Path:
        return self._settings.home / "logs" / f"{service.name}.log"

    async def _bound_logs(self) -> None:
        while True:
            for service in self._plan:
                logs.bound(self._log(service))
            await asyncio.sleep(30)

    async def _stop_all(self) -> None:
        """Stop the services layer by layer, the databases last, so that the others can still write to them."""
        for layer in sorted({service.layer for service in self._plan}, reverse=True):
            left = [one for one in self._plan if one.layer == layer and one.name in self._running]
            await asyncio.gather(*(self._stop_one(service) for service in left))

    async def _stop_one(self, service: ManagedService) -> None:
        process = self._running[service.name]
        started = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        ended, hurry = asyncio.create_task(process.wait()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait([ended, hurry], timeout=service.patience, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ended.done():
            process.kill()
        await ended
        await asyncio.to_thread(self._sessions.end, process.pid)
        self._report(ServiceEvent(service.name, "stopped", time.monotonic() - started))


async def _in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that, unlike those of the loop's executor, does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not finished.done():
            finished.set_result(None) if error is None else finished.set_exception(error)

    def target() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            _tell(error)
        else:
            _tell(None)

    def _tell(error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=target, daemon=True).start()
    await finished
