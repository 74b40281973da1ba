"""CSV cut into blocks of any size is read as Python's csv reads it whole, nulls apart, and its lines are found again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain import read_memory
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers.files import csv_reader
from optiinfra_assets.providers.files.csv_reader import CsvTable
from tests.focus_samples import csv_text

VALUES = st.none() | st.text(st.sampled_from('ab ,"\r\n\u00e9;'), max_size=8) | st.sampled_from(["NULL", "null", "0"])
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=12)
)


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Blocks, and the first look at the names, of about `size` bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "BLOCK_BYTES", size)
        patch.setattr(csv_reader, "HEADER_BYTES", size)
        patch.setattr(csv_reader, "_PIECE", size // 3 + 1)
        yield


def read(data: bytes, repeated: set[str] | None = None) -> list[list[str | None]]:
    """All rows of a CSV text."""
    table = CsvTable("a.csv", pa.BufferReader(data))
    return [list(one.values()) for batch in table.batches(None, repeated or set()) for one in batch.to_pylist()]


@settings(max_examples=400)
@given(TABLES, st.integers(1, 200), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
@example([['"', '"'], [None, "\r\n"]], 1, "\r\n", False, True)
def test_any_table_in_blocks_of_any_size(
    rows: list[list[str | None]], size: int, line_end: str, encoded: bool, has_last_end: bool
) -> None:
    width = len(rows[0]) if rows else 2
    names = [f"c{n}" for n in range(width)]
    # A row of one null is an empty line, which is no row.
    kept = [one for one in rows if one != [None]]
    text = csv_text([dict(zip(names, one, strict=True)) for one in kept], names, null="", line_end=line_end)
    data = text.encode() if has_last_end else text.encode().removesuffix(line_end.encode())
    with blocks_of(size):
        assert read(data, set(names) if encoded else None) == kept


@settings(max_examples=200)
@given(TABLES.filter(bool), st.integers(1, 100))
def test_the_line_of_every_row_is_found_again(rows: list[list[str | None]], size: int) -> None:
    names = [f"c{n}" for n in range(len(rows[0]))]
    rows = [[value or "x" for value in one] for one in rows]
    text = csv_text([dict(zip(names, one, strict=True)) for one in rows], names).replace("\r", "r")
    expected = []
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    for _ in rows:
        expected.append(reader.line_num + 1)
        next(reader)
    with blocks_of(size):
        table = CsvTable("a.csv", pa.BufferReader(text.encode()))
        found: list[int | None] = []
        for batch in table.batches(None, set()):
            found.extend([table.line(len(found) + n) for n in range(batch.num_rows)])
    assert found == expected


@settings(max_examples=400)
@given(st.text(st.sampled_from('ab,"\n\r1'), max_size=40), st.integers(1, 60))
def test_what_python_refuses_is_refused_and_what_it_reads_is_read_alike(text: str, size: int) -> None:
    """Random letters: whatever is taken has the values that Python's strict reader finds."""
    data = f"c0,c1\n{text}"
    try:
        expected = [row for row in csv.reader(io.StringIO(data, newline=""), strict=True) if row][1:]
        wanted = None if any(len(row) != 2 for row in expected) else expected
    except csv.Error:
        wanted = None
    with blocks_of(size):
        try:
            found = read(data.encode())
        except BadData:
            # A quote inside a value without quotes is no CSV, though Python takes it for a letter.
            assert wanted is None or any('"' in value for row in wanted for value in row)
            return
    assert wanted is not None
    assert [[value or "" for value in row] for row in found] == wanted


@settings(max_examples=400)
@given(st.text(st.sampled_from('ab,"\n\r1'), max_size=40), st.integers(1, 60))
@example('19" rack,1\n2,3\n', 1)
@example('19" rack,1\n21" rack,3\n', 1)
@example('"a",1\n"b" ,2\n', 4)
def test_what_is_accepted_does_not_depend_on_the_size_of_the_blocks(text: str, size: int) -> None:
    """A quote inside a value was a letter of it in a small file, and the end of the file in a large one."""
    data = f"c0,c1\n{text}".encode()
    found: list[object] = []
    for one in (size, 1000):
        with blocks_of(one):
            try:
                found.append(read(data))
            except BadData as error:
                # Lines are counted by one kind of line end, and the value is shown as far as it was read.
                found.append(re.sub(r" \(line \d+\)| has [^\d].*", "", str(error)))
    assert found[0] == found[1]
    assert "not paired" not in str(found[0])


QUOTES = "a value with quotes in it is accepted in quotes, those inside doubled: write the file again"


@pytest.mark.parametrize("size", [16, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '1,2\n19" rack,3\n4,5\n',
            "row 2 (line 3): a quote is not closed, or stands in the wrong place: column a has '19\" rack'",
        ),
        (
            '1,2\n3,4 "x"\n',
            "row 2 (line 3): a quote is not closed, or stands in the wrong place: column b has '4 \"x\"'",
        ),
        (
            '"1\n",2\n3,"4"5\n',
            "row 2 (line 4): a quote is not closed, or stands in the wrong place: column b has '\"4\"5'",
        ),
        (
            '1,2\n3,"4\n5,6\n',
            "row 2 (line 3): a quote is not closed, or stands in the wrong place: column b has '\"4'",
        ),
        (
            '1,2,3"\n',
            "row 1 (line 2): a quote is not closed, or stands in the wrong place: column 3 has '3\"'",
        ),
    ],
)
def test_a_quote_in_the_wrong_place_is_named_with_its_value(text: str, message: str, size: int) -> None:
    with blocks_of(size), pytest.raises(BadData) as raised:
        read(f"a,b\n{text}".encode() + b"7,8\n" * 20)
    assert str(raised.value) == f"a.csv: {message}: {QUOTES}"


