"""clickhouse-connect as the client: each of its ways to write, to read and to command."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from clickhouse_process import connect, fetch
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = {
    "id": "UInt64",
    "name": "Nullable(String)",
    "kind": "LowCardinality(String)",
    "cost": "Decimal(38, 18)",
    "tags": "Map(String, String)",
    "day": "Date",
    "at": "DateTime('UTC')",
    "labels": "Array(String)",
}
ROWS: list[tuple[Any, ...]] = [
    (1, "a'b\\c\n", "api", Decimal("1e-18"), {"team": "core"}, date(2026, 11, 1), datetime(2026, 11, 1, 5, tzinfo=UTC), ["x"]),
    (2, None, "file", Decimal("-12345678901234567890.123456789012345678"), {}, date(2025, 1, 31), datetime(2025, 1, 31, tzinfo=UTC), []),
    (3, "日本 🙂 \u0000", "api", Decimal(0), {"k": "", "": "v"}, date(1999, 12, 31), datetime(2000, 1, 1, tzinfo=UTC), ["", "é;--"]),
]  # fmt: skip


@pytest.fixture
def database(embedded_url: str) -> Iterator[str]:
    """The address of an empty database."""
    name = f"client_{uuid.uuid4().hex[:12]}"
    admin = connect(embedded_url)
    admin.command(f"CREATE DATABASE {name}")
    yield f"{embedded_url}/{name}"
    admin.command(f"DROP DATABASE {name}")
    admin.close()


@pytest.fixture
def client(database: str) -> Iterator[Any]:
    """A client of an empty database with the table `t` of COLUMNS."""
    client = connect(database)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    client.command(f"CREATE TABLE t ({columns}) ENGINE = MergeTree ORDER BY id")
    yield client
    client.close()


def values(client: Any) -> list[tuple[Any, ...]]:
    """All rows of `t`, times aware."""
    return [
        (*row[:6], row[6].replace(tzinfo=UTC), row[7])
        for row in client.query("SELECT * FROM t ORDER BY id").result_rows
    ]


@pytest.mark.parametrize("compress", [False, True, "lz4"])
def test_native_insert_and_query_keep_every_value(database: str, client: Any, compress: bool | str) -> None:
    compressing = connect(database, compress=compress)
    summary = compressing.insert("t", ROWS, column_names=list(COLUMNS))
    assert summary.written_rows == 3
    assert values(compressing) == ROWS
    many = compressing.query("SELECT number, toString(number) FROM numbers(200000)")
    assert many.result_rows[-1] == (199999, "199999")
    compressing.close()


def test_arrow_and_pandas_both_ways(client: Any) -> None:
    costs = pa.array([Decimal("1.5"), None], pa.decimal128(38, 18))
    table = pa.table({"id": pa.array([7, 8], pa.uint64()), "kind": ["x", "y"], "cost": costs})
    assert client.insert_arrow("t", table).written_rows == 2
    frame = pd.DataFrame({"id": [9], "kind": ["z"], "day": [date(2026, 5, 1)]})
    assert client.insert_df("t", frame).written_rows == 1
    read = client.query_arrow("SELECT id, kind, cost FROM t ORDER BY id", use_strings=True)
    assert read.column("id").to_pylist() == [7, 8, 9]
    assert read.column("kind").to_pylist() == ["x", "y", "z"]
    assert read.column("cost").to_pylist() == [Decimal("1.5"), Decimal(0), Decimal(0)]
    assert client.query_df("SELECT id, day FROM t WHERE id = 9").to_dict("records") == [
        {"id": 9, "day": pd.Timestamp("2026-05-01")}
    ]


CSV = b"11,a,p\n12,b,q\n"


@pytest.mark.parametrize(
    "block",
    [CSV, CSV.decode(), lambda: (CSV[i : i + 3] for i in range(0, len(CSV), 3))],
    ids=["bytes", "text", "generator"],
)
def test_raw_insert_of_any_shape(client: Any, block: Any) -> None:
    written = client.raw_insert("t", ["id", "name", "kind"], block() if callable(block) else block, fmt="CSV")
    assert written.written_rows == 2
    assert client.query("SELECT id, name, kind FROM t ORDER BY id").result_rows == [
        (11, "a", "p"),
        (12, "b", "q"),
    ]


FORMATS = ["ArrowStream", "Arrow", "Parquet", "Native", "JSONEachRow", "RowBinary", "CSVWithNames", "TSV"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_large_answer_in_any_format_can_be_inserted_again(client: Any, form: str) -> None:
    query = "SELECT number AS id, toNullable(toString(number)) AS name, 'k' AS kind FROM numbers(100000)"
    streamed = client.raw_stream(query, fmt=form)
    client.raw_insert("t", ["id", "name", "kind"], iter(lambda: streamed.read(100_000), b""), fmt=form)
    client.raw_insert("t", ["id", "name", "kind"], client.raw_query(query, fmt=form), fmt=form)
    found = client.query("SELECT count(), sum(id), uniqExact(name), countIf(toString(id) != name) FROM t").first_row
    assert found == (200000, 99999 * 100000, 100000, 0)


def test_streams_of_blocks(client: Any) -> None:
    query = "SELECT number, toString(number) FROM numbers(300000)"
    with client.query_row_block_stream(query) as blocks:
        assert sum(len(block) for block in blocks) == 300000
    with client.query_column_block_stream(query) as blocks:
        assert sum(sum(block[0]) for block in blocks) == 299999 * 150000
    with client.query_df_stream(query) as frames:
        assert sum(len(frame) for frame in frames) == 300000
    with client.query_arrow_stream(query) as batches:
        assert sum(batch.num_rows for batch in batches) == 300000


def test_command_returns_values_empty_results_and_summaries(client: Any) -> None:
    assert client.command("SELECT 5") == 5
    assert client.command("SELECT 'a', 2") == ["a", "2"]
    assert client.command("SELECT id FROM t") == ""
    assert client.command("SHOW TABLES") == "t"
    assert client.command("INSERT INTO t (id, kind) SELECT number, 'k' FROM numbers(10)").written_rows == 10
    assert client.command("INSERT INTO t (id, name) VALUES ({id:UInt64}, {name:String}), (2 + 3, lower('É;'))",
                          parameters={"id": 77, "name": "q'\\"}).written_rows == 2  # fmt: skip
    assert client.query("SELECT name FROM t WHERE id = 77").first_row == ("q'\\",)
    assert client.command("INSERT INTO t (id, kind) FORMAT CSV", data="91,x\n92,y\n").written_rows == 2
    assert client.query("SELECT id FROM t LIMIT 0").column_names == ("id",)


def test_a_query_context_is_used_again_with_other_parameters(client: Any) -> None:
    context = client.create_query_context("SELECT {n:UInt64} * 2 AS twice", parameters={"n": 4})
    assert client.query(context=context).first_row == (8,)
    context.set_parameter("n", 21)
    assert client.query(context=context).first_row == (42,)


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@settings(max_examples=40)
@given(
    text=texts,
    items=st.lists(texts, max_size=5),
    maybe=st.none() | texts,
    number=st.integers(-(2**63), 2**63 - 1),
)
def test_parameters_arrive_as_they_were(
    embedded_url: str, text: str, items: list[str], maybe: str | None, number: int
) -> None:
    client = connect(embedded_url)
    query = "SELECT {text:String}, {items:Array(String)}, {maybe:Nullable(String)}, {number:Int64}"
    given_values = {"text": text, "items": items, "maybe": maybe, "number": number}
    assert client.query(query, parameters=given_values).first_row == (text, items, maybe, number)
    client.close()


def test_long_parameters_travel_as_a_form(embedded_url: str) -> None:
    client = connect(embedded_url)
    items = [f"é'\\{number}\r\n--boundary" for number in range(20_000)]
    query = "SELECT length({items:Array(String)}), {items:Array(String)}[-1]"
    assert client.query(query, parameters={"items": items}).first_row == (20_000, items[-1])
    client.close()
    forming = connect(embedded_url, form_encode_query_params=True)
    assert forming.query("SELECT {a:String}", parameters={"a": "ü'"}).first_row == ("ü'",)
    forming.close()


def test_settings_and_query_id_of_one_query(client: Any) -> None:
    assert client.query("SELECT getSetting('max_threads')", settings={"max_threads": 1}).first_row == (1,)
    assert client.query("SELECT timezone()", settings={"session_timezone": "Asia/Tokyo"}).first_row == ("Asia/Tokyo",)
    assert client.query("SELECT getSetting('async_insert'), timezone()").first_row == (False, "UTC")
    query_id = f"my query {uuid.uuid4()}"
    assert client.query("SELECT 1", settings={"query_id": query_id}).summary["query_id"] == query_id
    with pytest.raises(DatabaseError, match="UNKNOWN_SETTING") as refused:
        client.query("SELECT 1", settings={"no_such_setting": 1})
    assert refused.value.code == 115
    with pytest.raises(DatabaseError, match="READONLY"):
        client.command("DROP TABLE t", settings={"readonly": 1})
    assert client.query("SELECT count() FROM t", settings={"readonly": 1}).first_row == (0,)


ERRORS = [
    ("SELEC 1", 400, 62),
    ("SELECT * FROM no_such_table", 404, 60),
    ("SELECT no_such_column", 404, 47),
    ("SELECT no_such_function()", 404, 46),
    ("SELECT * FROM no_such_database.t", 404, 81),
    ("SELECT 1 FORMAT NoSuchFormat", 404, 73),
    ("SELECT toUInt8('x')", 400, 6),
    ("SELECT throwIf(1)", 500, 395),
    ("SELECT 1; SELECT 2", 400, 62),
    ("INSERT INTO no_such_table FORMAT CSV\n1\n", 404, 60),
    (
        "SELECT sleep(3) SETTINGS max_execution_time = 0.2, function_sleep_max_microseconds_per_block = 9000000",
        408,
        159,
    ),
]


@pytest.mark.parametrize(("sql", "status", "code"), ERRORS, ids=[str(e[0])[:40] for e in ERRORS])
def test_errors_have_the_servers_status_number_and_text(embedded_url: str, sql: str, status: int, code: int) -> None:
    found, headers, body = fetch(embedded_url, sql.encode())
    assert (found, headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert body.decode().startswith(f"Code: {code}. DB::Exception: ")
    assert body.decode().count("DB::Exception") == 1


def test_several_statements_are_refused_before_the_first_runs(client: Any) -> None:
    for statement in (
        "INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2)",
        "DROP TABLE t; SELECT 1",
    ):
        with pytest.raises(DatabaseError, match="Multi-statements are not allowed"):
            client.command(statement)
    assert client.query("SELECT count() FROM t;").first_row == (0,)


def test_what_is_not_carried_is_refused_in_words(client: Any, embedded_url: str) -> None:
    external = ExternalData(data=b"1\n", file_name="e", fmt="CSV", structure="a UInt8")
    with pytest.raises(DatabaseError, match="External data"):
        client.query("SELECT * FROM e", external_data=external)
    with pytest.raises(DatabaseError, match="input\\(\\) is not supported"):
        client.command("INSERT INTO t (id) SELECT a FROM input('a UInt64') FORMAT CSV", data="1\n")
    assert fetch(f"{embedded_url}/?decompress=1", b"SELECT 1")[0] == 501


def test_rows_that_are_not_stored_are_never_acknowledged(client: Any) -> None:
    client.command("CREATE TABLE few (a UInt64, CONSTRAINT c CHECK a < 5) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        client.insert("few", [[1], [9]], column_names=["a"])
    with pytest.raises(DatabaseError, match="TIMEOUT_EXCEEDED"):
        client.raw_insert("few", None, _slow_rows(), fmt="CSV", settings={"max_execution_time": 0.2})
    with pytest.raises(DatabaseError, match="is not like UInt64"):
        client.raw_insert("few", None, b"1\nx\n", fmt="CSV")
    with pytest.raises(DatabaseError, match="CANNOT_READ_ALL_DATA"):
        client.raw_insert("few", None, client.raw_query("SELECT toUInt64(1) AS a", fmt="Native")[:-3], fmt="Native")
    assert client.query("SELECT count() FROM few").first_row == (0,)


def _slow_rows() -> Iterator[bytes]:
    for number in range(4):
        time.sleep(0.2)
        yield b"%d\n" % number


def test_sixteen_clients_each_in_its_own_database(embedded_url: str) -> None:
    def work(number: int) -> None:
        name = f"many_{uuid.uuid4().hex[:8]}"
        admin = connect(embedded_url)
        admin.command(f"CREATE DATABASE {name}")
        client = connect(f"{embedded_url}/{name}")
        client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
        for step in range(6):
            client.insert("t", [[number, f"{number}-{step}"]], column_names=["a", "b"])
            rows = client.query("SELECT a, b, currentDatabase() FROM t ORDER BY b").result_rows
            assert rows == [(number, f"{number}-{i}", name) for i in range(step + 1)]
            table = client.query_arrow("SELECT number + {n:UInt64} AS x FROM numbers(70000)", parameters={"n": number})
            assert table.column("x")[-1].as_py() == 69999 + number
        client.command(f"DROP DATABASE {name}")
        admin.close()
        client.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
