"""What outlives a request, and what must not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_process import fetch


@pytest.fixture
def session(clickhouse_url: str) -> Iterator[Any]:
    """A client with a session of its own."""
    with closing(clickhouse_connect.get_client(dsn=clickhouse_url, session_id=str(uuid.uuid4()))) as client:
        yield client


@pytest.fixture
def plain(clickhouse_url: str) -> Iterator[Any]:
    """A client without a session."""
    with closing(clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False)) as client:
        yield client


def threads(client: Any) -> int:
    """The setting `max_result_rows` as the client's next statement sees it."""
    return int(client.query("SELECT getSetting('max_result_rows')").first_row[0])


def test_settings_stay_in_their_session(session: Any, plain: Any) -> None:
    session.command("SET max_result_rows = 12345")
    assert threads(session) == 12345
    assert session.query(
        "SELECT getSetting('max_result_rows')", settings={"max_result_rows": 7}
    ).first_row == (7,)
    assert threads(session) == 12345
    assert threads(plain) == 0


def test_a_temporary_table_lives_as_long_as_its_session(session: Any, plain: Any) -> None:
    session.command("CREATE TEMPORARY TABLE t (a UInt64)")
    session.insert("t", [[1], [2]], column_names=["a"])
    session.raw_insert("t", ["a"], iter([b"3\n"]), fmt="CSV")
    assert session.query("SELECT sum(a) FROM t").first_row == (6,)
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        plain.query("SELECT sum(a) FROM t")


def test_use_stays_in_its_session_and_a_requests_database_wins(clickhouse_url: str) -> None:
    session = f"session_id={uuid.uuid4()}"
    assert fetch(f"{clickhouse_url}/?{session}", b"USE system")[0] == 200
    asking = b"SELECT currentDatabase()"
    assert fetch(f"{clickhouse_url}/?{session}", asking)[2] == b"system\n"
    assert fetch(f"{clickhouse_url}/?{session}&database=default", asking)[2] == b"default\n"
    assert fetch(f"{clickhouse_url}/?{session}", asking)[2] == b"system\n"
    assert fetch(f"{clickhouse_url}/", asking)[2] == b"default\n"
    assert fetch(f"{clickhouse_url}/", asking, {"X-ClickHouse-Database": "system"})[2] == b"system\n"


def test_nothing_of_a_request_without_session_remains(plain: Any) -> None:
    for statement in ("SET max_result_rows = 3", "USE system", "CREATE TEMPORARY TABLE gone (a UInt8)"):
        plain.command(statement)
    for _ in range(10):
        assert plain.query("SELECT getSetting('max_result_rows'), currentDatabase()").first_row == (
            0,
            "default",
        )
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        plain.query("SELECT * FROM gone")


def test_an_error_in_a_session_spoils_neither_it_nor_the_next_answer(session: Any) -> None:
    session.command("SET max_result_rows = 1000000")
    with pytest.raises(DatabaseError, match="on purpose"):
        session.query("SELECT throwIf(number = 500000, 'on purpose') FROM numbers(1000000)")
    with pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):
        session.query("SELECT 1", settings={"max_threads": 1, "no_such_setting": 1})
    assert session.command("SHOW DATABASES LIKE 'system'") == "system"
    assert threads(session) == 1000000


def test_an_error_spoils_no_later_answer_of_the_pool(plain: Any) -> None:
    for form in ("Native", "CSV", "JSON"):
        with pytest.raises(DatabaseError, match="on purpose"):
            plain.raw_query("SELECT throwIf(number = 500000, 'on purpose') FROM numbers(1000000)", fmt=form)
        assert [plain.command("EXISTS system.one") for _ in range(5)] == [1] * 5


def test_session_check_lock_and_time_out(clickhouse_url: str) -> None:
    name = uuid.uuid4()
    status, headers, _ = fetch(f"{clickhouse_url}/?session_id={name}&session_check=1", b"SELECT 1")
    assert (status, headers["x-clickhouse-exception-code"]) == (404, "372")
    assert fetch(f"{clickhouse_url}/?session_id={name}&session_timeout=x", b"SELECT 1")[0] == 400
    assert fetch(f"{clickhouse_url}/?session_id={name}", b"SELECT 1")[0] == 200
    assert fetch(f"{clickhouse_url}/?session_id={name}&session_check=1", b"SELECT 1")[0] == 200
    first = clickhouse_connect.get_client(dsn=clickhouse_url, session_id=str(name))
    second = clickhouse_connect.get_client(dsn=clickhouse_url, session_id=str(name))
    with first.query_row_block_stream("SELECT number FROM numbers(20000000)") as blocks:
        next(iter(blocks))
        with pytest.raises(DatabaseError, match="is locked by a concurrent client"):
            second.query("SELECT 1")
    assert second.query("SELECT 1").first_row == (1,)
    first.close()
    second.close()


def test_get_reads_only(clickhouse_url: str) -> None:
    assert fetch(f"{clickhouse_url}/?query=SELECT+1")[2] == b"1\n"
    status, headers, _ = fetch(f"{clickhouse_url}/?query=CREATE+DATABASE+by_a_link")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, "164")


def test_ping_and_unknown_paths(clickhouse_url: str) -> None:
    for path in ("/", "/ping"):
        assert fetch(clickhouse_url + path)[::2] == (200, b"Ok.\n")
    assert fetch(f"{clickhouse_url}/no/such/page")[0] == 404
