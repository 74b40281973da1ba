"""Files and answers of some kB that stand for hundreds of MB are refused, or read in smaller parts, within the memory that is allowed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import bombs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bombs import BOMB, LIMIT, MIB
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import served

from optiinfra_assets.domain import read_memory
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.line_items.json_parsing import parse_flat_object
from optiinfra_assets.providers.files.parquet_reader import ParquetTable
from optiinfra_assets.settings import Settings

GROWTH = 5 * LIMIT // MIB
"""MB: the allowed bytes, and copies of a part of them while they are parsed."""

Told = dict[str, tuple[str, int]]


@cache
def _answers() -> dict[str, tuple[bytes, str]]:
    """Body and encoding at each path; made once they are asked for: every worker imports this module."""
    empty = b"{" + b" " * BOMB + b"}"
    packed = gzip.compress(empty, 1)
    return {
        "/bomb": (packed, "gzip"),
        "/twice": (gzip.compress(packed), "gzip, gzip"),
        "/large": (empty, ""),
        "/objects": (b'{"a": [' + b"{}," * (4 * MIB) + b"{}]}", ""),
        "/xml": (b"<a>" + b"<b/>" * (4 * MIB) + b"</a>", ""),
        "/deep": (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", ""),
    }


DECOMPRESSING = ("ours", "requests")
"""The clients of AWS decompress no answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body, encoding = _answers()["/" + self.path.strip("/").rpartition("/")[2]]
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Encoding": encoding, "ETag": '"1"'}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the reader had enough

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(_Handler) as url:
        yield url


def told_of(asked: list[list[str]]) -> Told:
    """What a process of its own says of the files and requests."""
    done = subprocess.run(
        [sys.executable, bombs.__file__], input=json.dumps(asked), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: (said, growth) for name, (said, growth) in json.loads(done.stdout).items()}


def test_files_are_read_within_the_memory_that_is_allowed(tmp_path: Path) -> None:
    bombs.write_bombs(tmp_path)
    rows = {"rows": "4194304", "empty-lines": "0", "fewer-rows-dictionary": "250", "fewer-rows-beginnings": "250"}
    rows["fewer-rows-plain"] = "30100"
    told = told_of(
        [["first", "file", str(tmp_path / "columns.parquet")]]
        + [[path.name, "file", str(path)] for path in sorted(tmp_path.iterdir())]
    )
    del told["first"]  # its growth is that of the imports
    wrong = {name: said for name, said in told.items() if said[1] > GROWTH}
    assert wrong == {}
    for name, (said, _) in told.items():
        kind = name.partition(".")[0]
        if kind in rows:
            assert said == rows[kind], name
        else:
            assert said.startswith("BadData: "), said
            assert name in said, said
            assert kind in ("quote", "page-lies") or "OPTIINFRA_READ_MEMORY" in said, said
    assert "row group 1, row 1 of it, column a: reading" in told["cell-zstd.parquet"][0]
    assert "row 1 (line 2)" in told["row.csv.gz"][0]


@pytest.mark.parametrize("client", ["ours", "boto", "service", "requests"])
def test_answers_are_read_within_the_memory_that_is_allowed(client: str, address: str) -> None:
    paths = [path for path, (_, encoding) in _answers().items() if not encoding or client in DECOMPRESSING]
    told = told_of([["first", client, address, "/deep"]] + [[path, client, address, path] for path in paths])
    first, _ = told.pop("first")
    assert client == "boto" or first.startswith("ContractChanged"), first
    wrong = {path: said for path, said in told.items() if said[1] > GROWTH}
    assert wrong == {}
    del told["/deep"]
    if client == "ours":
        assert told.pop("/twice")[0].startswith("ContractChanged")
    for said, _ in told.values():
        assert said.startswith("BadData: "), said
        assert "OPTIINFRA_READ_MEMORY" in said, said


def test_json_in_a_cell_is_bounded_and_long_texts_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_memory, "_bytes", MIB)
    with pytest.raises(ValueError, match="of fewer values, or raise OPTIINFRA_READ_MEMORY"):
        parse_flat_object('{"a": [' + "0," * 10_000 + "0]}")
    long = '{"a": "' + "x" * 10_000 + '"}'
    assert parse_flat_object(long) is not parse_flat_object(long)
    assert parse_flat_object('{"a": "b"}') is parse_flat_object('{"a": "b"}')


@settings(max_examples=60)
@given(
    st.lists(st.none() | st.text(max_size=40) | st.just("x" * 3000), min_size=1, max_size=60),
    st.sampled_from(["zstd", "snappy", "gzip", "lz4", "none"]),
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from([True, False, "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]),
    st.integers(1, 70),
    st.sampled_from([20_000, 1 << 29]),
)
def test_any_table_is_read_whole_or_refused(
    texts: list[str | None], codec: str, version: str, encoding: bool | str, group: int, allowed: int
) -> None:
    nested = [None if text is None else [text, None, text] for text in texts]
    table = pa.table({"a": texts, "b": pa.array(nested, pa.list_(pa.string())), "c": range(len(texts))}).cast(
        pa.schema({"a": pa.string(), "b": pa.list_(pa.string()), "c": pa.int64()})
    )
    sink = pa.BufferOutputStream()
    options = (
        {"use_dictionary": encoding}
        if isinstance(encoding, bool)
        else {"use_dictionary": False, "column_encoding": {"a": encoding}}
    )
    pq.write_table(
        table, sink, compression=codec, data_page_version=version, row_group_size=group, data_page_size=600, **options
    )
    with pytest.MonkeyPatch.context() as patch:
        opened = ParquetTable("a.parquet", pa.BufferReader(sink.getvalue()))
        patch.setattr(read_memory, "_bytes", allowed)
        try:
            found = [row for batch in opened.batches(None, {"a"}) for row in batch.to_pylist()]
        except BadData as refused:
            found = str(refused) if allowed == 20_000 else ""
        assert found == table.to_pylist() or "OPTIINFRA_READ_MEMORY" in found


def test_ordinary_row_groups_are_read_in_batches_of_the_usual_size() -> None:
    """A million rows in one group, as clouds write them, with pages of all encodings: nothing is read twice."""
    count = 1_000_000
    numbers = pa.array(range(count))
    few = pa.array([f"kind {n % 500}" for n in range(count)])
    table = pa.table(
        {
            **{f"kind {n}": few for n in range(15)},
            "id": numbers.cast(pa.string()),
            "cost": numbers.cast(pa.float64()),
            "kind": ["a", "b"] * (count // 2),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=count)
    sizes = [
        batch.num_rows for batch in ParquetTable("a.parquet", pa.BufferReader(sink.getvalue())).batches(None, {"kind"})
    ]
    assert sum(sizes) == count
    assert set(sizes[:-1]) == {24_576}


def test_the_setting_is_named_and_bounded() -> None:
    assert Settings(read_memory="1GiB").read_memory == 1 << 30  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read_memory"):
        Settings(read_memory="1MiB")  # type: ignore[arg-type]
