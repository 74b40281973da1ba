"""Starts the two embedded databases alone, for as long as something is done to them while no platform runs on them."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import IO

from optiinfra_assets.embedded import preflight
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.embedded.postgres import __main__ as embedded_postgres
from optiinfra_assets.embedded.processes import tie_to_parent

_HOST = "127.0.0.1"
_LONGEST_START = 180.0
"""Seconds: crash recovery on a slow disk takes longest."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve the data directories ``postgres`` and ``clickhouse`` of `folder`, created if missing, while the context is open.

    Yields the URLs of PostgreSQL and of ClickHouse. ClickHouse listens on a free port of loopback, under a new password.

    Raises:
        PreflightError: one of them cannot start.
    """
    try:
        with _clickhouse(folder / "clickhouse") as clickhouse_url:
            yield embedded_postgres.start(folder / "postgres"), clickhouse_url
    finally:
        embedded_postgres.stop(folder / "postgres")


@contextlib.contextmanager
def _clickhouse(path: Path) -> Iterator[str]:
    port, password = preflight.free_port(_HOST), secrets.token_urlsafe(24)
    login = {"OPTIINFRA_CLICKHOUSE_USER": "default", "OPTIINFRA_CLICKHOUSE_PASSWORD": password}
    options = ("--path", str(path), "--host", _HOST, "--port", str(port))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse", *options],
            env={**os.environ, **login},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=tie_to_parent(SIGTERM),
        )
        try:
            _wait(process, f"http://{_HOST}:{port}/ping", log)
            yield f"http://default:{password}@{_HOST}:{port}/default"
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _LONGEST_START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server
            return
        time.sleep(0.02)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines() or [f"no answer within {_LONGEST_START:.0f} s"]
    raise PreflightError(said[-1].removeprefix("optiinfra.clickhouse: "))
