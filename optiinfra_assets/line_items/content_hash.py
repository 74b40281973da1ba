"""A hash of line items as a multiset, computed over their batches as they pass: neither their order nor the size of batches matters.

Each value becomes a 64-bit number that depends on its column too. Their sum over the columns stands for a row, and two sums over all
rows, of that number mixed in two ways (modulo 2 to the 64), for the whole. A null adds nothing, so a column that FOCUS gains later
changes no hash of line items that lack it. The hash tells deliveries apart; it does not stop somebody who makes two that are alike on
purpose.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORM: Final = "v2:"
"""Begins every hash of this form. One without it was computed by ClickHouse from rows that it had stored, as up to version 0.1.0."""

LONG: Final = 256
"""Bytes above which a text is hashed by itself: the texts of a column are read together, in as many steps as the longest one needs."""

Words = npt.NDArray[np.uint64]

_MASK: Final = 2**64 - 1
_FIRST_BYTES: Final = np.array([2 ** (8 * count) - 1 for count in range(9)], np.uint64)
"""Keeps that many bytes of a little-endian word."""


class ContentHash:
    """The hash of the batches that were added."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = [0, 0]

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch of `optiinfra_assets.line_items.schema.SCHEMA`."""
        self._rows += batch.num_rows
        rows = np.zeros(batch.num_rows, np.uint64)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count < len(column):
                rows += _hashed(column, _salt(name))
        for at, words in enumerate((_mixed(rows), _mixed(rows ^ _salt("second sum")))):
            self._sums[at] = (self._sums[at] + int(words.sum(dtype=np.uint64))) & _MASK

    def __str__(self) -> str:
        """``v2:``, the number of line items, and 32 hexadecimal digits."""
        return f"{FORM}{self._rows}:{self._sums[0]:016x}{self._sums[1]:016x}"


def _hashed(column: pa.Array, salt: np.uint64) -> Words:
    """Return a number for each value of a column, 0 for null."""
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()  # also the ids of a batch repeat, for each hour and SKU
    if pa.types.is_dictionary(column.type):
        with_null: Words = np.append(_of_texts(column.dictionary, salt), np.uint64(0))
        at: npt.NDArray[np.int32] = column.indices.fill_null(len(column.dictionary)).to_numpy()
        return with_null[at]
    if pa.types.is_map(column.type):
        return _of_maps(column, salt)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    hashed = np.full(len(column), salt)
    for words in _stored(column).T:
        hashed = _mixed(hashed ^ words)
    return _without_nulls(hashed, column)


def _stored(column: pa.Array) -> Words:
    """Return the 64-bit words in which Arrow stores each value of a column of fixed width; shape (rows, words)."""
    words = column.type.bit_width // 64
    stored = np.frombuffer(column.buffers()[1], np.uint64, (column.offset + len(column)) * words)
    return stored.reshape(-1, words)[column.offset :]


def _of_texts(texts: pa.Array, salt: np.uint64) -> Words:
    """Hash UTF-8 eight bytes at a time, all texts together."""
    size = texts.offset + len(texts) + 1
    bounds = np.frombuffer(texts.buffers()[1], np.int32, size)[texts.offset :].astype(np.int64)
    starts, lengths = bounds[:-1], np.diff(bounds)
    content = _words_at_each_byte(texts.buffers()[2])
    hashed = _mixed(salt ^ lengths.astype(np.uint64))
    for at in range(0, min(int(lengths.max(initial=0)), LONG), 8):
        going = np.flatnonzero(lengths > at)
        words = content[starts[going] + at] & _FIRST_BYTES[np.minimum(lengths[going] - at, 8)]
        hashed[going] = _mixed(hashed[going] ^ words)
    for long in np.flatnonzero(lengths > LONG).tolist():
        hashed[long] ^= _digest(texts[long].as_py())
    return _without_nulls(hashed, texts)


def _words_at_each_byte(content: pa.Buffer | None) -> Words:
    """Return the eight bytes from each position on, beyond the end zeros, without copying them eight times."""
    padded = np.zeros((content.size if content else 0) + 8, np.uint8)
    if content:
        padded[:-8] = np.frombuffer(content, np.uint8)
    return np.ndarray((len(padded) - 7,), np.uint64, padded.data, strides=(1,))


def _of_maps(column: pa.Array, salt: np.uint64) -> Words:
    """Add up the entries of each map, as their order does not matter. An empty map is stored like a missing one, and adds nothing too."""
    bounds = column.offsets.to_numpy()
    first, last = bounds[0], bounds[-1]
    keys, values = column.keys[first:last], column.items[first:last]
    until = np.zeros(len(keys) + 1, np.uint64)
    np.cumsum(_mixed(_hashed(keys, salt) + _mixed(_hashed(values, ~salt))), out=until[1:])
    return _without_nulls(until[bounds[1:] - first] - until[bounds[:-1] - first], column)


def _without_nulls(hashed: Words, column: pa.Array) -> Words:
    return np.where(column.is_valid().to_numpy(zero_copy_only=False), hashed, 0) if column.null_count else hashed


@cache
def _salt(name: str) -> np.uint64:
    return _digest(name)


def _digest(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()))


def _mixed(words: Words) -> Words:
    """Spread each bit over all 64: the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
