"""What a request may ask for, and what of it the next one must not meet."""

from __future__ import annotations

import asyncio
import http.client
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import lz4.frame  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_process import connect, fetch, without_login

from optiinfra_assets.embedded.clickhouse.http import HttpConnection

SESSION_REFUSED = "Sessions are not supported here: send no session_id"


@pytest.fixture
def client(embedded_url: str) -> Iterator[Any]:
    """A client as ours are: without a session."""
    with closing(connect(embedded_url)) as client:
        yield client


def form(**fields: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a multipart form."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return "".join([*parts, "--edge--\r\n"]).encode(), {"Content-Type": "multipart/form-data; boundary=edge"}


def test_a_session_is_refused_in_one_line(embedded_url: str, client: Any) -> None:
    name = uuid.uuid4()
    url = f"{embedded_url}/?session_id={name}&session_check=1&session_timeout=60"
    body, headers = form(query=f"CREATE DATABASE session_{name.hex}", session_id=str(name))
    for status, found, text in (fetch(url, b"SELECT 1"), fetch(embedded_url, body, headers)):
        assert (status, found["x-clickhouse-exception-code"]) == (501, "48")
        assert text.decode().startswith(f"Code: 48. DB::Exception: {SESSION_REFUSED}")
        assert text.count(b"\n") == 1
    assert client.query(f"SHOW DATABASES LIKE 'session_{name.hex}'").result_rows == []


@pytest.mark.parametrize("option", [{}, {"session_id": "mine"}], ids=["generated", "chosen"])
def test_clickhouse_connect_shows_why_it_may_have_no_session(embedded_url: str, option: dict[str, str]) -> None:
    with closing(clickhouse_connect.get_client(dsn=embedded_url, **option)) as client:
        for ask in (client.query, client.command, lambda _: client.raw_insert("t", None, b"1", fmt="CSV")):
            with pytest.raises(DatabaseError, match=f"{SESSION_REFUSED}.*=False") as refused:
                ask("SELECT 1")
            assert refused.value.code == 48


def test_its_asynchronous_client_shows_the_same(embedded_url: str) -> None:
    async def ask() -> None:
        client = await clickhouse_connect.get_async_client(dsn=embedded_url)  # has none by default
        try:
            assert await client.command("SELECT 1") == 1
            with pytest.raises(DatabaseError, match=SESSION_REFUSED):
                await client.query("SELECT 1", settings={"session_id": "mine"})
        finally:
            await client.close()

    asyncio.run(ask())


def test_an_empty_session_id_is_none(embedded_url: str) -> None:
    url = f"{embedded_url}/?session_id=&session_check=1&session_timeout=60"
    assert fetch(url, b"SELECT 1")[::2] == (200, b"1\n")


SESSION_STATEMENTS = [
    "SET max_result_rows = 3",
    "USE system",
    "CREATE TEMPORARY TABLE gone (a UInt8)",
    "CREATE OR REPLACE TEMPORARY TABLE gone (a UInt8)",
]


@pytest.mark.parametrize("statement", SESSION_STATEMENTS)
def test_nothing_of_a_request_remains(client: Any, statement: str) -> None:
    client.command(statement)
    for _ in range(5):
        seen = client.query("SELECT getSetting('max_result_rows'), currentDatabase()").first_row
        assert seen == (0, "default")
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("SELECT * FROM gone")


def test_the_settings_of_one_request_are_not_those_of_the_next(client: Any) -> None:
    asking = "SELECT getSetting('max_result_rows')"
    assert client.query(asking, settings={"max_result_rows": 7}).first_row == (7,)
    assert client.query(asking).first_row == (0,)


def test_an_error_spoils_no_later_answer(client: Any) -> None:
    for format_ in ("Native", "CSV", "JSON"):
        with pytest.raises(DatabaseError, match="on purpose"):
            client.raw_query("SELECT throwIf(number = 500000, 'on purpose') FROM numbers(1000000)", fmt=format_)
        assert [client.command("EXISTS system.one") for _ in range(5)] == [1] * 5


def test_a_handle_is_used_again_until_a_statement_changes_it_or_fails(client: Any) -> None:
    def handle() -> str:
        return str(client.command("SELECT getSetting('log_comment')"))

    client.command("CREATE TABLE handles (a UInt8) ENGINE = Memory")
    first = handle()
    client.command("INSERT INTO handles VALUES (1)")
    client.command("DROP TABLE handles")
    assert handle() == first
    client.command("SET max_result_rows = 3")
    second = handle()
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM handles")
    assert len({first, second, handle()}) == 3


def test_the_database_of_a_request(embedded_url: str) -> None:
    asking, header = b"SELECT currentDatabase()", {"X-ClickHouse-Database": "system"}
    assert fetch(embedded_url, asking)[2] == b"default\n"
    assert fetch(embedded_url, asking, header)[2] == b"system\n"
    assert fetch(f"{embedded_url}/?database=system", asking)[2] == b"system\n"
    assert fetch(f"{embedded_url}/?database=default", asking, header)[2] == b"default\n"


def test_a_setting_is_one_name_and_one_value(embedded_url: str) -> None:
    asking = b"SELECT getSetting('max_result_rows')"
    assert fetch(f"{embedded_url}/?max_result_rows=3", asking)[2] == b"3\n"
    for name in ("max_threads%3D1,max_result_rows", "max-threads", "1"):
        status, headers, body = fetch(f"{embedded_url}/?{name}=3", asking)
        assert (status, headers["x-clickhouse-exception-code"]) == (404, "115")
        assert b"Unknown setting '" in body


def test_a_query_id_makes_no_header(embedded_url: str) -> None:
    _, headers, _ = fetch(f"{embedded_url}/?query_id=a%0D%0AX-Evil:%201", b"SELECT 1")
    assert headers["x-clickhouse-query-id"] == "a  X-Evil: 1"
    assert "x-evil" not in headers


def test_no_progress_follows_the_head_of_an_answer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = HttpConnection(ours)
        connection.progress("Progress: 1")
        connection.send(200, {}, b"body")
        connection.progress("Progress: 2")
        ours.shutdown(socket.SHUT_WR)
        received = theirs.makefile("rb").read()
    assert received == b"HTTP/1.1 200 OK\r\nProgress: 1\r\nContent-Length: 4\r\n\r\nbody"


def test_get_reads_only(embedded_url: str) -> None:
    assert fetch(f"{embedded_url}/?query=SELECT+1")[2] == b"1\n"
    status, headers, _ = fetch(f"{embedded_url}/?query=CREATE+DATABASE+by_a_link")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, "164")


