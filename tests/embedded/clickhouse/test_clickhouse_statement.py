"""Statements are cut in the right place, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.statements import first_words, split_insert, split_query

INSERTS = [
    (b"INSERT INTO t FORMAT CSV\n1,2\n", b"INSERT INTO t ", b"", "CSV", b"1,2\n"),
    (b"insert into t (a, `b)`) format Native\r\n\x00", b"insert into t (a, `b)`) ", b"", "Native", b"\x00"),
    (
        b"INSERT INTO t SETTINGS a=1, b='FORMAT X' FORMAT TSV \n",
        b"INSERT INTO t ",
        b"SETTINGS a=1, b='FORMAT X' ",
        "TSV",
        b"",
    ),
    (b"INSERT INTO t (a) VALUES (1), ('FORMAT')", b"INSERT INTO t (a) ", b"", "Values", b" (1), ('FORMAT')"),
    (b"INSERT INTO t FORMAT Values (1)", b"INSERT INTO t ", b"", "Values", b" (1)"),
    (b"INSERT INTO format.values FORMAT CSV;\n;", b"INSERT INTO format.values ", b"", "CSV", b";"),
    (
        b"/* c */ INSERT -- x\n INTO TABLE settings (b) FORMAT CSV\n",
        b"/* c */ INSERT -- x\n INTO TABLE settings (b) ",
        b"",
        "CSV",
        b"",
    ),
    (
        b"INSERT INTO FUNCTION file('a', 'FORMAT') FORMAT CSV\n\n",
        b"INSERT INTO FUNCTION file('a', 'FORMAT') ",
        b"",
        "CSV",
        b"\n",
    ),
]


@pytest.mark.parametrize(
    ("sql", "head", "settings", "form", "rows"), INSERTS, ids=[str(n) for n in range(len(INSERTS))]
)
def test_an_insert_is_cut_before_its_rows(sql: bytes, head: bytes, settings: bytes, form: str, rows: bytes) -> None:
    found = split_insert(sql)
    assert found is not None
    assert (found.head, found.settings, found.input_format, found.rows) == (head, settings, form, rows)


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"INSERT INTO t (a) FORMAT",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"CREATE TABLE insert (format String)",
        b"INSERT",
        b"",
    ],
)
def test_other_statements_carry_no_rows(sql: bytes) -> None:
    assert split_insert(sql) is None


@pytest.mark.parametrize("source", [b"input('a UInt8')", b"(SELECT a FROM INPUT ('a UInt8'))"])
def test_the_input_function_is_refused(source: bytes) -> None:
    with pytest.raises(ClickHouseError, match="input"):
        split_insert(b"INSERT INTO t SELECT a FROM " + source + b" FORMAT CSV\n1")
    assert split_insert(b"INSERT INTO t SELECT a FROM u WHERE b LIKE '% input (%' AND input = 1") is None


@given(rows=st.binary(max_size=200))
def test_rows_are_not_touched(rows: bytes) -> None:
    found = split_insert(b"INSERT INTO t FORMAT RowBinary\n" + rows)
    assert found is not None
    assert found.rows == rows


ANSWERS = [
    (b"SELECT 1", b"SELECT 1", None, b""),
    (b"SELECT 1 FORMAT CSV", b"SELECT 1 ", "CSV", b""),
    (b"SELECT 1 FORMAT CSV ; -- FORMAT TSV", b"SELECT 1 ", "CSV", b""),
    (b"SELECT 1 -- FORMAT TSV", b"SELECT 1", None, b""),
    (b"SELECT 1 /* FORMAT TSV */;;", b"SELECT 1", None, b""),
    (b"SELECT 'a FORMAT CSV'", b"SELECT 'a FORMAT CSV'", None, b""),
    (b"SELECT format FROM t", b"SELECT format FROM t", None, b""),
    (b"SELECT (SELECT 1 FORMAT x)", b"SELECT (SELECT 1 FORMAT x)", None, b""),
    (b"SELECT 1 format Null settings max_threads=1;", b"SELECT 1 ", "Null", b"settings max_threads=1"),
    (b"SELECT 1 SETTINGS a=1 FORMAT JSON", b"SELECT 1 SETTINGS a=1 ", "JSON", b""),
    (b"SELECT $x$ FORMAT CSV ' $x$ FORMAT TSV", b"SELECT $x$ FORMAT CSV ' $x$ ", "TSV", b""),
    (b"SELECT 1 /* a /* FORMAT b */ FORMAT CSV */ // FORMAT TSV", b"SELECT 1", None, b""),
    ("SELECT 1 AS “FORMAT CSV”".encode(), "SELECT 1 AS “FORMAT CSV”".encode(), None, b""),
    (b"SELECT 'it\\'s' # FORMAT CSV", b"SELECT 'it\\'s'", None, b""),
]


@pytest.mark.parametrize(("sql", "before", "form", "after"), ANSWERS, ids=[str(n) for n in range(len(ANSWERS))])
def test_a_query_is_cut_at_its_own_format(sql: bytes, before: bytes, form: str | None, after: bytes) -> None:
    found = split_query(sql)
    assert (found.before, found.output_format, found.after, found.to_file) == (before, form, after, False)


def test_a_query_that_writes_a_file_by_itself_is_known() -> None:
    assert split_query(b"SELECT 1 INTO OUTFILE 'x' FORMAT CSV").to_file
    assert not split_query(b"SELECT 'INTO OUTFILE'").to_file


@given(text=st.text(max_size=60))
def test_any_quoted_text_is_one_token(text: str) -> None:
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    sql = f"SELECT {quoted} AS a".encode("utf-8", "replace")
    assert split_query(sql + b" FORMAT CSV").before == sql + b" "
    assert first_words(sql) == (b"SELECT", quoted.encode("utf-8", "replace").upper())
