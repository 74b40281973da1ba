"""Lets Arrow read a Parquet file page by page, and refuses a page before it is decompressed if the batch would take too much memory.

The sizes in the footer do not suffice: a page may be larger than the footer says, a dictionary of one long value may be referenced by
every row, and some encodings share the beginnings of values. So `PageSource` reads the header of every page that Arrow asks for
(parquet-format, ``PageHeader`` in parquet.thrift), adds up what the pages of a batch may take decoded, and hands over one page at a time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from optiinfra_assets.domain.read_memory import most_bytes

READ_AHEAD_BYTES: Final = 1 << 20
"""Bytes of a column that one request reads."""
USUAL_HEADER_BYTES: Final = 512
LONGEST_HEADER_BYTES: Final = 16 << 20
"""Arrow accepts no longer ones."""
SHORT_DICTIONARY_BYTES: Final = 32
"""In a shorter dictionary page no value is looked for: the page as a whole is short enough to be each of them."""
LEVEL_BYTES: Final = 8
"""What Arrow takes for a value of a list or map besides the value: its levels and its offset."""

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_COUNTS: Final = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
"""Type of page -> field of ``PageHeader`` whose field 1 is the number of values."""
_ENCODING_FIELD: Final = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}
_BY_DICTIONARY: Final = (2, 8)
_BY_BEGINNINGS: Final = 7
"""DELTA_BYTE_ARRAY: a value is the beginning of the one before, and a rest."""
_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_DEEPEST: Final = 16
_LENGTH: Final = struct.Struct("<I")
_AT_ONCE: Final = 64
_SHORT_TEXT_BYTES: Final = 1024
"""Longer texts are not compared, as that copies `_AT_ONCE` times their bytes."""


class PageTooLarge(Exception):
    """The pages that a batch needs may take more memory than allowed.

    Attributes:
        column: name of the column whose page exceeds it.
        size: bytes of the batch together with that page.
    """

    def __init__(self, column: str, size: int) -> None:
        super().__init__(f"column {column}: {size} bytes")
        self.column = column
        self.size = size


class PageHeader(NamedTuple):
    """What counts in the header of a page; sizes are in bytes, `length` is that of the header itself."""

    kind: int
    size: int
    compressed_size: int
    values: int
    encoding: int
    length: int


@dataclass(slots=True)
class _Chunk:
    """A column chunk while it is read, from its first page on."""

    column: str
    start: int
    end: int
    codec: str
    width: int
    """Bytes of a value of fixed width; 0 for text."""
    is_nested: bool
    page_end: int
    longest: int = 0
    """Bytes of the longest value in its dictionary."""
    dictionary_bytes: int = 0
    page: int = 0
    """What the present page takes."""
    batch: int = 0
    """What all its pages for the present batch take."""
    ahead: bytes = b""
    ahead_at: int = 0


class PageSource(io.RawIOBase):
    """A Parquet file for Arrow to read, which knows the batch that is read now."""

    def __init__(self, source: pa.NativeFile, metadata: pq.FileMetaData) -> None:
        super().__init__()
        self._source = source
        self._metadata = metadata
        self._position = 0
        self._rows = 0
        self._chunks: dict[int, _Chunk] = {}
        self._current: list[_Chunk] = []
        self._total = 0
        self.refusal: PageTooLarge | None = None

    def begin_group(self, group: int, rows: int, only: Collection[str] | None) -> None:
        """Prepares reading a row group from its beginning, in batches of `rows`, with the columns in `only`."""
        meta = self._metadata.row_group(group)
        chunks = (self._chunk(meta.column(n), n) for n in range(meta.num_columns))
        self._current = sorted(
            (one for one in chunks if only is None or one.column.partition(".")[0] in only), key=lambda one: one.start
        )
        for one, following in zip(self._current, self._current[1:], strict=False):
            if one.end > following.start:
                raise OSError(f"columns {one.column} and {following.column} overlap")
        self._rows = rows
        self._total = 0
        self.refusal = None

    def begin_batch(self) -> None:
        """Forgets the pages of earlier batches, except those that may reach into the next one."""
        for chunk in self._current:
            chunk.batch = chunk.page
        self._total = sum(chunk.batch + chunk.dictionary_bytes for chunk in self._current)

    def _chunk(self, column: pq.ColumnChunkMetaData, number: int) -> _Chunk:
        start = column.data_page_offset
        if column.has_dictionary_page and 0 < (column.dictionary_page_offset or 0) < start:
            start = column.dictionary_page_offset
        schema = self._metadata.schema.column(number)
        width = _WIDTHS.get(column.physical_type, 0)
        return _Chunk(
            column=column.path_in_schema,
            start=start,
            end=start + column.total_compressed_size,
            codec=column.compression.lower(),
            width=max(schema.length, 0) if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else width,
            is_nested=schema.max_repetition_level > 0,
            page_end=start,
        )

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size()}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Returns at most `size` bytes of one page.

        Raises:
            PageTooLarge: the batch would take too much memory with this page; `refusal` keeps it, as Arrow may hand on another error.
        """
        position = self._position
        chunk = self._chunk_at(position)
        if position == chunk.page_end:
            self._enter(chunk, position)
        data = self._bytes(chunk, position, min(size, chunk.page_end - position))
        self._position += len(data)
        return data

    def _chunk_at(self, position: int) -> _Chunk:
        for chunk in self._current:
            if chunk.start <= position < chunk.end:
                if position <= chunk.page_end:
                    return chunk
                break
        raise OSError(f"nothing is to be read at byte {position}")

    def _enter(self, chunk: _Chunk, position: int) -> None:
        header = self._header(chunk, position)
        body = position + header.length
        end = body + header.compressed_size
        if header.size < 0 or header.compressed_size < 0 or end > chunk.end:
            raise OSError(f"column {chunk.column}: a page at byte {position} does not fit in its column")
        if header.kind == _DICTIONARY:
            self._add(chunk, header.size)
            chunk.dictionary_bytes = header.size
            chunk.batch = 0
            chunk.longest = chunk.width or self._longest(chunk, header, body)
        elif header.kind in _COUNTS:
            chunk.page = self._cost(chunk, header)
            self._add(chunk, chunk.page)
        chunk.page_end = end

    def _add(self, chunk: _Chunk, size: int) -> None:
        chunk.batch += size
        self._total += size
        if self._total > most_bytes():
            self.refusal = PageTooLarge(chunk.column, self._total)
            raise self.refusal

    def _cost(self, chunk: _Chunk, header: PageHeader) -> int:
        """Returns the bytes that a page may take in one batch: decompressed, and its values decoded.

        All values of a page may belong to one row if the column is a list or map.
        """
        values = header.values if chunk.is_nested else min(header.values, self._rows)
        if header.encoding in _BY_DICTIONARY:
            decoded = values * chunk.longest
        elif header.encoding == _BY_BEGINNINGS:
            decoded = values * (chunk.width or header.size)
        else:
            decoded = max(header.size, values * chunk.width)
        return header.size + decoded + (values * LEVEL_BYTES if chunk.is_nested else 0)

    def _longest(self, chunk: _Chunk, header: PageHeader, start: int) -> int:
        """Returns the bytes of the longest text in a dictionary page, or of the whole page if that cannot be read here."""
        if header.size <= SHORT_DICTIONARY_BYTES:
            return header.size
        data = self._bytes(chunk, start, header.compressed_size)
        try:
            if chunk.codec != "uncompressed":
                data = pa.Codec(chunk.codec).decompress(data, header.size, asbytes=True)
        except (pa.ArrowException, OSError, ValueError):
            return header.size
        return min(longest_text(data), header.size)

    def _header(self, chunk: _Chunk, position: int) -> PageHeader:
        size = USUAL_HEADER_BYTES
        while True:
            header = page_header(self._bytes(chunk, position, min(size, chunk.end - position)))
            if header is not None:
                return header
            if size >= min(LONGEST_HEADER_BYTES, chunk.end - position):
                raise OSError(f"column {chunk.column}: no page begins at byte {position}")
            size *= 4

    def _bytes(self, chunk: _Chunk, position: int, size: int) -> bytes:
        """Returns bytes of a chunk, from those that were read ahead as far as they reach."""
        begin = position - chunk.ahead_at
        found = chunk.ahead[begin : begin + size] if 0 <= begin < len(chunk.ahead) else b""
        if len(found) == size:
            return found
        rest = position + len(found)
        missing = size - len(found)
        if missing < READ_AHEAD_BYTES:
            chunk.ahead = self._source.read_at(min(READ_AHEAD_BYTES, chunk.end - rest), rest)
            chunk.ahead_at = rest
            return found + chunk.ahead[:missing]
        data: bytes = self._source.read_at(missing, rest)
        return found + data


