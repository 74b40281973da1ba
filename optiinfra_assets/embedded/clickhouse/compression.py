"""Content-Encoding both ways, in pieces: lz4 frames, zstd, gzip and deflate. Brotli is not installed, so it is never agreed on."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import lz4.frame  # type: ignore[import-untyped]

from optiinfra_assets.embedded.clickhouse.errors import EngineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Compressor(Protocol):
    """Compresses one answer."""

    def compress(self, data: bytes) -> bytes:
        """Compressed bytes that are ready; possibly none yet."""

    def flush(self) -> bytes:
        """The rest and the end mark."""


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._head: bytes = self._frame.begin()

    def compress(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        compressed: bytes = head + self._frame.compress(data)
        return compressed

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        rest: bytes = head + self._frame.flush()
        return rest


# The fastest level of each: the other end is on this machine.
COMPRESSORS: dict[str, Callable[[], Compressor]] = {
    "lz4": _Lz4,
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 31),
    "deflate": lambda: zlib.compressobj(1, zlib.DEFLATED, 15),
}
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
}
_CORRUPT = (zlib.error, zstd.ZstdError, RuntimeError, EOFError)


def accepted(header: str) -> str | None:
    """The first encoding of an Accept-Encoding header that can be written; None means none."""
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() in COMPRESSORS and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return name.strip()
    return None


def decompress(encoding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` decoded. Frames that follow each other are one body: clickhouse-connect sends one a block.

    Raises:
        EngineError: an encoding that is not known, or bytes that are not in it.
    """
    if encoding in ("", "identity"):
        return chunks
    if encoding not in _DECOMPRESSORS:
        known = ", ".join(_DECOMPRESSORS)
        raise EngineError.make(
            48, f"Content-Encoding: {encoding!r} is not supported: use {known}", "NOT_IMPLEMENTED"
        )
    return _decompress(encoding, chunks)


def _decompress(encoding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder: Any = None
    for chunk in chunks:
        rest = chunk
        while rest:
            decoder = decoder or _DECOMPRESSORS[encoding]()
            try:
                plain = decoder.decompress(rest)
            except _CORRUPT as error:
                raise EngineError.make(
                    117, f"The body is not {encoding}: {error}", "INCORRECT_DATA"
                ) from None
            rest = b""
            if decoder.eof:
                rest, decoder = decoder.unused_data or b"", None
            if plain:
                yield plain
    if decoder is not None:
        raise EngineError.make(117, f"The {encoding} body ends too early", "INCORRECT_DATA")
