"""Loopback servers of the tests: free ports, waiting for an answer, folders a server can work in."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answers(url: str, process: subprocess.Popen[bytes], seconds: int = 60) -> None:
    """Return once `url` answers; fail with the process's own output if it ends or stays silent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback, our own server
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"{url} did not answer within {seconds} s")


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
