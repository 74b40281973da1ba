"""Marks text in CSV that a spreadsheet would run as a formula; see `domain.spreadsheet_text`.

ClickHouse quotes every text, and doubles quotes inside it. So a quote after a comma, a line end or nothing opens a text if one of the
signs follows it: a quote that closes a text is followed by a comma or a line end.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import numpy as np

from optiinfra_assets.domain.spreadsheet_text import FORMULA_SIGNS, MARK

_OPENING = re.compile(rb"\"(?<=[,\n]\")(?='*+[=+\-@\t\r])")
"""The quote comes first, which is searched for many times faster than what stands before it, and no apostrophe is looked at twice."""

_QUOTE, _MARKS = b'"'[0], MARK.encode()
_SUSPECT = np.isin(np.arange(256), np.frombuffer(f"{FORMULA_SIGNS}{MARK}".encode(), np.uint8))
_OPENED = b'"' + _MARKS
_UNDECIDED = (b'"', _MARKS)
"""What a text may begin with while nobody knows yet whether a spreadsheet would run it."""


async def marked(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of a CSV file with its texts marked. Numbers have no quotes, and times begin with a digit."""
    before, rest = b"\n", bytearray()
    async for chunk in chunks:
        if rest.endswith(_UNDECIDED) and not chunk.strip(_MARKS):
            rest += chunk
            continue
        text = before + rest + chunk
        cut = max(1, _end_of_whole(text))
        done, rest = text[:cut], bytearray(text[cut:])
        if len(done) > 1:
            before = done[-1:]
            yield _marked(done)[1:]
    if rest:
        yield _marked(before + rest)[1:]


def _end_of_whole(text: bytes) -> int:
    """Where the end of a chunk starts in which the beginning of a text may be cut in two."""
    end = len(text.rstrip(_MARKS))
    if text[end - 1 : end] == b'"':
        end -= 1
    return end - 1 if text[end - 1 : end] in (b",", b"\n") else end


def _marked(text: bytes) -> bytes:
    if not _has_suspects(text):
        return text
    return _OPENING.sub(_OPENED, text)


def _has_suspects(text: bytes) -> bool:
    """Whether a sign follows a quote anywhere: it costs a tenth of the search for the exact places, and most files have none."""
    found = np.frombuffer(text, np.uint8)
    return bool(((found[:-1] == _QUOTE) & _SUSPECT[found[1:]]).any())
