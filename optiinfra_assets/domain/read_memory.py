"""Says how much memory the reading of one file or one answer may take: one bound for all readers, whatever they read.

Readers check sizes before they decompress and decode, because a file of some kB may stand for many GB. The bound is of one process and set
once, from ``OPTIINFRA_READ_MEMORY``, by whoever calls providers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

from optiinfra_assets.domain.errors import BadData

SETTING: Final = "OPTIINFRA_READ_MEMORY"
DEFAULT_BYTES: Final = 512 << 20
COLUMN_BYTES: Final = 64 << 10
"""What a column of a file takes in any case; it bounds how many are accepted."""
OBJECT_BYTES: Final = 128
"""What each value of JSON, and each element of XML, takes once parsed: a number, a key and a place in a dict, or an object."""
_LONGEST_KEPT: Final = 4096
_MOST_KEPT: Final = 10_000

T = TypeVar("T")

_bytes = DEFAULT_BYTES


def most_bytes() -> int:
    """Returns the bytes that one batch of rows, or one answer, may take decoded."""
    return _bytes


def set_most_bytes(count: int) -> None:
    """Sets what `most_bytes` returns, for all threads of this process."""
    global _bytes
    _bytes = count


def too_large(where: str, what: str, remedy: str) -> BadData:
    """Returns the error for something that would exceed the bound.

    Args:
        where: file or request, and column or row if known.
        what: what is too large, with its size, such as ``a page of 1500 MiB``.
        remedy: what to do besides raising the bound.
    """
    return BadData(
        f"{where}: {what} needs more memory than the {_bytes >> 20} MiB that {SETTING} allows: {remedy}, or raise {SETTING}"
    )


def kept_if_short(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Returns `convert` with a cache of its last results for short texts: the number of results alone would not bound their memory."""
    kept = lru_cache(maxsize=_MOST_KEPT)(convert)

    @wraps(convert)
    def converted(text: str) -> T:
        return kept(text) if len(text) <= _LONGEST_KEPT else convert(text)

    return converted