def test_ping_and_unknown_paths(embedded_url: str) -> None:
    for path in ("/", "/ping"):
        assert fetch(embedded_url + path)[::2] == (200, b"Ok.\n")
    assert fetch(f"{embedded_url}/no/such/page")[0] == 404


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"http_headers_progress_interval_ms": "soon", "send_progress_in_http_headers": "1"}, 400, "36"),
        ({"compress": "1"}, 501, "48"),
        ({"decompress": "1"}, 501, "48"),
    ],
)
def test_the_fields_of_a_form_are_checked_as_parameters_are(
    embedded_url: str, fields: dict[str, str], status: int, code: str
) -> None:
    """An interval that is no number once ended the thread that looks after running statements."""
    body, headers = form(query="SELECT sleep(0.5)", **fields)
    found, told, _ = fetch(embedded_url, body, headers)
    assert (found, told.get("x-clickhouse-exception-code")) == (status, code)


def answered(url: str, query: str, accept: str, compress: str = "1") -> tuple[str | None, bytes]:
    """Content-Encoding and body of the answer to a client that accepts `accept`."""
    url = f"{url}/?enable_http_compression={compress}"
    status, headers, body = fetch(url, query.encode(), {"Accept-Encoding": accept})
    assert status == 200
    return headers.get("content-encoding"), body


