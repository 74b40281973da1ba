"""Records in the order of their keys, however many there are: what does not fit in memory waits, sorted, in one temporary file.

Two answers that are joined by key are put in one `ExternalSorter`, and what belongs together comes out together::

    with Sorter() as sorter:
        for row in billed_rows: sorter.add((row.key, "billed", row.amount))
        for row in effective_rows: sorter.add((row.key, "effective", row.amount))
        for key, records in groupby(sorter.sorted(), key=itemgetter(0)):
            ...
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator
from typing import IO, Final, Self

import orjson

Record = tuple[str, ...]

IN_MEMORY: Final = 32_768
"""Records kept before they are written: about 20 MB of short texts."""
_CHUNK: Final = 1 << 16


class ExternalSorter:
    """Collects records, then gives them in order. The file has no name and is gone with the process."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._kept: list[Record] = []
        self._runs: list[tuple[int, int]] = []
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, record: Record) -> None:
        """Take one record."""
        self._kept.append(record)
        if len(self._kept) >= self._in_memory:
            self._write()

    def sorted(self) -> Iterator[Record]:
        """All records in order; equal ones all come."""
        self._kept.sort()
        return heapq.merge(*map(self._read, self._runs), self._kept)

    def _write(self) -> None:
        self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the `with` of this object
        self._kept.sort()
        begin = self._file.tell()
        for record in self._kept:
            self._file.write(orjson.dumps(record))
            self._file.write(b"\n")
        self._file.flush()
        self._runs.append((begin, self._file.tell()))
        self._kept = []

    def _read(self, run: tuple[int, int]) -> Iterator[Record]:
        """The records of one run. Read by position, as all runs are read at once from the one file."""
        assert self._file is not None  # noqa: S101 - a run is a part of it
        position, end = run
        rest = b""
        while position < end:
            chunk = os.pread(self._file.fileno(), min(_CHUNK, end - position), position)
            position += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield tuple(orjson.loads(line))
