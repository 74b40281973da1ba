"""Writes the answers of tools: rows in -> JSON text of a bounded size out, which says how much is left out and how to get it.

A language model pays for each byte that it reads, and a long answer pushes out what it has to keep in mind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

MAX_ANSWER: Final = 8 * 1024
"""Bytes of one answer, as UTF-8."""

MAX_TEXT: Final = 240
"""Bytes of one text of an answer as JSON: labels come from providers and may be of any length."""

MAX_ERROR: Final = 2000
"""Characters of an error."""

MOST_READ: Final = 1000
"""Rows of one page of GraphQL, beyond which `skip` leads to nothing."""

MAX_TOTALS: Final = 10
"""Currencies of one answer with a total each."""

_CUT: Final = "..."
_LONGEST_LISTS: Final = (500, 200, 100, 50, 20, 10, 5, 2, 1, 0)


def table(
    head: Mapping[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    limit: int,
    skip: int = 0,
    has_more: bool = False,
) -> str:
    """Write the rows from `skip` on, as many of `limit` as fit.

    Args:
        head: what comes before the rows; short.
        columns: their names.
        rows: all that were found, those to be left out among them.
        has_more: there are others, which were not read.
    """
    asked = [[clipped(cell) for cell in row] for row in rows[skip : skip + limit]]

    def written(count: int) -> bytes:
        end = min(skip, len(rows)) + count
        truncated = None
        if end < len(rows) or has_more:
            of = f"more than {len(rows)}" if has_more else len(rows)
            again = f"call again with skip={end}, or " if end < max(len(rows), MOST_READ) else ""
            truncated = {"rows": count, "of": of, "rest": f"{again}narrow by filter or period"}
        return orjson.dumps({**head, "columns": columns, "truncated": truncated, "rows": asked[:count]})

    return _largest(written, len(asked)).decode()


def _largest(written: Callable[[int], bytes], most: int) -> bytes:
    """What is written of as many rows as fit into an answer."""
    found = written(most)
    if len(found) <= MAX_ANSWER:
        return found
    fits, too_many = 0, most
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if len(written(middle)) <= MAX_ANSWER else (fits, middle)
    return written(fits)


def document(content: Any) -> str:
    """Write the answer to a document of the caller's own, with its lists and texts as long as it fits."""
    text = orjson.dumps({"truncated": None, "data": content})
    if len(text) <= MAX_ANSWER:
        return text.decode()
    for most in _LONGEST_LISTS:
        said = (
            f"lists have their first {most} entries, texts {MAX_TEXT} bytes: ask for less, or in pages (first, after)"
        )
        text = orjson.dumps({"truncated": said, "data": clipped(content, most)})
        if len(text) <= MAX_ANSWER:
            return text.decode()
    return orjson.dumps({"truncated": "nothing is shown: ask for fewer fields", "data": None}).decode()


def clipped(value: Any, most: int | None = None) -> Any:
    """`value` with long texts cut, and lists of more than `most` entries (None: of any number)."""
    if isinstance(value, str):
        return _clipped_text(value)
    if isinstance(value, list):
        return [clipped(one, most) for one in value[:most]]
    return {name: clipped(one, most) for name, one in value.items()} if isinstance(value, dict) else value


def _clipped_text(text: str) -> str:
    """A control character takes six bytes in JSON, so characters are not counted."""
    if len(orjson.dumps(text)) <= MAX_TEXT:
        return text
    text = text[:MAX_TEXT]
    while len(orjson.dumps(text)) > MAX_TEXT - len(_CUT):
        text = text[: -max(1, len(text) // 8)]
    return text + _CUT


def error(text: str) -> str:
    """What a tool says of what went wrong."""
    return text if len(text) <= MAX_ERROR else f"{text[:MAX_ERROR]}{_CUT}"
