"""Reads CSV files, plain or compressed, as streams of record batches, and names the line that is wrong in a file that is not CSV.

Accepted: commas, double quotes (doubled inside a value), any line ends, UTF-8 with or without a byte order mark, names in the first row.
An unquoted empty value and an unquoted ``NULL`` are null; ``""`` is an empty text. Read with a warning: semicolons, tabs or bars for
commas, UTF-16, Windows-1252 (of which ISO 8859-1 is a part), and a compression that the name does not tell.

This module cuts the file into blocks, and Arrow parses each block from memory. Arrow's own streaming reader reads ahead in a thread of
its own, which deadlocks or aborts the process when the reader is dropped before its end (pyarrow 26, Python sources). It also accepts
an unclosed quote as the end of the last value, so that a file cut inside a value would pass.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.domain.read_memory import COLUMN_BYTES, most_bytes, too_large
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.line_items.schema import REPEATED_TEXT, TEXT
from optiinfra_assets.providers.files.csv_header import FIRST_ROW, SEPARATORS, TableForm, distinct, find_header

BLOCK_BYTES = 4 << 20
"""Text of one batch. 8 MiB would be a tenth faster, and take 20 MB more for a file of 40 columns."""
SMALL_BLOCK_BYTES = 2 << 20
"""For exports, which have 100 columns and whose readers also hold a vendor's client: 30 to 50 MB less, at a few percent of the time."""
HEADER_BYTES = 64 << 10
"""Text read for the column names; more if they are longer."""
LONGEST_NAMES_BYTES = 1 << 20
"""Text in which the end of the first line is searched, to see what separates the names."""
ROW_SHARE = 4
"""An unclosed quote makes one row of the rest of the file; the reader searches at most this part of the memory for the end of a row."""

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'
_PIECE = 1 << 18
"""Bytes processed in one step, so that intermediate results stay in the processor's cache."""
_MARK: Final = b"\xef\xbb\xbf"
_VALUES: Final = {
    separator: re.compile(
        rb'("[^"]*+(?:""[^"]*+)*+"|[^"%b\r\n]*+)(%b|\r\n|[\r\n]|\Z)' % (separator, re.escape(separator))
    )
    for separator in SEPARATORS
}
"""By separator: a value with its quotes, and what ends it. Python's csv refuses values over 131,072 characters, and accepts quotes in the
wrong place."""
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_COMPRESSIONS: Final = {GZIP: ("gzip", ".gz"), ZSTD: ("zstd", ".zst")}
_OTHER_KINDS: Final = {GZIP: "compressed by gzip", ZSTD: "compressed by zstd", PARQUET: "a Parquet file"}
"""First bytes of files that are not CSV -> what such a file is."""
_GUESSED: Final = "text that is not UTF-8 was read as Windows-1252; accents may be wrong"
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _Row(NamedTuple):
    """A row of a block: the line (from 1) on which it starts, its values with their quotes, and where the next row starts."""

    line: int
    values: list[bytes]
    end: int


