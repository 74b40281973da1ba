"""The process: who may start it, who may come in, and what remains when it dies."""

from __future__ import annotations

import base64
import random
import re
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_process import Embedded, connect, fetch, free_port

PASSWORD = "p&ss wörd:%"


def one_line(embedded: Embedded) -> str:
    """The only line that a process which could not start has left."""
    lines = embedded.log.read_text().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_kill_loses_no_acknowledged_insert(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path / "clickhouse")
    acknowledged: list[set[int]] = [set() for _ in range(4)]
    randomly = random.Random(1)  # noqa: S311 - moments to kill at
    embedded.start()
    with closing(embedded.client()) as client:
        client.command("CREATE TABLE t (writer UInt8, number UInt64, text String) ENGINE = MergeTree ORDER BY number")
    for round_ in range(10):
        writers = [
            threading.Thread(target=insert_until_it_dies, args=(embedded, n, round_ * 1_000_000, acknowledged[n]))
            for n in range(4)
        ]
        for writer in writers:
            writer.start()
        time.sleep(0.2 + randomly.random() / 4)
        embedded.stop(signal.SIGKILL)
        for writer in writers:
            writer.join(20)
        embedded.start()
        with closing(embedded.client()) as client:
            for number, expected in enumerate(acknowledged):
                found = client.query("SELECT number FROM t WHERE writer = {w:UInt8}", parameters={"w": number})
                rows = [row[0] for row in found.result_rows]
                assert len(rows) == len(set(rows))
                assert expected <= set(rows)
    assert embedded.stop() == 0


def insert_until_it_dies(embedded: Embedded, writer: int, number: int, acknowledged: set[int]) -> None:
    """Insert batches of five rows from `number` on, half of them as a stream, and note those that the server has acknowledged."""
    try:
        with closing(embedded.client(query_retries=0)) as client:
            while True:
                batch = range(number, number + 5)
                rows: Any = [[writer, n, f"text {n}"] for n in batch]
                if number % 2:
                    client.insert("t", rows, column_names=["writer", "number", "text"])
                else:
                    client.raw_insert("t", None, iter([b"%d,%d,text\n" % (writer, n) for n in batch]), fmt="CSV")
                acknowledged.update(batch)
                number += 5
    except (OperationalError, DatabaseError, OSError):
        return


def test_a_second_process_on_the_directory_ends_with_one_line(tmp_path: Path) -> None:
    with Embedded(tmp_path / "clickhouse") as first:
        second = Embedded(first.path)
        second.log = tmp_path / "second.log"
        assert second.launch().wait(10) == 1
        assert "another process has it open" in one_line(second)
        assert fetch(f"{first.url}/ping")[0] == 200


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--host", "192.0.2.7"], "cannot listen on 192.0.2.7"),
        (["--port", "70000"], "--port 70000: cannot listen"),
        (["--path", "/proc/nothing"], "--path /proc/nothing: cannot be used"),
        (["--path", "what?"], "'?' is not accepted"),
    ],
)
def test_a_start_that_cannot_be_says_why_in_one_line(tmp_path: Path, options: list[str], line: str) -> None:
    embedded = Embedded(tmp_path / "clickhouse")
    assert embedded.launch(*options).wait(10) == 1
    assert line in one_line(embedded)


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with Embedded(tmp_path / "first") as first:
        other = Embedded(tmp_path / "other")
        assert other.launch("--port", str(first.port)).wait(10) == 1
        assert re.search(rf"--port {first.port}: cannot listen .*in use", one_line(other))


def test_a_signal_lets_running_statements_finish(tmp_path: Path) -> None:
    answers: list[Any] = []

    def work(client: Any) -> None:
        answers.append(client.query("SELECT sleep(1), 'finished'").first_row)

    with Embedded(tmp_path / "clickhouse") as embedded, closing(embedded.client()) as client:
        client.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        thread = threading.Thread(target=work, args=(client,))
        thread.start()
        time.sleep(0.3)
        assert embedded.stop() == 0
        thread.join(10)
        assert answers == [(0, "finished")]
        embedded.start()
        with closing(embedded.client()) as again:
            assert again.command("EXISTS t") == 1


