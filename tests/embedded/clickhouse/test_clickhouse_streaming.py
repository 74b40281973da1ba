"""Answers and bodies that are larger than the memory they may take, and errors in the middle of them."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import repeat
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, StreamFailureError
from clickhouse_process import Embedded, without_login
from loopback import CLICKHOUSE_PASSWORD
from urllib3.exceptions import HTTPError

ROWS = 5_000_000


def request_head(target: str, length: int | str) -> bytes:
    """The lines before the body of a POST: of `length` bytes, or "chunked"."""
    body = f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}"
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", f"X-ClickHouse-Key: {CLICKHOUSE_PASSWORD}", body, "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A process of this module's own, whose memory can be watched."""
    with Embedded(tmp_path_factory.mktemp("streaming") / "clickhouse") as embedded:
        yield embedded


@pytest.fixture
def client(embedded: Embedded) -> Iterator[Any]:
    """A client of it."""
    with closing(embedded.client()) as client:
        yield client


def peak_while(embedded: Embedded, chunks: Iterator[bytes]) -> tuple[int, int]:
    """Bytes read, and by how many MiB the process grew at most meanwhile."""
    before = embedded.rss()
    size = grown = 0
    for number, chunk in enumerate(chunks):
        size += len(chunk)
        if number % 20 == 0:
            grown = max(grown, embedded.rss() - before)
    return size, grown


@pytest.mark.parametrize("form", ["Native", "ArrowStream", "CSVWithNames"])
def test_five_million_rows_leave_in_bounded_memory(embedded: Embedded, client: Any, form: str) -> None:
    query = f"SELECT number, toString(number), generateUUIDv4() FROM numbers({ROWS})"
    stream = client.raw_stream(query, fmt=form)
    size, grown = peak_while(embedded, iter(lambda: stream.read(1 << 20), b""))
    assert size > 130 << 20
    assert grown < 80


def test_a_large_answer_that_is_waited_for_goes_through_a_file(embedded: Embedded, client: Any) -> None:
    before = embedded.rss()
    query = f"SELECT number, 'some text that is the same in every row' FROM numbers({ROWS})"
    assert len(client.raw_query(query, fmt="Native")) > 200 << 20
    assert embedded.rss() - before < 120
    assert not list((embedded.path / "embedded.spool").iterdir())


@pytest.mark.parametrize("form", ["Native", "CSV"])
def test_a_body_of_any_size_arrives_in_bounded_memory(embedded: Embedded, client: Any, form: str) -> None:
    client.command("CREATE OR REPLACE TABLE nowhere (a UInt64, b String) ENGINE = Null")
    block = client.raw_query("SELECT number AS a, repeat('x', 100) AS b FROM numbers(50000)", fmt=form)
    before, peak, times = embedded.rss(), [0], 120

    def blocks() -> Iterator[bytes]:
        for piece in repeat(block, times):
            peak[0] = max(peak[0], embedded.rss())
            yield piece

    assert client.raw_insert("nowhere", None, blocks(), fmt=form).written_rows == 50000 * times
    assert len(block) * times > 600 << 20
    assert peak[0] - before < 500  # ClickHouse itself gathers 256 MiB of rows before it writes them


LATE = f"SELECT throwIf(number = {ROWS - 1}, 'on purpose'), number FROM numbers({ROWS})"


@pytest.mark.parametrize("compress", [False, True, "lz4"])
def test_an_error_in_mid_stream_is_that_error(embedded: Embedded, compress: bool | str) -> None:
    with closing(embedded.client(compress=compress)) as client:
        with (
            pytest.raises(StreamFailureError, match="on purpose") as raised,
            client.query_column_block_stream(LATE) as blocks,
        ):
            for _ in blocks:
                pass
        assert raised.value.code == 395
        with pytest.raises(DatabaseError, match="on purpose"):
            client.query(LATE)


def test_an_error_in_mid_stream_ends_the_lz4_frame(embedded: Embedded) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", embedded.port)) as connection:
        headers = {"Accept-Encoding": "lz4", **without_login(embedded.url)[1]}
        connection.request("POST", "/?enable_http_compression=1", f"{LATE} FORMAT CSV", headers)
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
    frame = lz4.frame.LZ4FrameDecompressor()
    tail = frame.decompress(broken.value.partial)[-1000:].split(b"__exception__\r\n")
    tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
    assert (frame.eof, len(tail), tail[2]) == (True, 3, b"")
    assert tail[1].startswith(tag + b"\r\nCode: 395. DB::Exception: on purpose")
    assert tail[1].endswith(b" %b\r\n" % tag)


