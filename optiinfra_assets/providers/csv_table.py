"""CSV files, plain or compressed, as streams of record batches, and which line is wrong in one that is not CSV.

Accepted: commas, double quotes (doubled inside a value), any line ends, UTF-8 with or without a mark, names in the first row.
A bare nothing and a bare ``NULL`` are null; ``""`` is an empty text.

The file is cut into blocks here and each is parsed by Arrow from memory. Arrow's own streaming reader reads ahead in a thread of its
own, which deadlocks or aborts the process when the reader is dropped before its end (pyarrow 26, Python sources); and it takes a quote
that is never closed for the end of the last value, so that a file cut inside a value would pass.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv

from optiinfra_assets.line_items.schema import REPEATED_TEXT, TEXT
from optiinfra_assets.providers.base import BadData

BLOCK_BYTES = 4 << 20
"""Text of one batch. 8 MiB would be a tenth faster, and take 20 MB more for a file of 40 columns."""
HEADER_BYTES = 64 << 10
"""Text looked at for the names; more if they are longer."""
LONGEST_ROW_BYTES = 128 << 20
"""A quote that is not closed makes one row of the rest of the file: more than this is not looked at for its end."""

_QUOTE, _COMMA, _LINE_FEED, _RETURN = b'",\n\r'
_PIECE = 1 << 18
"""Bytes looked at in one go, so that what is found about them stays in the processor's cache."""
_PARSE = pa.csv.ParseOptions(newlines_in_values=True)


