"""The health of the components: one that hangs, or answers nonsense, is down, and delays nobody for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from optiinfra_assets.cli import health
from optiinfra_assets.settings import Settings


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server on loopback that answers every request with `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"<html>",
        *(
            json.dumps(one).encode()
            for one in (
                {"data": None},
                {"data": {}},
                {"data": {"instance": None, "workspaceOrError": None}},
                {"data": {"instance": {"daemonHealth": {"allDaemonStatuses": None}}, "workspaceOrError": {}}},
                {"errors": [{"message": "no"}]},
            )
        ),
    ],
)
def test_a_dagster_that_answers_nonsense_is_down(body: bytes, tmp_path: Path) -> None:
    with answering(body) as url:
        parts = health._dagster(Settings(home=tmp_path, dagster_url=url))
    assert [(part.name, part.is_up) for part in parts] == [
        ("dagster-webserver", False),
        ("dagster-daemon", False),
        ("code-location", False),
    ]
    assert "answers, but not as Dagster does" in parts[0].detail


def test_a_database_that_accepts_connections_and_never_answers_is_down_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = Settings(
            home=tmp_path,
            postgres_url=f"postgresql://optiinfra@127.0.0.1:{port}/optiinfra",
            clickhouse_url="http://127.0.0.1:1/x",
            dagster_url="http://127.0.0.1:1",
            api_port=1,
        )
        begun = time.monotonic()
        parts = {part.name: part for part in health.check_components(settings)}
        assert time.monotonic() - begun < 8
    assert not any(part.is_up for part in parts.values())
    assert parts["postgres"].detail == "no answer within 1 s"