BIG = "SELECT hex(sipHash128(number)) FROM numbers(100000)"


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("lz4", "lz4"),
        ("lz4,zstd,br,gzip,deflate", "lz4"),
        ("gzip, LZ4 ; q=0.5", "lz4"),
        ("lz4;q=1.0", "lz4"),
        ("gzip", None),
        ("deflate, zstd, br", None),
        ("identity", None),
        ("xlz4, lz4x", None),
        ("lz4;q=0", None),
        ("gzip, lz4; q=0.0", None),
        ("*", None),
        ("", None),
    ],
)
def test_answers_come_in_lz4_or_as_they_are(embedded_url: str, accept: str, encoding: str | None) -> None:
    for query in ("SHOW FUNCTIONS LIKE 'to%'", f"{BIG} LIMIT 40", BIG):  # the last one in pieces
        found, body = answered(embedded_url, query, accept)
        assert found == encoding
        plain = lz4.frame.decompress(body) if found else body
        assert plain == answered(embedded_url, query, "identity")[1]
    assert len(plain) == 3_300_000


def test_small_answers_and_those_that_need_no_compression_come_as_they_are(embedded_url: str) -> None:
    encodings = [
        answered(embedded_url, f"SELECT repeat('x', {size}) FORMAT RawBLOB", "lz4")[0] for size in (1024, 1025)
    ]
    assert encodings == [None, "lz4"]
    assert answered(embedded_url, BIG, "lz4", compress="0")[0] is None
    assert "content-encoding" not in fetch(embedded_url, BIG.encode(), {"Accept-Encoding": "lz4"})[1]


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "deflate", "br", "lz4, lz4", "lz4x"])
def test_a_body_in_another_encoding_is_refused_in_one_line(embedded_url: str, encoding: str) -> None:
    address, login = without_login(embedded_url)
    with closing(http.client.HTTPConnection(urlsplit(address).netloc)) as connection:
        connection.request("POST", "/", b"SELECT 1", {"Content-Encoding": encoding, **login})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
        assert (
            answer.read()
            == (
                f"Code: 48. DB::Exception: Content-Encoding: {encoding!r} is not supported: use lz4 or none "
                "(NOT_IMPLEMENTED)\n"
            ).encode()
        )
        # The refused body was read, so that the connection serves the next request.
        connection.request("POST", "/", b"SELECT 2", {"Content-Encoding": "identity", **login})
        assert connection.getresponse().read() == b"2\n"


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_a_client_that_compresses_otherwise_reads_but_does_not_insert(embedded_url: str, encoding: str) -> None:
    with closing(connect(embedded_url, compress=encoding)) as client:
        assert client.query("SELECT number FROM numbers(300000)").result_rows[-1] == (299_999,)
        table = f"other_{uuid.uuid4().hex}"
        client.command(f"CREATE TABLE {table} (a UInt64) ENGINE = Memory")
        with pytest.raises(DatabaseError, match=f"'{encoding}' is not supported: use lz4 or none"):
            client.insert(table, [[1]], column_names=["a"])
        assert client.query(f"SELECT count() FROM {table}").first_row == (0,)
        client.command(f"DROP TABLE {table}")


def test_bodies_of_lz4_frames(embedded_url: str) -> None:
    def post(body: bytes) -> tuple[int, bytes]:
        return fetch(embedded_url, body, {"Content-Encoding": " LZ4 "})[::2]

    one, two = lz4.frame.compress(b"SELECT '"), lz4.frame.compress(b"lz4'")
    assert post(one + two) == (200, b"lz4\n")
    address, login = without_login(embedded_url)
    with closing(http.client.HTTPConnection(urlsplit(address).netloc)) as connection:
        pieces = ((one + two)[start : start + 5] for start in range(0, len(one + two), 5))
        connection.request("POST", "/", pieces, {"Content-Encoding": "lz4", **login}, encode_chunked=True)
        assert connection.getresponse().read() == b"lz4\n"
    for body, reason in (
        (one + two[:-1], b"The lz4 body ends too early"),
        (b"SELECT 1", b"The body is not lz4"),
        (one + b"SELECT 1", b"The body is not lz4"),
    ):
        status, text = post(body)
        assert (status, text.startswith(b"Code: 117. DB::Exception: " + reason)) == (400, True)
