"""An embedded ClickHouse of a test's own: to kill it, to weigh it, to start it wrongly."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import psutil
from loopback import CLICKHOUSE_LOGIN, clickhouse_address


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Embedded:
    """The process, started anew on the same directory and port whenever asked.

    Attributes:
        bare: its address; `url` also has the password, unless the `environment` given has another one.
    """

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.port = free_port()
        self.bare = f"http://127.0.0.1:{self.port}"
        self.url = clickhouse_address(self.port)
        self.log = path.parent / f"{path.name}.log"
        self._environment = {**os.environ, **CLICKHOUSE_LOGIN, **(environment or {})}
        self.process: subprocess.Popen[bytes]

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        """Start without waiting; `options` come after the usual ones and win."""
        command = [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse", "--path", str(self.path)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *options], stderr=log, env=self._environment
            )
        return self.process

    def start(self) -> None:
        """Start and return when it answers."""
        self.launch()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                fetch(f"{self.url}/ping")
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"it does not answer: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def client(self, **options: Any) -> Any:
        """A clickhouse-connect client of it."""
        return connect(self.url, **options)

    def rss(self) -> int:
        """Memory in use, MiB."""
        return int(psutil.Process(self.process.pid).memory_info().rss) >> 20

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """`url` without its user and password, and the header that shows them instead."""
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    header = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    return parts._replace(netloc=address).geturl(), header


def connect(url: str, **options: Any) -> Any:
    """A clickhouse-connect client without a session, which it would have by default."""
    return clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False, **options)


def fetch(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of a plain HTTP request, with the login in `url`; POST if there is a body."""
    bare, login = without_login(url)
    request = urllib.request.Request(bare, body, {**login, **(headers or {})})  # noqa: S310 - http, our own server
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()