def test_an_error_in_mid_stream_is_logged_under_the_query_id(embedded: Embedded) -> None:
    query_id = f"request-1.{uuid.uuid4().hex}"
    with (
        closing(embedded.client()) as client,
        pytest.raises(StreamFailureError),
        client.query_column_block_stream(LATE, settings={"query_id": query_id}) as blocks,
    ):
        list(blocks)
    (line,) = (one for one in embedded.log.read_text().splitlines() if query_id in one)
    assert "failed in the middle of its answer" in line
    assert "on purpose" in line


@pytest.mark.parametrize("form", ["CSV", "JSONEachRow", "ArrowStream", "JSON", "Parquet"])
def test_an_error_in_mid_stream_never_looks_like_a_complete_answer(client: Any, form: str) -> None:
    stream = client.raw_stream(LATE, fmt=form)
    with pytest.raises((HTTPError, DatabaseError)):
        list(iter(lambda: stream.read(1 << 20), b""))
    with pytest.raises(DatabaseError, match="on purpose"):
        client.raw_query(LATE, fmt=form)


def running(client: Any, mark: str) -> int:
    """How many statements that contain `mark` run, besides this one."""
    query = "SELECT count() FROM system.processes WHERE query LIKE {like:String} AND query NOT LIKE '%processes%'"
    return int(client.query(query, parameters={"like": f"%{mark}%"}).first_row[0])


def wait_for(count: int, client: Any, mark: str) -> None:
    """Until `count` statements that contain `mark` run."""
    deadline = time.monotonic() + 10
    while running(client, mark) != count:
        assert time.monotonic() < deadline, f"{running(client, mark)} statements still run"
        time.sleep(0.02)


ENDLESS = "SELECT sum(sipHash64(number)) FROM system.numbers"


@pytest.mark.parametrize(
    "query", [ENDLESS, "SELECT number FROM system.numbers", "SELECT number FROM system.numbers FORMAT CSV"]
)
def test_a_query_ends_when_its_client_has_gone(embedded: Embedded, client: Any, query: str) -> None:
    mark = uuid.uuid4().hex
    with socket.create_connection(("127.0.0.1", embedded.port)) as gone:
        body = f"/* {mark} */ {query}".encode()
        gone.sendall(request_head("/?default_format=Native", len(body)) + body)
        wait_for(1, client, mark)
    wait_for(0, client, mark)


@pytest.mark.parametrize("form", ["Native", "CSV"])
def test_a_query_ends_when_its_client_has_closed_one_end_and_reads_no_more(
    embedded: Embedded, client: Any, form: str
) -> None:
    mark = uuid.uuid4().hex
    with socket.create_connection(("127.0.0.1", embedded.port)) as silent:
        body = f"/* {mark} */ SELECT number FROM system.numbers FORMAT {form}".encode()
        silent.sendall(request_head("/", len(body)) + body)
        silent.recv(1)
        wait_for(1, client, mark)
        silent.shutdown(socket.SHUT_WR)
        wait_for(0, client, mark)


def test_a_query_that_has_nothing_more_to_send_ends_when_its_client_has_gone(embedded: Embedded, client: Any) -> None:
    mark = uuid.uuid4().hex
    endless = (
        f"/* {mark} */ SELECT number FROM system.numbers WHERE number < 400000 OR sipHash64(number) = 0 FORMAT CSV"
    )
    with socket.create_connection(("127.0.0.1", embedded.port)) as gone:
        body = endless.encode()
        gone.sendall(request_head("/", len(body)) + body)
        received = 0
        while received < 1_100_000:
            received += len(gone.recv(1 << 16))
        gone.settimeout(1)
        with suppress(TimeoutError):
            while gone.recv(1 << 16):
                pass
        assert running(client, mark) == 1
    wait_for(0, client, mark)


