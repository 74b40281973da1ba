"""External merge sort: any number of records in, the same records sorted out. One temporary file stores what does not fit in memory.

To join two responses by key, add both to one `ExternalSorter`; records with the same key come out together::

    with ExternalSorter() as sorter:
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
"""Number of records in memory before they are written to the file: about 20 MB of short texts."""
_CHUNK: Final = 1 << 16


class ExternalSorter:
    """Collects records and then yields them in order. The file has no name and vanishes with the process."""

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
        """Add one record."""
        self._kept.append(record)
        if len(self._kept) >= self._in_memory:
            self._write()

    def sorted(self) -> Iterator[Record]:
        """Yield all records in order, including duplicates."""
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
        """Yield the records of one run. This reads by position, because all runs are read from the one file at the same time."""
        assert self._file is not None  # noqa: S101 - every run is a part of the file
        position, end = run
        rest = b""
        while position < end:
            chunk = os.pread(self._file.fileno(), min(_CHUNK, end - position), position)
            position += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield tuple(orjson.loads(line))
