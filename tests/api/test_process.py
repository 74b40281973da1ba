"""``python -m optiinfra_api``: begins, serves with one process and with two, ends; and says in one line why it cannot begin."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from api_server import METRICS_TOKEN, SCRAPER
from loopback import HANG, wait_until_answers
from world import World

from optiinfra_api.__main__ import main


def _environment(world: World, **changes: str) -> dict[str, str]:
    return {
        **os.environ,
        "OPTIINFRA_HOME": str(world.settings.home),
        "OPTIINFRA_CLICKHOUSE_URL": str(world.settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(world.settings.postgres_url),
        "OPTIINFRA_METRICS_TOKEN_FILE": str(_token_file(world)),
        **changes,
    }


def _token_file(world: World) -> Path:
    path = world.settings.home / "token-for-scrapers"
    path.write_text(f"{METRICS_TOKEN}\n")
    return path


@contextmanager
def _port() -> Iterator[int]:
    """A loopback port that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_until_it_is_told_to_stop(world: World, workers: str) -> None:
    with _port() as port:
        pass
    command = [sys.executable, "-m", "optiinfra_api", "--port", str(port), "--workers", workers]
    process = subprocess.Popen(command, env=_environment(world), stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_answers(f"{url}/healthz", process)
        headers = {"Authorization": f"Bearer {world.customer().token}"}
        for _ in range(8):
            response = httpx.post(f"{url}/graphql", json={"query": "{ __typename }"}, headers=headers)
            assert response.json() == {"data": {"__typename": "Query"}}
        # Whichever worker is asked, on connections of their own: it answers for all.
        pages = [httpx.get(f"{url}/metrics", headers=SCRAPER).text for _ in range(4)]
        count = 'optiinfra_api_requests_total{field="__typename",outcome="ok"} 8.0'
        assert [count in page for page in pages] == [True] * 4
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=HANG)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    assert METRICS_TOKEN not in log
    answered = [line for line in map(json.loads, log.splitlines()) if line.get("endpoint") == "graphql"]
    assert [line["outcomes"] for line in answered] == [{"__typename": "ok"}] * 8


def _one_line(world: World, arguments: list[str], **changes: str) -> str:
    command = [sys.executable, "-m", "optiinfra_api", *arguments]
    run = subprocess.run(
        command, env=_environment(world, **changes), capture_output=True, text=True, timeout=HANG, check=False
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    return line


def test_a_taken_port_is_said_in_one_line(world: World) -> None:
    with _port() as port:
        line = _one_line(world, ["--port", str(port)])
    assert line == (
        f"optiinfra_api: cannot listen on 127.0.0.1 port {port}: Address already in use: "
        "use --port, or set OPTIINFRA_API_PORT"
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OPTIINFRA_CLICKHOUSE_URL", "http://user:secret@127.0.0.1:9/nowhere", "ClickHouse at 127.0.0.1:9"),
        (
            "OPTIINFRA_POSTGRES_URL",
            "postgresql://user:secret@127.0.0.1:9/nowhere",
            "PostgreSQL at 127.0.0.1:9",
        ),
    ],
)
def test_a_database_that_does_not_answer_is_said_in_one_line(
    world: World, variable: str, value: str, said: str
) -> None:
    line = _one_line(world, ["--port", "0"], **{variable: value})
    assert line.startswith(f"optiinfra_api: {said}")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OPTIINFRA_API_MAX_SECONDS", "soon", "Input should be a valid integer, unable to parse string as an integer"),
        ("OPTIINFRA_METRICS_TOKEN_FILE", "/nowhere", "/nowhere: No such file or directory"),
    ],
)
def test_a_variable_that_is_refused_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["--port", "0"]) == 1
    assert capsys.readouterr().err == f"optiinfra_api: {variable}: {said}\n"