class CsvTable:
    """One open CSV file."""

    def __init__(
        self, path: str, source: pa.NativeFile, block_bytes: int | None = None, form: TableForm | None = None
    ) -> None:
        self._path = path
        self.warnings = SourceWarnings()
        self._source = self._decompressed(source)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._separator = b","
        self._block_bytes = block_bytes or BLOCK_BYTES
        self._at_end = False
        self._block = b""
        self._first_row = 0
        self._first_line = 1
        self.names: list[str] = []
        self.has_text_only = True
        first = self._read(HEADER_BYTES)
        if first.startswith(_UTF_16):
            self._decoder = codecs.getincrementaldecoder("utf-16")()
            self._warn("text-encoding", "text in UTF-16 was read")
            first = self._decoder.decode(first).encode()
        _refuse_other_kinds(path, first)
        while not FIRST_ROW.match(first) and len(first) < LONGEST_NAMES_BYTES and (more := self._read(HEADER_BYTES)):
            first += more
        first = first.removeprefix(_MARK)
        self._separator, start = find_header(first, form)
        if self._separator != b",":
            self._warn("separator", f"columns separated by {SEPARATORS[self._separator]} were read")
        self._first_line += _lines(first[:start])
        if start:
            self._warn("lines-above", "lines above the names of columns were skipped", _lines(first[:start]))
        self._rest = first[start:]
        self._read_names()
        if form is not None:
            self.names = distinct(self.names)

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """Yields the rows, with all columns in file order, or those in `only`; columns in `repeated` are dictionary-encoded.

        Raises:
            BadData: the file is not CSV; names row and line.
        """
        options = pa.csv.ConvertOptions(
            column_types={name: REPEATED_TEXT if name in repeated else TEXT for name in self.names},
            include_columns=only,
            null_values=["", "NULL"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        while block := self._next_block(self._block_bytes):
            self._enter(block)
            batch = self._parsed(block, options)
            if batch.num_rows:
                yield batch
            self._first_row += batch.num_rows

    def line(self, row: int) -> int | None:
        """Returns the physical line (from 1) on which a row of the latest batch (counted from 0 in the file) starts."""
        for number, one in enumerate(self._rows(), start=self._first_row):
            if number == row:
                return one.line
        return None

    def _read_names(self) -> None:
        self._block = self._next_block(HEADER_BYTES)
        row = next(self._rows(), None)
        if row is None:
            raise BadData(f"{self._path}: has no row of column names: write the file again")
        self.names = [_unquoted(value).decode() if _is_utf8(value) else self._guessed(value) for value in row.values]
        self._first_line += _lines(self._block[: row.end])
        self._rest = self._block[row.end :] + self._rest
        self._block = b""

    def _enter(self, block: bytes) -> None:
        self._first_line += _lines(self._block)
        self._block = block

    def _next_block(self, size: int) -> bytes:
        """Returns about `size` bytes of whole rows; empty at the end of the file. A misplaced quote may leave the last row incomplete."""
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
            if not end and (
                size >= most_bytes() // ROW_SHARE or not _quotes_are_placed_well(block, self._separator, is_whole=False)
            ):
                self._refuse_long_row(block)
                end = len(block)
            if end or not block:
                self._rest = block[end:]
                return block[:end]
            pieces, size = [block], size * 2

    def _refuse_long_row(self, block: bytes) -> None:
        """Raises BadData for a row longer than `block`, unless a misplaced quote causes it: the parser then names the quote."""
        if _quotes_are_placed_well(block, self._separator):
            where = f"{self._path}: row {self._first_row + 1} (line {self._first_line + _lines(self._block)})"
            raise too_large(where, f"a row longer than {len(block) >> 20} MiB", "write the file again")

    def _read(self, size: int) -> bytes:
        """Returns at most about `size` bytes of text in UTF-8; empty at the end of the file."""
        while True:
            data = self._bytes(size)
            if self._decoder is None:
                return data
            try:
                text = self._decoder.decode(data, final=not data).encode()
            except UnicodeError as error:
                raise BadData(f"{self._path}: is not whole text in UTF-16: write the file again, in UTF-8") from error
            if text or not data:
                return text

    def _bytes(self, size: int) -> bytes:
        try:
            data: bytes = self._source.read(size)
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            raise BadData(f"{self._path}: is not a whole compressed file: {text}: write it again") from error
        return data

    def _guessed(self, name: bytes) -> str:
        self._warn("text-encoding", _GUESSED)
        return _unquoted(name).decode("cp1252", errors="replace")

    def _in_utf8(self, block: bytes) -> bytes:
        """Returns a block with the lines that are not UTF-8 read as Windows-1252."""
        lines = block.split(b"\n")
        odd = [number for number, line in enumerate(lines) if not _is_utf8(line)]
        for number in odd:
            lines[number] = lines[number].decode("cp1252", errors="replace").encode()
        self._warn("text-encoding", _GUESSED, len(odd))
        return b"\n".join(lines)

    def _warn(self, code: str, message: str, count: int = 1) -> None:
        self.warnings.add(code, message, count, self._path)

    def _decompressed(self, source: pa.NativeFile) -> pa.NativeFile:
        """Returns the text of a file; its first bytes show its compression, whatever its name says."""
        first = source.read(4)
        source.seek(0)
        name = self._path.lower()
        found = next((one for magic, one in _COMPRESSIONS.items() if first.startswith(magic)), None)
        if found is None:
            if name.endswith((".gz", ".zst")):
                self._warn("file-kind", "a file that is named as compressed, but is not, was read")
            return source
        compression, ending = found
        if not name.endswith(ending):
            self._warn("file-kind", f"a file that is compressed by {compression}, but not named *{ending}, was read")
        return pa.CompressedInputStream(source, compression)

    def _parsed(self, block: bytes, options: pa.csv.ConvertOptions) -> pa.RecordBatch:
        if not _quotes_are_placed_well(block, self._separator):
            raise self._explained("quotes that are not paired")
        if not block.strip(b"\r\n"):
            return pa.record_batch({name: pa.array([], TEXT) for name in options.include_columns or self.names})
        if not block.endswith((b"\n", b"\r")):
            block += b"\n"  # without it Arrow reads a last unquoted empty value as "" (pyarrow 26)
        read = pa.csv.ReadOptions(column_names=self.names, block_size=len(block) + 1)
        parse = pa.csv.ParseOptions(newlines_in_values=True, delimiter=self._separator.decode())
        try:
            table = pa.csv.read_csv(pa.BufferReader(block), read, parse, options)
        except pa.ArrowInvalid as error:
            if not _is_utf8(block):
                self._block = self._in_utf8(block)
                return self._parsed(self._block, options)
            raise self._explained(" ".join(str(error).split())) from error
        return table.combine_chunks().to_batches()[0]

    def _explained(self, otherwise: str) -> BadData:
        """Returns the error for the first row of the block that is not CSV, found by a slow scan; `otherwise` if there is none.

        Raises:
            BadData: a quote is unclosed or misplaced.
        """
        width = len(self.names)
        for number, row in enumerate(self._rows(), start=self._first_row + 1):
            where = f"{self._path}: row {number} (line {row.line})"
            if len(row.values) != width:
                return BadData(
                    f"{where}: has {len(row.values)} values, but there are {width} columns: write the file again"
                )
        return BadData(f"{self._path}: is not CSV: {otherwise}: write it again")

    def _rows(self) -> Iterator[_Row]:
        """Yields each row of the block.

        Raises:
            BadData: a quote is unclosed or misplaced.
        """
        line, number, start = self._first_line, self._first_row, 0
        while start < len(self._block):
            values: list[bytes] = []
            end, sign = start, self._separator
            while sign == self._separator:
                found = _VALUES[self._separator].match(self._block, end)
                if found is None:
                    raise self._wrong_quote(number + 1, line, len(values), end)
                value, sign = found.groups()
                values.append(value)
                end = found.end()
                if len(values) * COLUMN_BYTES > most_bytes():
                    where = f"{self._path}: row {number + 1} (line {line})"
                    raise too_large(where, f"a row of more than {len(values) - 1} values", "write fewer columns")
            if values != [b""]:
                number += 1
                yield _Row(line, values, end)
            text = self._block[start:end]
            line += text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
            start = end

    def _wrong_quote(self, row: int, line: int, column: int, start: int) -> BadData:
        where = f"row {row} (line {line})" if self.names else "row of column names"
        name = self.names[column] if column < len(self.names) else column + 1
        value = re.split(rb"[%b\r\n]" % self._separator, self._block[start : start + 400], maxsplit=1)[0]
        return BadData(
            f"{self._path}: {where}: a quote is not closed, or stands in the wrong place: column {name} has "
            f"{quoted(value.decode(errors='replace'))}: a value with quotes in it is accepted in quotes, those inside doubled: "
            "write the file again"
        )


def _refuse_other_kinds(path: str, first: bytes) -> None:
    for beginning, kind in _OTHER_KINDS.items():
        if first.startswith(beginning):
            raise BadData(f"{path}: is, once decompressed, {kind}: write the file again")


def _unquoted(value: bytes) -> bytes:
    return value[1:-1].replace(b'""', b'"') if value.startswith(b'"') else value


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _end_of_rows(block: bytes) -> int:
    """Returns where the last whole row ends: after the last line end before which the quotes are paired; 0 if there is none."""
    newline = _LINE_FEED if b"\n" in block else _RETURN
    text, end = np.frombuffer(block, np.uint8), len(block)
    is_odd = bool(_count(block, _QUOTE, 0, end) % 2)
    while end:
        start = max(0, end - _PIECE)
        piece = text[start:end]
        is_quote = piece == _QUOTE
        is_odd ^= bool(np.count_nonzero(is_quote) % 2)
        ends = np.flatnonzero((piece == newline) > _is_odd_up_to(is_quote, is_odd))
        if len(ends):
            return start + int(ends[-1]) + 1
        end = start
    return 0


def _quotes_are_placed_well(block: bytes, separator: bytes, *, is_whole: bool = True) -> bool:
    """Whether each pair of quotes encloses a value, or part of one between doubled quotes; in whole rows, also whether all are paired.

    Arrow would read ``"1"2`` as 12, and ``"1`` at the end of a file as 1.
    """
    text = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    is_inside = False
    for start in range(1, len(text) - 1, _PIECE):
        seen = text[start - 1 : min(start + _PIECE, len(text) - 1) + 1]
        is_quote = seen == _QUOTE
        may_be_beside = is_quote | (seen == separator[0]) | (seen == _LINE_FEED) | (seen == _RETURN)
        is_quote = is_quote[1:-1]
        opens = _is_odd_up_to(is_quote, is_inside)
        # For booleans, a > b means: a and not b.
        if ((is_quote & opens) > may_be_beside[:-2]).any() or ((is_quote > opens) > may_be_beside[2:]).any():
            return False
        is_inside = bool(opens[-1])
    return not (is_inside and is_whole)


def _is_odd_up_to(flags: np.ndarray, carry: bool) -> np.ndarray:
    """Returns for each position whether the number of flags up to it, with `carry` before the first, is odd.

    It processes 64 flags at a time: counting them one by one would cost as much as parsing the text.
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
    """Counts a byte: 8 times as fast as bytes.count where the byte is frequent."""
    text = np.frombuffer(data, np.uint8)[start:end]
    return sum(int(np.count_nonzero(text[at : at + _PIECE] == byte)) for at in range(0, len(text), _PIECE))


def _lines(text: bytes) -> int:
    """Counts the line ends, of the kind that the text has."""
    return _count(text, _LINE_FEED, 0, len(text)) or _count(text, _RETURN, 0, len(text))
