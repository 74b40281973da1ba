"""The embedded ClickHouse: ``python -m optiinfra_assets.embedded.clickhouse --path DIR [--host 127.0.0.1] [--port N]``.

One process owns the directory and serves ClickHouse's HTTP interface over chDB, so that every other process uses an ordinary client.
It does not start without a password in OPTIINFRA_CLICKHOUSE_PASSWORD: whoever may send SQL can read the files of this process's user
through `file()`, and every user and every web page on this machine reaches its port.

It lacks these features of a server: users and roles; sessions, so ``SET``, ``USE`` and temporary tables end with their request;
external tables; ``compress=1`` and ``decompress=1``; encodings other than lz4; ``INSERT ... SELECT ... FROM input()``; query_log; a
`log_comment` set by the client. `system.processes` shows query ids that chDB chooses; ``KILL QUERY`` and ``X-ClickHouse-Query-Id`` use the
client's. A KILL of an INSERT that waits for its client takes effect when the client sends more rows or their end.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httptools

from optiinfra_assets.embedded.clickhouse.engine import ChdbEngine
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.http import HttpConnection
from optiinfra_assets.embedded.clickhouse.server import (
    PASSWORD_VARIABLE,
    RequestDispatcher,
    ServerCredentials,
)
from optiinfra_assets.embedded.private_files import PRIVATE_UMASK

FINISH_SECONDS = 5.0
logger = logging.getLogger("optiinfra.clickhouse")


class StartupError(Exception):
    """The server cannot start; the message is one line for people that says why."""


class StopRequested(BaseException):
    """The process received SIGTERM or SIGINT; raised wherever the main thread is."""


class ConnectionListener:
    """Accepts connections until `finish` is called."""

    def __init__(self, listener: socket.socket, service: RequestDispatcher) -> None:
        self._listener = listener
        self._service = service
        self._stopping = False

    def serve(self) -> NoReturn:
        """Serve every connection, each in a thread of its own."""
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:  # too many open files: the waiting clients wait longer
                logger.warning("cannot take a connection: %s", error)
                time.sleep(0.1)
                continue
            threading.Thread(target=self._serve_connection, args=(sock,), daemon=True).start()

    def finish(self) -> None:
        """Accept no more requests, and give those that run up to `FINISH_SECONDS` to end."""
        self._stopping = True
        self._listener.close()
        deadline = time.monotonic() + FINISH_SECONDS
        while self._service.watch.exchanges() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _serve_connection(self, sock: socket.socket) -> None:
        with sock, suppress(OSError, ClickHouseError):  # client disconnected; a begun response failed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = HttpConnection(sock)
            try:
                while (request := connection.next_request()) and not self._stopping:
                    self._service.answer(connection, request)
                    if not request.keep_alive:
                        return
            except httptools.HttpParserError:
                connection.send(400, {"Connection": "Close"}, b"This is not an HTTP request\n")


def main() -> int:
    """Run the command; return 0 after SIGTERM or SIGINT, 1 with one line on stderr if it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m optiinfra_assets.embedded.clickhouse",
        description="ClickHouse's HTTP interface over chDB, for this machine.",
    )
    parser.add_argument("--path", type=Path, required=True, help="directory of the data; made if it is not there")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8124)
    arguments = parser.parse_args()
    os.umask(PRIVATE_UMASK)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    server = None
    try:
        server = start(arguments.path, arguments.host, arguments.port, ServerCredentials.from_environment())
        server.serve()
    except StartupError as error:
        logger.error("%s", error)
        return 1
    except StopRequested:
        if server:
            server.finish()
        return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested


def start(path: Path, host: str, port: int, credentials: ServerCredentials) -> ConnectionListener:
    """Open the directory and the port.

    Raises:
        StartupError: there is no password, or the port or the directory is taken or cannot be used.
    """
    if not credentials.password:
        raise StartupError(f"{PASSWORD_VARIABLE}: none given: set one, as every user of this machine reaches the port")
    listener = _listen(host, port)
    _claim(path)
    spool = path / "embedded.spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    try:
        engine = ChdbEngine(path)
    except (RuntimeError, ClickHouseError) as error:
        raise StartupError(f"--path {path}: ClickHouse cannot open it: {error}") from None
    logger.info("ClickHouse %s on http://%s:%d, data in %s", engine.version(), host, port, path)
    return ConnectionListener(listener, RequestDispatcher(engine, spool, credentials))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise StartupError(f"--port {port}: cannot listen on {host}: {error}: choose another") from None


def _claim(path: Path) -> None:
    """Lock the directory for this process; the kernel releases the lock however the process ends."""
    if "?" in str(path):
        raise StartupError(f"--path {path}: '?' is not accepted in it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "embedded.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartupError(
            f"--path {path}: another process has it open: stop that one, or use another directory"
        ) from None
    except OSError as error:
        raise StartupError(f"--path {path}: cannot be used: {error.strerror}") from None


if __name__ == "__main__":
    try:
        code = main()
    except StopRequested:  # a second signal: exit at once
        code = 0
    # We do not use sys.exit: chDB's own shutdown waits for open handles and complains about what it never started. All acknowledged rows
    # are in the files.
    logging.shutdown()
    os._exit(code)