def test_an_endless_statement_does_not_hold_the_process(tmp_path: Path) -> None:
    with Embedded(tmp_path / "clickhouse") as embedded, closing(embedded.client()) as client:
        thread = threading.Thread(target=ask_endlessly, args=(client,))
        thread.start()
        time.sleep(0.3)
        started = time.monotonic()
        assert embedded.stop(signal.SIGINT) == 0
        assert 4 < time.monotonic() - started < 8
        thread.join(10)


def ask_endlessly(client: Any) -> None:
    """Until the server has gone."""
    with pytest.raises(OperationalError):
        client.query("SELECT sum(number) FROM system.numbers")


def test_the_engine_is_set_for_this_use(tmp_path: Path) -> None:
    with (
        Embedded(tmp_path / "with space", {"TZ": "America/New_York"}) as embedded,
        closing(embedded.client()) as client,
    ):
        assert client.query("SELECT timezone(), getSetting('async_insert')").first_row == ("UTC", False)
        limit = "SELECT toUInt64(value) FROM system.server_settings WHERE name = 'max_server_memory_usage'"
        assert client.query(limit).first_row[0] <= psutil.virtual_memory().total // 2 + 1
        client.command("CREATE DATABASE dropped")
        client.command(
            "CREATE TABLE dropped.t ENGINE = MergeTree ORDER BY number AS SELECT number FROM numbers(100000)"
        )
        client.command("DROP DATABASE dropped")
        deadline = time.monotonic() + 10
        while list((embedded.path / "store").glob("*/*/all_*")):
            assert time.monotonic() < deadline, "a dropped table's files remain"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A process with a password that listens on all addresses."""
    secrets = {"OPTIINFRA_CLICKHOUSE_USER": "me", "OPTIINFRA_CLICKHOUSE_PASSWORD": PASSWORD}
    embedded = Embedded(tmp_path_factory.mktemp("locked") / "clickhouse", secrets)
    embedded.launch("--host", "0.0.0.0")  # noqa: S104 - with a password
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            fetch(f"{embedded.bare}/ping")
            break
        except OSError:
            time.sleep(0.05)
    yield embedded
    embedded.stop()
    assert PASSWORD not in embedded.log.read_text()


def test_with_a_password_only_its_owner_comes_in(locked: Embedded) -> None:
    with closing(connect(locked.bare, username="me", password=PASSWORD)) as client:
        assert client.command("SELECT 1") == 1
    for user, password in (("me", "wrong"), ("me", ""), ("default", PASSWORD), ("me", PASSWORD + " ")):
        with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED") as refused:
            connect(locked.bare, username=user, password=password)
        assert refused.value.code == 516
    assert PASSWORD not in " ".join(psutil.Process(locked.process.pid).cmdline())


def test_every_way_to_show_a_password(locked: Embedded) -> None:
    url, ask = locked.bare, b"SELECT 1"
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    encoded = "p%26ss+w%C3%B6rd%3A%25"
    assert fetch(url, ask, {"Authorization": f"Basic {basic}"})[0] == 200
    key = {"X-ClickHouse-User": "me", "X-ClickHouse-Key": PASSWORD.encode().decode("latin-1")}
    assert fetch(url, ask, key)[0] == 200
    assert fetch(f"{url}/?user=me&password={encoded}", ask)[0] == 200
    assert fetch(f"{url}/?user=me&password=wrong", ask)[0] == 403
    assert fetch(url, ask, {"Authorization": "Basic !!!"})[0] == 403
    status, headers, body = fetch(url, ask)
    assert (status, headers["x-clickhouse-exception-code"]) == (401, "516")
    assert body.startswith(b"Code: 516. DB::Exception: ")
    assert fetch(f"{url}/ping")[0] == 200


@pytest.mark.parametrize("options", [[], ["--host", "0.0.0.0"]])  # noqa: S104 - refused
def test_without_a_password_nobody_is_served(tmp_path: Path, options: list[str]) -> None:
    """Every user of this machine, and every web page in a browser on it, reaches a port of loopback."""
    embedded = Embedded(tmp_path / "clickhouse", {"OPTIINFRA_CLICKHOUSE_PASSWORD": ""})
    assert embedded.launch(*options).wait(10) == 1
    assert "OPTIINFRA_CLICKHOUSE_PASSWORD: none given: set one" in one_line(embedded)


def test_ipv6_loopback(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path / "clickhouse")
    embedded.launch("--host", "::1", "--port", str(free_port()))
    deadline = time.monotonic() + 20
    while "http://" not in (text := embedded.log.read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    assert embedded.stop() == 0