def test_kill_query_finds_the_clients_query_id(embedded: Embedded, client: Any) -> None:
    query_id = f"it's {uuid.uuid4()}"
    errors: list[Exception] = []

    def work() -> None:
        with closing(embedded.client()) as other:
            try:
                other.query(f"{ENDLESS} /* {query_id} */", settings={"query_id": query_id})
            except DatabaseError as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(1, client, query_id[5:])
    with pytest.raises(DatabaseError, match="is already running") as same:
        client.query("SELECT 1", settings={"query_id": query_id})
    assert same.value.code == 216
    client.command("KILL QUERY WHERE query_id = {id:String} SYNC", parameters={"id": query_id})
    thread.join(10)
    assert [error.code for error in errors] == [394]  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["CSV", "Native", "ArrowStream"])
def test_a_body_that_breaks_off_leaves_nothing(embedded: Embedded, client: Any, form: str) -> None:
    client.command("CREATE OR REPLACE TABLE cut (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    rows: bytes = client.raw_query("SELECT number AS a, toString(number) AS b FROM numbers(70000)", fmt=form)
    for part in (0, 5, len(rows) // 2, len(rows) - 3):
        with socket.create_connection(("127.0.0.1", embedded.port)) as gone:
            gone.sendall(request_head(f"/?query=INSERT+INTO+cut+FORMAT+{form}", len(rows)) + rows[:part])
    wait_for(0, client, "INSERT INTO cut")
    time.sleep(0.2)
    assert client.query("SELECT count() FROM cut").first_row == (0,)
    assert client.raw_insert("cut", None, rows, fmt=form).written_rows == 70000


def test_arrow_whose_columns_are_padded_arrives_in_pieces_of_any_size(client: Any) -> None:
    """Pieces that end inside the padding between two columns once made the engine seek in its pipe."""
    client.command("CREATE OR REPLACE TABLE padded (a String, b String, c UInt8) ENGINE = Null")
    batch = pa.record_batch({"a": ["x"] * 9, "b": ["yyy"] * 9, "c": pa.array([1] * 9, pa.uint8())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(400):
            writer.write_batch(batch)
    body = sink.getvalue().to_pybytes()

    def pieces(size: int) -> Iterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]
            time.sleep(0.0001)

    for size in (61, 1000):
        client.raw_insert("padded", insert_block=pieces(size), fmt="ArrowStream")


def test_max_execution_time_ends_a_query(client: Any) -> None:
    with pytest.raises(DatabaseError, match="TIMEOUT_EXCEEDED") as raised:
        client.query(ENDLESS, settings={"max_execution_time": 0.3})
    assert raised.value.code == 159


def test_a_client_that_waits_long_is_told_that_its_query_still_runs(embedded: Embedded) -> None:
    query = "SELECT sleepEachRow(0.35) FROM numbers(5) SETTINGS max_block_size = 1"
    with closing(embedded.client(send_receive_timeout=1)) as client:
        soon = {"http_headers_progress_interval_ms": 200, "send_progress_in_http_headers": 1}
        assert len(client.query(query, settings=soon).result_rows) == 5
        with pytest.raises(DatabaseError, match="on purpose") as raised:
            client.query("SELECT throwIf(sleepEachRow(0.35) = 0 AND number = 3, 'on purpose') FROM numbers(5) SETTINGS max_block_size = 1",
                         settings=soon)  # fmt: skip
        assert raised.value.code == 395
        with pytest.raises(OperationalError):
            client.query(query, settings={"send_progress_in_http_headers": 0})


def test_bodies_in_chunks_of_any_size_and_several_requests_on_one_connection(embedded: Embedded) -> None:
    with socket.create_connection(("127.0.0.1", embedded.port)) as raw, suppress(TimeoutError):
        raw.settimeout(10)
        text = b"SELECT 'chunks'"
        request = request_head("/", "chunked")
        request += b"".join(b"1\r\n%c\r\n" % letter for letter in text) + b"0\r\n\r\n"
        received = b""
        for piece in (request[:30], request[30:100], request[100:] + request):
            raw.sendall(piece)
            time.sleep(0.05)
        while received.count(b"chunks\n") < 2:
            received += raw.recv(4096)
        raw.sendall(b"this is not HTTP\r\n\r\n")
        assert b"400 Bad Request" in raw.recv(4096)
