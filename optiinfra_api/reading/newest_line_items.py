"""The newest line items of some generations in memory, as ClickHouse wrote them: the first pages of them need no statement.

The rows of a page are the first ones of all generations in one order, so those of a page are among the first ones of each. Where not all
line items of a generation are held, an answer ends before the last that is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from optiinfra_api.reading.column_table import Count
from optiinfra_api.reading.cost_query import END_DAY, FIRST_DAY

HELD: Final = 1024
"""Line items of one generation that are held: more than the longest page has."""
WHOLE: Final[Mapping[str, Any]] = {
    "start": FIRST_DAY,
    "end": END_DAY,
    "first_period": FIRST_DAY,
    "last_period": END_DAY,
    "has_after": 0,
}
"""What ``line_items.sql`` binds for the first page of any days."""
_OVERHEAD_BYTES: Final = 300

_KEY: Final = np.dtype([("before", "i8"), ("generation", "u8"), ("line_number", "i8")])
"""What line items are ordered by: `before` is the negated start of the charge in seconds since 1970."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Generation:
    """The newest line items of a generation, in order.

    Attributes:
        keys: of each.
        lines: each as JSON.
        is_whole: it has no others.
    """

    keys: NDArray[Any]
    lines: tuple[bytes, ...]
    is_whole: bool

    @property
    def size(self) -> int:
        return self.keys.nbytes + sum(len(line) + 41 for line in self.lines) + _OVERHEAD_BYTES


class NewestLineItems:
    """The newest line items of `generations` that some filters accept. It is never changed."""

    def __init__(self, found: Mapping[int, _Generation]) -> None:
        self._found = found
        self.generations = frozenset(found)
        self.size = sum(one.size for one in found.values())

    @classmethod
    def of(cls, answer: bytes, generations: Collection[int]) -> Self:
        """Make one from ClickHouse's answer: the first `HELD` rows of ``line_items.sql`` of each of `generations`, as lines of JSON."""
        lines: dict[int, list[tuple[tuple[int, int, int], bytes]]] = {one: [] for one in generations}
        for line in answer.splitlines():
            row = orjson.loads(line)
            start = datetime.fromisoformat(row["charge_period_start"])
            lines[row["generation"]].append(((-_seconds(start), row["generation"], row["line_number"]), line))
        return cls(
            {
                one: _Generation(
                    np.array([key for key, _ in found], _KEY), tuple(line for _, line in found), len(found) < HELD
                )
                for one, found in lines.items()
            }
        )

    def with_rows_of(self, other: Self, kept: Collection[int]) -> Self:
        """Those of these generations that are in `kept`, and those of `other`."""
        own = {one: found for one, found in self._found.items() if one in kept}
        return type(self)(own | dict(other._found))

    def __len__(self) -> int:
        return sum(len(one.lines) for one in self._found.values())

    def rows(self, values: Mapping[str, Any], count: Count | None = None) -> list[dict[str, Any]] | None:
        """Return what ``line_items.sql`` answers for its bound `values`; None if it may have line items that are not held."""
        first, last = -_seconds(_midnight(values["end"])) + 1, -_seconds(_midnight(values["start"]))
        limit, chosen, bounds = values["limit"], [], []
        for generation in values["generations"]:
            one = self._found[generation]
            begin, end = np.searchsorted(one.keys["before"], [first, last + 1]).tolist()
            if values["has_after"]:
                begin += int(np.count_nonzero(~_is_after(one.keys[begin:end], values)))
            chosen += [
                (key, one.lines[begin + place]) for place, key in enumerate(one.keys[begin:end][:limit].tolist())
            ]
            if not one.is_whole and end == len(one.keys):
                bounds.append(one.keys[-1].item())
        chosen = sorted(chosen)[:limit]
        if bounds and (len(chosen) < limit or chosen[-1][0] > min(bounds)):
            return None
        if count is not None:
            count(len(chosen), size=sum(len(line) + 1 for _, line in chosen))
        return [orjson.loads(line) for _, line in chosen]


def _is_after(keys: NDArray[Any], values: Mapping[str, Any]) -> NDArray[Any]:
    """Which of `keys`, of one generation, come after the position of a page; those that do come last."""
    before = -_seconds(values["after_start"])
    is_next = (keys["generation"] > values["after_generation"]) | (
        (keys["generation"] == values["after_generation"]) & (keys["line_number"] > values["after_line_number"])
    )
    found: NDArray[Any] = (keys["before"] > before) | ((keys["before"] == before) & is_next)
    return found


def _seconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(seconds=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
