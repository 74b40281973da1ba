"""Reads Parquet files as streams of record batches in bounded memory, and chooses the reader of a file by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.domain.read_memory import COLUMN_BYTES, most_bytes, too_large
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.line_items.parquet_types import canonical_batch
from optiinfra_assets.providers.files.charge_rows import ChargeRows, TableReader
from optiinfra_assets.providers.files.csv_header import TableForm
from optiinfra_assets.providers.files.csv_reader import GZIP, PARQUET, ZSTD, CsvTable
from optiinfra_assets.providers.files.location import FileVersion, Location
from optiinfra_assets.providers.files.parquet_pages import PageSource, PageTooLarge

PARQUET_BATCH_ROWS = 24_576
"""A third more rows take 50 MB more and are no faster."""
PARQUET_BUFFER_BYTES = 64 << 10
"""Bytes that Arrow buffers for each column; without a limit a whole column chunk is in memory. `PageSource` reads further ahead."""
FOOTER_SHARE = 32
"""A footer may be this part of the memory for reading: its content takes more than its text."""
PIECE_SHARE = 4
"""A batch whose values take more than this part is yielded in pieces, because those who convert it make copies."""
FEWER = 8
"""A batch that would take too much memory is read again with rows divided by this."""

_NO_DICTIONARY = {"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"}


@contextmanager
def open_table(
    location: Location, file: FileVersion, block_bytes: int | None = None, form: TableForm | None = None
) -> Iterator[TableReader]:
    """Opens a file as a table, and checks at the end that it did not change meanwhile.

    Args:
        location: where the file is.
        file: version of the file to read.
        block_bytes: text of CSV to read at once; None chooses the fastest size.
        form: what a mapping tells of the rows; None: names come first, and every row is a charge.

    Raises:
        BadData: it is not a readable file of its type.
        ProviderError: it cannot be read, or changed.
    """
    path = location.path(file.name)
    with location.reading(file) as source:
        table = _table(path, source, block_bytes, form)
        yield ChargeRows.of(table, form, path)


def _table(path: str, source: pa.NativeFile, block_bytes: int | None, form: TableForm | None) -> TableReader:
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
    table = CsvTable(path, source, block_bytes, form)
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
            self._refuse_large_footer()
            self._metadata = pq.read_metadata(source)
            self._schema = self._metadata.schema.to_arrow_schema()
        if self._metadata.num_columns * COLUMN_BYTES > most_bytes():
            raise too_large(path, f"a table of {self._metadata.num_columns} columns", "write fewer columns")
        self.names = list(self._schema.names)
        self.has_text_only = False
        self.warnings = SourceWarnings()

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """See `TableReader.batches`; a batch has fewer rows if more would take too much memory.

        Raises:
            BadData: the file is not Parquet, or one row takes too much memory.
        """
        with _readable(self._path, "Parquet"):
            pages = PageSource(self._source, self._metadata)
            file = pq.ParquetFile(
                pa.PythonFile(pages, mode="r"),
                metadata=self._metadata,
                read_dictionary=self._dictionaries(repeated),
                pre_buffer=False,
                buffer_size=PARQUET_BUFFER_BYTES,
            )
            for group in range(self._metadata.num_row_groups):
                yield from map(canonical_batch, self._row_group(file, pages, group, only))

    def _dictionaries(self, repeated: set[str]) -> list[str]:
        """Returns the columns that Arrow (pyarrow 26) can read as dictionaries: no maps or structs, no DELTA encodings."""
        flat = {field.name for field in self._schema if not pa.types.is_nested(field.type)}
        groups = [self._metadata.row_group(n) for n in range(self._metadata.num_row_groups)]
        places = {self._metadata.schema.column(n).path: n for n in range(self._metadata.num_columns)}
        return [
            name
            for name in sorted(repeated & flat & places.keys())
            if not any(_NO_DICTIONARY & set(group.column(places[name]).encodings) for group in groups)
        ]

    def _row_group(
        self, file: pq.ParquetFile, pages: PageSource, group: int, only: list[str] | None
    ) -> Iterator[pa.RecordBatch]:
        rows, done = PARQUET_BATCH_ROWS, 0
        while True:
            pages.begin_group(group, rows, only)
            seen = 0
            try:
                for batch in file.iter_batches(rows, row_groups=[group], columns=only):
                    unread = batch.slice(max(0, done - seen))
                    seen += batch.num_rows
                    done = max(done, seen)
                    if unread.num_rows:
                        yield from _pieces(unread)
                    pages.begin_batch()
                return
            except (pa.ArrowException, OSError, PageTooLarge):
                if pages.refusal is None:
                    raise
                if rows == 1:
                    raise self._too_large(pages.refusal, group, done) from None
            rows = max(1, rows // FEWER)

    def _too_large(self, refusal: PageTooLarge, group: int, row: int) -> BadData:
        where = f"{self._path}: row group {group + 1}, row {row + 1} of it, column {refusal.column}"
        return too_large(
            where, f"reading {refusal.size >> 20} MiB", "write smaller pages, shorter values or smaller row groups"
        )

    def _refuse_large_footer(self) -> None:
        size = self._source.size()
        footer = int.from_bytes(self._source.read_at(min(size, 8), max(0, size - 8))[:4], "little")
        if most_bytes() // FOOTER_SHARE < footer < size:
            raise too_large(self._path, f"a footer of {footer >> 20} MiB", "write larger row groups or several files")

    def line(self, row: int) -> int | None:
        return None


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a batch in pieces that do not take too much memory, as far as halving makes them smaller."""
    size, half = batch.nbytes, batch.num_rows // 2
    if not half or size <= most_bytes() // PIECE_SHARE or batch.slice(0, half).nbytes == size:
        yield batch
        return
    for piece in (batch.slice(0, half), batch.slice(half)):
        yield from _pieces(piece)


@contextmanager
def _readable(path: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        text = " ".join(str(error).split())
        raise BadData(f"{path}: is not a whole {kind} file: {text}: write it again") from error
