"""Adds up what an answer takes in memory while it comes, after decompression, and refuses it before it takes more than allowed."""

from __future__ import annotations

from typing import Final

from optiinfra_assets.domain.read_memory import OBJECT_BYTES, most_bytes, too_large

_STARTS: Final = (b"{", b"[", b"<")
_BEFORE: Final = b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"
"""White space and byte order marks before a text."""


class AnswerSize:
    """The size of one answer, whichever client reads it."""

    def __init__(self, where: str) -> None:
        """Begins at zero; `where` is the request, without a secret, for the message."""
        self._where = where
        self._bytes = 0
        self._is_parsed: bool | None = None

    def add(self, data: bytes) -> None:
        """Adds the next decompressed bytes.

        Raises:
            BadData: the answer takes more than `read_memory.most_bytes`, as it is or once parsed.
        """
        self._bytes += len(data)
        if self._is_parsed is None and (text := data.lstrip(_BEFORE)):
            self._is_parsed = text.startswith(_STARTS)
        if self._is_parsed:
            self._bytes += OBJECT_BYTES * sum(map(data.count, (b",", *_STARTS)))
        if self._bytes > most_bytes():
            raise too_large(self._where, "the answer", "let the provider answer in smaller parts, such as fewer days")
