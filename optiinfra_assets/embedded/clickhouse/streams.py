"""Streams rows into the engine and out of it in bounded memory.

ClickHouse reads and writes files, so we pass it a pipe as ``/dev/fd/N`` while the statement runs in a thread of its own. We do not use
chDB's `send_insert`: it reports success for rows that a constraint, a time limit or a KILL has discarded (26.9). Nor its `send_query`: it
writes the head and foot of a format around every block, which only the Native format survives.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from chdb import ChdbError

from optiinfra_assets.embedded.clickhouse.engine import ChdbEngine, PooledConnection, quote
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.running import MAX_STATEMENTS
from optiinfra_assets.embedded.clickhouse.statements import InsertStatement, SelectStatement

PIPE_BYTES = 1024 * 1024
# The readers of these formats seek in the file: from a pipe the engine would hold all of it in memory.
FILE_FORMATS = frozenset({"arrow", "parquet", "orc", "npy"})

# This reader skips the padding between two columns with lseek whenever its buffer does not hold the padding yet, and a pipe cannot seek:
# "Illegal seek", once in ten inserts of 1.4 GB (26.9). If the input is compressed, the reader reads on instead.
SEEKING_FORMATS = frozenset({"arrowstream"})
LZ4_HEAD = bytes.fromhex("04224d18607073")
LZ4_BLOCK_BYTES = 4 * 1024 * 1024
LZ4_STORED = 1 << 31
LZ4_END = bytes(4)


class StatementStreams:
    """Runs statements whose rows arrive or leave in pieces."""

    def __init__(self, engine: ChdbEngine, spool: Path) -> None:
        self._engine = engine
        self._spool = spool
        self._threads = ThreadPoolExecutor(max_workers=2 * MAX_STATEMENTS, thread_name_prefix="statement")

    def insert(
        self,
        handle: PooledConnection,
        insert: InsertStatement,
        params: Mapping[str, str],
        rows: Iterator[bytes],
    ) -> Any:
        """Insert `rows` and return chDB's result once they are on disk. If `rows` raises, the insert is cancelled.

        Raises:
            ClickHouseError: ClickHouse rejects the statement or the rows.
        """
        if insert.input_format.lower() in FILE_FORMATS:
            return self._insert_file(handle, insert, params, rows)
        compression = ""
        if insert.input_format.lower() in SEEKING_FORMATS:
            rows, compression = _in_lz4_frame(rows), "lz4"
        reader, writer = os.pipe()
        running = self._start(handle, _infile(insert, f"/dev/fd/{reader}", compression), params, reader)
        try:
            with suppress(BrokenPipeError):  # the statement has ended early; its own error says why
                for chunk in rows:
                    _write(writer, chunk)
        except BaseException:
            self._cancel(handle, running)
            raise
        finally:
            os.close(writer)
            wait([running])
        return running.result()

    def _insert_file(
        self,
        handle: PooledConnection,
        insert: InsertStatement,
        params: Mapping[str, str],
        rows: Iterator[bytes],
    ) -> Any:
        with tempfile.NamedTemporaryFile(dir=self._spool) as file:
            for chunk in rows:
                file.write(chunk)
            file.flush()
            return handle.run(_infile(insert, file.name), params=params)

    def select(
        self,
        handle: PooledConnection,
        answer: SelectStatement,
        form: str,
        params: Mapping[str, str],
        summary: dict[str, int],
    ) -> Generator[bytes, None, None]:
        """Yield the result in pieces; `summary` is filled at the end. Closing the generator early cancels the query.

        Raises:
            ClickHouseError: the query failed; may come with any piece.
        """
        if form.lower() == "native":
            return self._select_native(handle, answer, params, summary)
        return self._select_piped(handle, answer, form, params, summary)

    def _select_native(
        self,
        handle: PooledConnection,
        answer: SelectStatement,
        params: Mapping[str, str],
        summary: dict[str, int],
    ) -> Generator[bytes, None, None]:
        sql = b"%b\n%b" % (answer.before, answer.after)
        # The summary lacks the rows read: the pieces of a stream report only those read before the first piece.
        started = time.monotonic_ns()
        try:
            with handle.connection.send_query(sql, "Native", params=dict(params)) as stream:
                for piece in stream:
                    summary["result_rows"] = summary.get("result_rows", 0) + piece.rows_read()
                    yield piece.bytes()
            summary["elapsed_ns"] = time.monotonic_ns() - started
        except (ChdbError, RuntimeError) as error:
            raise ClickHouseError.of(error) from None

    def _select_piped(
        self,
        handle: PooledConnection,
        answer: SelectStatement,
        form: str,
        params: Mapping[str, str],
        summary: dict[str, int],
    ) -> Generator[bytes, None, None]:
        reader, writer = os.pipe()
        outfile = f"INTO OUTFILE '/dev/fd/{writer}' APPEND FORMAT {form}".encode()
        running = self._start(handle, b"%b\n%b %b" % (answer.before, outfile, answer.after), params, writer)
        try:
            while piece := os.read(reader, PIPE_BYTES):
                yield piece
            summary |= summary_of(running.result())
        except GeneratorExit:
            self._cancel(handle, running)
            raise
        finally:
            os.close(reader)
            wait([running])

    def _start(self, handle: PooledConnection, sql: bytes, params: Mapping[str, str], descriptor: int) -> Future[Any]:
        def run() -> Any:
            try:
                return handle.run(sql, params=params)
            finally:
                os.close(descriptor)

        return self._threads.submit(run)

    def _cancel(self, handle: PooledConnection, running: Future[Any]) -> None:
        """Cancel before the pipe is closed: the engine takes a closed pipe for the proper end of the rows."""
        while not running.done() and not self._engine.kill([handle.tag]):
            time.sleep(0.02)


def _infile(insert: InsertStatement, path: str, compression: str = "") -> bytes:
    compressed = f" COMPRESSION {quote(compression)}" if compression else ""
    infile, form = f"FROM INFILE {quote(path)}{compressed}".encode(), insert.input_format.encode()
    return b"%b\n%b %b\nFORMAT %b" % (insert.head, infile, insert.settings, form)


def _in_lz4_frame(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Wrap `rows` in an LZ4 frame of stored blocks: the bytes stay as they are, and no time is spent on compression."""
    yield LZ4_HEAD
    for chunk in rows:
        for start in range(0, len(chunk), LZ4_BLOCK_BYTES):
            block = chunk[start : start + LZ4_BLOCK_BYTES]
            yield (len(block) | LZ4_STORED).to_bytes(4, "little") + block
    yield LZ4_END


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def summary_of(result: Any) -> dict[str, int]:
    """Counts of a chDB result, under the names of ``X-ClickHouse-Summary``."""
    return {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "result_rows": result.rows_read(),
        "result_bytes": result.bytes_read(),
        "elapsed_ns": int(result.elapsed() * 1e9),
    }