class CsvTable:
    """One open CSV file."""

    def __init__(self, path: str, source: pa.NativeFile) -> None:
        self._path = path
        self._source = _decompressed(path, source)
        self._rest = b""
        self._at_end = False
        self._block = b""
        self._first_row = 0
        self._first_line = 1
        first = self._next_block(HEADER_BYTES)
        self.names, rows_start = _header(path, first)
        self._rest = first[rows_start:] + self._rest
        self._first_line += _lines(first[:rows_start])
        self._block = b""

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """The rows: all columns in file order, or `only` some; those named in `repeated` dictionary-encoded.

        Raises:
            BadData: naming row and line of what is not CSV.
        """
        options = pa.csv.ConvertOptions(
            column_types={name: REPEATED_TEXT if name in repeated else TEXT for name in self.names},
            include_columns=only,
            null_values=["", "NULL"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        while block := self._next_block(BLOCK_BYTES):
            self._enter(block)
            batch = self._parsed(block, options)
            if batch.num_rows:
                yield batch
            self._first_row += batch.num_rows

    def line(self, row: int) -> int | None:
        """Physical line (from 1) on which a row of the latest batch (counted from 0 in the file) starts."""
        for number, (line, _) in enumerate(self._rows(), start=self._first_row):
            if number == row:
                return line
        return None

    def _enter(self, block: bytes) -> None:
        self._first_line += _lines(self._block)
        self._block = block

    def _next_block(self, size: int) -> bytes:
        """Whole rows, about `size` bytes of them; empty at the end of the file."""
        pieces = [self._rest]
        length = len(self._rest)
        while True:
            wanted = size - length
            if wanted > 0 and not self._at_end:
                piece = self._read(wanted)
                self._at_end = not piece
                pieces.append(piece)
                length += len(piece)
                continue
            block = b"".join(pieces)
            end = len(block) if self._at_end else _end_of_rows(block)
            if end or not block:
                self._rest = block[end:]
                return block[:end]
            if size >= LONGEST_ROW_BYTES:
                self._enter(block)
                self._explain()
                raise BadData(
                    f"{self._path}: has a row longer than {LONGEST_ROW_BYTES >> 20} MiB: write the file again"
                )
            pieces, size = [block], size * 2

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._source.read(size)
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            raise BadData(f"{self._path}: is not a whole compressed file: {text}: write it again") from error
        return data

    def _parsed(self, block: bytes, options: pa.csv.ConvertOptions) -> pa.RecordBatch:
        if not _quotes_are_placed_well(block):
            self._explain()
        if not block.strip(b"\r\n"):
            return pa.record_batch(
                {name: pa.array([], TEXT) for name in options.include_columns or self.names}
            )
        if not block.endswith((b"\n", b"\r")):
            block += b"\n"  # without it Arrow takes a last bare nothing for "" (pyarrow 26)
        read = pa.csv.ReadOptions(column_names=self.names, block_size=len(block) + 1)
        try:
            table = pa.csv.read_csv(pa.BufferReader(block), read, _PARSE, options)
        except pa.ArrowInvalid as error:
            self._explain()
            text = " ".join(str(error).split())
            raise BadData(f"{self._path}: is not CSV: {text}: write it again") from error
        return table.combine_chunks().to_batches()[0]

    def _explain(self) -> None:
        """Go through the block once more, slowly, and raise BadData for the first row that is not CSV; return if there is none."""
        width = len(self.names)
        for number, (line, row) in enumerate(self._rows(), start=self._first_row + 1):
            where = f"{self._path}: row {number} (line {line})"
            if len(row) != width:
                raise BadData(
                    f"{where}: has {len(row)} values, but there are {width} columns: write the file again"
                )
            for name, value in zip(self.names, row, strict=True):
                if any("\udc80" <= letter <= "\udcff" for letter in value):
                    raise BadData(f"{where}, column {name}: is not text in UTF-8: write the file again")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row of the block with the line on which it starts."""
        reader = csv.reader(
            io.StringIO(self._block.decode("utf-8", "surrogateescape"), newline=""), strict=True
        )
        line = self._first_line
        number = self._first_row
        try:
            for row in reader:
                if row:
                    number += 1
                    yield line, row
                line = self._first_line + reader.line_num
        except csv.Error as error:
            raise BadData(
                f"{self._path}: row {number + 1} (line {line}): a quote is not closed, or stands in the wrong place ({error}): "
                "write the file again"
            ) from error


def _header(path: str, block: bytes) -> tuple[list[str], int]:
    """The names, and where the first row of values starts."""
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadData(f"{path}: is text in UTF-16: write the file in UTF-8")
    lines = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    try:
        names = next(row for row in csv.reader(iter(lines.readline, ""), strict=True) if row)
    except (csv.Error, StopIteration) as error:
        raise BadData(f"{path}: has no row of column names: write the file again") from error
    rest = lines.read().encode("utf-8", "surrogateescape")
    names[0] = names[0].removeprefix("\ufeff")
    for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and separator in names[0]:
            raise BadData(f"{path}: columns are separated by {word}: write the file with commas")
    return names, len(block) - len(rest)


def _end_of_rows(block: bytes) -> int:
    """Where the last row that is whole ends: after the last line end before which the quotes are paired; 0 if there is none."""
    newline = b"\n" if b"\n" in block else b"\r"
    end = block.rfind(newline)
    quotes = _count(block, _QUOTE, 0, end + 1)
    while end >= 0 and quotes % 2:
        before = block.rfind(newline, 0, end)
        quotes -= _count(block, _QUOTE, before + 1, end + 1)
        end = before
    return end + 1


def _quotes_are_placed_well(block: bytes) -> bool:
    """Whether the quotes of whole rows are paired, and each pair holds a whole value or part of one between doubled quotes.

    Arrow would read ``"1"2`` as 12, and ``"1`` at the end of a file as 1.
    """
    text = np.frombuffer(block, np.uint8)
    text = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    is_inside = False
    for start in range(1, len(text) - 1, _PIECE):
        seen = text[start - 1 : min(start + _PIECE, len(text) - 1) + 1]
        is_quote = seen == _QUOTE
        may_be_beside = is_quote | (seen == _COMMA) | (seen == _LINE_FEED) | (seen == _RETURN)
        is_quote = is_quote[1:-1]
        opens = _is_odd_up_to(is_quote, is_inside)
        # Of booleans, a > b says: a and not b.
        if ((is_quote & opens) > may_be_beside[:-2]).any() or ((is_quote > opens) > may_be_beside[2:]).any():
            return False
        is_inside = bool(opens[-1])
    return not is_inside


def _is_odd_up_to(flags: np.ndarray, carry: bool) -> np.ndarray:
    """For each position, whether the flags up to it, and `carry` before the first, are odd in number.

    64 flags at a time: counting them one by one would cost as much as parsing the text.
    """
    bits = np.zeros((len(flags) + 63) // 64, ">u8")
    bits.view(np.uint8)[: (len(flags) + 7) // 8] = np.packbits(flags)
    words = bits.astype(np.uint64)
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words >> np.uint64(shift)
    odd = np.bitwise_xor.accumulate(np.concatenate((np.array([carry], np.uint64), words[:-1] & np.uint64(1))))
    words ^= odd * np.uint64(2**64 - 1)
    return np.unpackbits(words.astype(">u8").view(np.uint8), count=len(flags)).view(bool)


def _count(data: bytes, byte: int, start: int, end: int) -> int:
    """How often a byte occurs: 8 times as fast as bytes.count where it occurs often."""
    text = np.frombuffer(data, np.uint8)[start:end]
    return sum(int(np.count_nonzero(text[at : at + _PIECE] == byte)) for at in range(0, len(text), _PIECE))


def _lines(text: bytes) -> int:
    """Line ends, of whichever kind the text has."""
    return _count(text, _LINE_FEED, 0, len(text)) or _count(text, _RETURN, 0, len(text))


def _decompressed(path: str, source: pa.NativeFile) -> pa.NativeFile:
    if path.lower().endswith(".gz"):
        return pa.CompressedInputStream(source, "gzip")
    if path.lower().endswith(".zst"):
        return pa.CompressedInputStream(source, "zstd")
    return source
