"""Decodes and encodes bodies by Content-Encoding, in pieces: lz4 frames, which clickhouse-connect prefers, or identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lz4.frame  # type: ignore[import-untyped]

from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError


class Lz4Compressor:
    """Compresses one response into one lz4 frame."""

    def __init__(self) -> None:
        self._frame: Any = lz4.frame.LZ4FrameCompressor()

    def compress(self, data: bytes) -> bytes:
        """Return the compressed bytes that are ready; possibly none of `data` yet."""
        head = b"" if self._frame.started() else self._frame.begin()
        return bytes(head + self._frame.compress(data))

    def flush(self) -> bytes:
        """Return the remaining bytes and the end mark, after at least one call of `compress`."""
        return bytes(self._frame.flush())


def accepts_lz4(header: str) -> bool:
    """Whether an Accept-Encoding header accepts lz4; ``q=0`` refuses it."""
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() == "lz4":
            return weight.replace(" ", "") not in ("q=0", "q=0.0")
    return False


def decompress(encoding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decode `chunks`. Several frames in a row are one body: clickhouse-connect sends one frame a block.

    Raises:
        ClickHouseError: the encoding is neither lz4 nor identity, or the bytes are not in that encoding.
    """
    if encoding in ("", "identity"):
        return chunks
    if encoding != "lz4":
        message = f"Content-Encoding: {encoding!r} is not supported: use lz4 or none"
        raise ClickHouseError.make(48, message, "NOT_IMPLEMENTED")
    return _decompress(chunks)


def _decompress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder: Any = None
    for chunk in chunks:
        rest = chunk
        while rest:
            decoder = decoder or lz4.frame.LZ4FrameDecompressor()
            try:
                plain = decoder.decompress(rest)
            except RuntimeError as error:
                raise ClickHouseError.make(117, f"The body is not lz4: {error}", "INCORRECT_DATA") from None
            rest = b""
            if decoder.eof:
                rest, decoder = decoder.unused_data, None
            yield plain
    if decoder is not None:
        raise ClickHouseError.make(117, "The lz4 body ends too early", "INCORRECT_DATA")