def test_a_quote_in_the_wrong_place_is_found_before_the_rest_of_the_file_is_read() -> None:
    """It took 900 MB to read 100 MB."""
    source = pa.BufferReader(b'a,b\n19" rack,2\n' + b"1,2\n" * 50_000)
    with blocks_of(1000), pytest.raises(BadData, match=r"row 1 \(line 2\): a quote"):
        list(CsvTable("a.csv", source).batches(None, set()))
    assert source.tell() < 3000


def test_a_quote_in_the_wrong_place_among_the_names() -> None:
    source = pa.BufferReader(b'a,"b\n' + b"1,2\n" * 50_000 + b'1,"2"\n' + b"1,2\n" * 50_000)
    with blocks_of(1000), pytest.raises(BadData, match=r"a\.csv: row of column names: a quote is not closed"):
        CsvTable("a.csv", source)


def test_a_row_that_is_too_long_is_not_taken_for_one_of_too_few_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 100)
    monkeypatch.setattr(read_memory, "_bytes", 4 << 20)
    source = pa.BufferReader(b"a,b\n1,2\n" + b"x" * (4 << 20))
    with pytest.raises(
        BadData,
        match=r"^a\.csv: row 2 \(line 3\): a row longer than 1 MiB needs more memory than the 4 MiB ",
    ):
        list(CsvTable("a.csv", source).batches(None, set()))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_long_values_with_quotes_and_line_breaks_are_read(line_end: str) -> None:
    """Longer than a block, and than what Python's csv takes for a value."""
    value = f'say ""{line_end},""' * 30_000
    data = f'a,b{line_end}1,"{value}"{line_end}2,"x"{line_end}'
    with blocks_of(1000):
        assert read(data.encode()) == [["1", value.replace('""', '"')], ["2", "x"]]


def test_a_row_after_a_long_value_is_found_again() -> None:
    long = "x" * 140_000
    data = f"{long},b\n{long},1\n".encode()
    table = CsvTable("a.csv", pa.BufferReader(data + b"2,3\n"))
    assert next(table.batches(None, set())).num_rows == 2
    assert table.line(1) == 3
    with pytest.raises(BadData, match=r"a\.csv: row 2 \(line 3\): has 3 values, but there are 2 columns"):
        read(data + b"1,2,3\n")
    assert read(data + b"1,\xff\n")[-1] == ["1", "ÿ"]


@pytest.mark.parametrize("names", [b'"a","b"', b'a,"b"', b'"a",b', b"\n\na,b"])
def test_a_mark_is_no_part_of_the_first_name(names: bytes) -> None:
    table = CsvTable("a.csv", pa.BufferReader(b"\xef\xbb\xbf" + names + b"\n1,2\n"))
    assert table.names == ["a", "b"]
    assert next(table.batches(None, set())).to_pylist() == [{"a": "1", "b": "2"}]
    assert table.line(0) == names.count(b"\n") + 2


def test_names_in_quotes() -> None:
    table = CsvTable("a.csv", pa.BufferReader(b'"a,""\n",b\n1,2\n'))
    assert table.names == ['a,"\n', "b"]


def test_names_that_are_not_utf8_are_read_as_windows_1252() -> None:
    table = CsvTable("a.csv", pa.BufferReader("a,Größe\n1,2\n".encode("latin-1")))
    assert table.names == ["a", "Größe"]
    assert [one.code for one in table.warnings] == ["text-encoding"]


@settings(max_examples=200)
@given(TABLES.filter(bool), st.integers(2, 100), st.sampled_from(["latin-1", "utf-16", "utf-16-le", "utf-16-be"]))
def test_any_table_in_another_encoding(rows: list[list[str | None]], size: int, encoding: str) -> None:
    names = [f"c{n}" for n in range(len(rows[0]))]
    kept = [one for one in rows if one != [None]]
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    text = csv_text([dict(zip(names, one, strict=True)) for one in kept], names, null="")
    with blocks_of(size):
        assert read(mark + text.encode(encoding)) == kept


@settings(max_examples=200)
@given(TABLES.filter(lambda rows: bool(rows) and len(rows[0]) > 1), st.integers(1, 100), st.sampled_from(";\t|"))
def test_any_table_with_another_separator(rows: list[list[str | None]], size: int, separator: str) -> None:
    names = [f"c{n}" for n in range(len(rows[0]))]
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([names, *([value or "" for value in one] for one in rows)])
    with blocks_of(size):
        assert read(written.getvalue().encode()) == [[value or "" for value in one] for one in rows]


def test_a_row_that_never_ends_is_refused_without_reading_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 100)
    monkeypatch.setattr(read_memory, "_bytes", 4 << 20)
    source = pa.BufferReader(b'a,b\n1,2\n3,"' + b"x\n" * (4 << 20))
    with pytest.raises(BadData, match=r"a\.csv: row 2 \(line 3\): a quote is not closed"):
        list(CsvTable("a.csv", source).batches(None, set()))
    assert source.tell() < 4 << 20


def test_a_reader_that_is_dropped_early_leaves_nothing_behind() -> None:
    """Arrow's own streaming reader hung or aborted the process here."""
    data = b"a,b\n" + b"1,2\n" * 100_000
    with blocks_of(1000):
        stream = CsvTable("a.csv", pa.BufferReader(data)).batches(None, set())
        assert next(stream).num_rows > 1
        del stream