def longest_text(data: bytes) -> int:
    """Returns the bytes of the longest text in a dictionary: each comes after its length, of 4 bytes (parquet-format, ``PLAIN``).

    A dictionary may have 100,000 texts, so those of one length, as ids are, are passed over `_AT_ONCE` at a time.
    """
    longest = at = 0
    end = len(data) - 4
    while at <= end:
        (length,) = _LENGTH.unpack_from(data, at)
        if length <= _SHORT_TEXT_BYTES and _have_one_length(data, at, 4 + length):
            longest = max(longest, length)
            at += _AT_ONCE * (4 + length)
            continue
        for _ in range(_AT_ONCE):
            if at > end:
                break
            (length,) = _LENGTH.unpack_from(data, at)
            if length > longest:
                longest = length
            at += 4 + length
    return longest


def _have_one_length(data: bytes, start: int, step: int) -> bool:
    """Whether the `_AT_ONCE` texts from `start` on are `step` bytes apart."""
    texts = data[start : start + _AT_ONCE * step]
    return all(texts[n::step] == texts[n : n + 1] * _AT_ONCE for n in range(4))


def page_header(data: bytes) -> PageHeader | None:
    """Returns the header of a page at the beginning of `data`; None if it is longer than `data`, or not one."""
    reader = _Compact(data)
    try:
        fields = reader.struct(0)
        kind, size, compressed_size = fields[1], fields[2], fields[3]
        about = fields.get(_COUNTS.get(kind, 0), {})
        encoding = about.get(_ENCODING_FIELD.get(kind, 0), 0)
        return PageHeader(kind, size, compressed_size, about.get(1, 0), encoding, reader.at)
    except (IndexError, KeyError, ValueError, AttributeError, TypeError):
        return None


class _Compact:
    """Reads Thrift's compact protocol: whole numbers and structs; other values are skipped."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """Returns the fields of a struct by their ids."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return None
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (3, 7):
            return self._skip(1 if kind == 3 else 8)
        if kind == 8:
            return self._skip(self._varint())
        if depth == _DEEPEST:
            raise ValueError("too deep")
        if kind in (9, 10):
            return self._list(depth + 1)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"type {kind}")

    def _list(self, depth: int) -> None:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        for _ in range(count):
            if head & 15 in (1, 2):
                self._skip(1)
            else:
                self._value(head & 15, depth)

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("too long")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
