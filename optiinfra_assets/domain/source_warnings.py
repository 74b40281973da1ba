"""Warnings about a source: what it lacks, what was skipped, and what was read although it is not quite what is documented.

A warning never changes an amount: costs that would be wrong are refused instead. Providers and normalization add warnings to the
`SourceWarnings` of a stream or a probe. They are stored with the generation and the collection, and shown wherever these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

MOST_WARNINGS: Final = 100
"""Most different warnings that are kept; any more are counted together, so that a folder of strange files fills no page."""
FURTHER_WARNINGS: Final = "further-warnings"
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class SourceWarning:
    """One warning.

    Attributes:
        code: stable name for programs, in lower case with hyphens, such as ``file-skipped``.
        message: what happened and what follows from it; one line without secrets.
        count: how many times it happened.
        example: where it happened first: file, row, column, value; '' if there is nothing to name.
    """

    code: str
    message: str
    count: int = 1
    example: str = ""

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.message}{times}{f': {self.example}' if self.example else ''}"

    def values(self) -> dict[str, Any]:
        """Return it as a JSON object; `of` reads it back."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> SourceWarning:
        """Build it from `values`; the count may be text, as in the sources of a publication."""
        return cls(values["code"], values["message"], int(values["count"]), values["example"])


class SourceWarnings:
    """Collects warnings in the order in which they first came. Not thread-safe."""

    def __init__(self, warnings: Iterable[SourceWarning] = ()) -> None:
        self._found: dict[tuple[str, str], SourceWarning] = {}
        self.extend(warnings)

    def add(self, code: str, message: str, count: int = 1, example: str = "") -> None:
        """Add a warning; if the same code and message was added before, only its count grows."""
        key = (code, message[:_LONGEST])
        if key not in self._found and len(self._found) >= MOST_WARNINGS:
            key = (
                FURTHER_WARNINGS,
                f"there were more than {MOST_WARNINGS} different warnings; the others are only counted",
            )
        known = self._found.get(key)
        self._found[key] = (
            replace(known, count=known.count + count) if known else SourceWarning(*key, count, example[:_LONGEST])
        )

    def extend(self, warnings: Iterable[SourceWarning]) -> None:
        """Add all of `warnings`."""
        for one in warnings:
            self.add(one.code, one.message, one.count, one.example)

    def __iter__(self) -> Iterator[SourceWarning]:
        return iter(tuple(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)
