"""Loopback servers of the tests: free ports, waiting for what must come, folders a server can work in."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

HANG: Final = 120
"""Seconds that nothing takes, not even where eight programs want each core: what is not there by then does not come."""

CLICKHOUSE_PASSWORD: Final = "a-password-of-tests"
CLICKHOUSE_LOGIN: Final = {"OPTIINFRA_CLICKHOUSE_PASSWORD": CLICKHOUSE_PASSWORD}
"""What an embedded ClickHouse of a test needs in its environment."""


def clickhouse_address(port: int) -> str:
    """Address of an embedded ClickHouse that was started with `CLICKHOUSE_LOGIN`."""
    return f"http://default:{CLICKHOUSE_PASSWORD}@127.0.0.1:{port}"


def eventually(condition: Callable[[], object], pause: float = 0.02, seconds: float = HANG) -> bool:
    """Whether `condition` comes true; looked at every `pause` seconds until it does or something hangs for `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def real_clock() -> dict[str, str]:
    """The environment without the clock of tests/dates: under that one, the timers of Chromium never end."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server on a free port, which answers by `handler` as long as the context is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until_answers(url: str, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Return once `url` answers; fail if its process ends or stays silent."""

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=HANG):  # noqa: S310 - loopback, our own server
                return True
        except OSError:
            return False

    if not eventually(answers):
        pytest.fail(f"{url} did not answer within {HANG} s")


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for a server's data, outside pytest's own, in memory where there is plenty: tests make and drop hundreds of databases.

    Run as root, PostgreSQL works as another user, and every pytest session takes others' access to pytest's folder away: a second
    session beside this one would cut a running server off from its files.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    with tempfile.TemporaryDirectory(prefix="optiinfra-", dir=memory if is_roomy else None) as folder:
        yield Path(folder)
