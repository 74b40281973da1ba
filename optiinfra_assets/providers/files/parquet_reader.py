"""Reads Parquet files as streams of record batches in bounded memory, and chooses the reader of a file by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.line_items.parquet_types import canonical_batch
from optiinfra_assets.providers.files.csv_reader import GZIP, PARQUET, ZSTD, CsvTable
from optiinfra_assets.providers.files.location import FileVersion, Location

PARQUET_BATCH_ROWS = 24_576
"""A third more rows take 50 MB more and are no faster."""
PARQUET_BUFFER_BYTES = 1 << 20
"""Bytes to read ahead for each column; without a limit a whole column chunk of a large row group is in memory."""


class TableReader(Protocol):
    """One open file."""

    names: list[str]
    """Column names as delivered."""
    has_text_only: bool
    """It is CSV: all values are text."""
    warnings: SourceWarnings
    """What was read although the file is not quite of its type; complete after `batches`."""

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """Yields the rows, with all columns in file order, or those in `only`; text columns in `repeated` are dictionary-encoded."""
        ...

    def line(self, row: int) -> int | None:
        """Returns the physical line (from 1) on which a row of the latest batch (counted from 0 in the file) starts; None without lines."""
        ...


@contextmanager
def open_table(location: Location, file: FileVersion, block_bytes: int | None = None) -> Iterator[TableReader]:
    """Opens a file as a table, and checks at the end that it did not change meanwhile.

    `block_bytes` is the text of CSV to read at once; None chooses the fastest size.

    Raises:
        BadData: it is not a readable file of its type.
        ProviderError: it cannot be read, or changed.
    """
    path = location.path(file.name)
    with location.reading(file) as source:
        yield _table(path, source, block_bytes)


def _table(path: str, source: pa.NativeFile, block_bytes: int | None) -> TableReader:
    """Returns the reader that the name of a file asks for; if the content is of another type, the reader of that type, with a warning."""
    is_named_parquet = path.lower().endswith(".parquet")
    if is_named_parquet:
        try:
            return ParquetTable(path, source)
        except BadData:
            if not _may_be_text(source):
                raise
    elif _first_bytes(source, len(PARQUET)) == PARQUET:
        parquet = ParquetTable(path, source)
        parquet.warnings.add("file-kind", "a Parquet file that is not named *.parquet was read", example=path)
        return parquet
    table = CsvTable(path, source, block_bytes)
    if is_named_parquet:
        table.warnings.add("file-kind", "CSV that is named *.parquet was read", example=path)
    return table


def _first_bytes(source: pa.NativeFile, count: int) -> bytes:
    source.seek(0)
    first: bytes = source.read(count)
    source.seek(0)
    return first


def _may_be_text(source: pa.NativeFile) -> bool:
    first = _first_bytes(source, 4096)
    return first.startswith((GZIP, ZSTD)) or not (first.startswith(PARQUET) or b"\0" in first)


class ParquetTable:
    """One open Parquet file."""

    def __init__(self, path: str, source: pa.NativeFile) -> None:
        self._path = path
        self._source = source
        with _readable(path, "Parquet"):
            self._metadata = pq.read_metadata(source)
            self._schema = self._metadata.schema.to_arrow_schema()
        self.names = list(self._schema.names)
        self.has_text_only = False
        self.warnings = SourceWarnings()

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        # Parquet has no dictionaries of maps or structs: requesting one raises KeyError.
        flat = {field.name for field in self._schema if not pa.types.is_nested(field.type)}
        with _readable(self._path, "Parquet"):
            file = pq.ParquetFile(
                self._source,
                metadata=self._metadata,
                read_dictionary=sorted(repeated & flat),
                pre_buffer=False,
                buffer_size=PARQUET_BUFFER_BYTES,
            )
            yield from map(canonical_batch, file.iter_batches(PARQUET_BATCH_ROWS, columns=only))

    def line(self, row: int) -> int | None:
        return None


@contextmanager
def _readable(path: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        text = " ".join(str(error).split())
        raise BadData(f"{path}: is not a whole {kind} file: {text}: write it again") from error
