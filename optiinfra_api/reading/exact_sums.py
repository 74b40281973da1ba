"""Exact sums of decimals in memory: their parts of 32 bits are added as doubles, which hold such sums exactly below 2**53."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]
DIGITS: Final = 18
"""Fraction digits of a cost."""


class Sums:
    """Exact sums of costs by group and bucket."""

    def __init__(self, cells: Ints, shape: tuple[int, int], limbs: Sequence[Ints | None]) -> None:
        """
        Args:
            cells: the cell of each row: the number of its group, times the number of buckets, and that of its bucket.
            shape: how many groups and buckets there are.
            limbs: of the costs of rows, 32 bits each, lowest first; None: all are 0.
        """
        self.shape, self._cells = shape, cells
        self._limbs = [
            np.bincount(cells, weights=limb, minlength=shape[0] * shape[1]).reshape(shape)
            if limb is not None and limb.any()
            else None
            for limb in limbs
        ]

    @cached_property
    def _is_there(self) -> Ints:
        return np.bincount(self._cells, minlength=self.shape[0] * self.shape[1]).reshape(self.shape) > 0

    def totals(self) -> list[int]:
        """The sum of each group."""
        return _joined([None if limb is None else limb.sum(axis=1) for limb in self._limbs], self.shape[0])

    def points(self, groups: Sequence[int]) -> int:
        """How many buckets of `groups` have rows."""
        return len(groups) if self.shape[1] == 1 or not groups else int(self._is_there[groups].sum())

    def of_groups(self, groups: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the buckets of each of `groups` that have rows, and their sums."""
        chosen = np.array(groups, np.int64)
        is_there = self._is_there[chosen]
        buckets = is_there.nonzero()[1].tolist()
        sums = _joined([None if limb is None else limb[chosen][is_there] for limb in self._limbs], len(buckets))
        start = 0
        for end in np.cumsum(is_there.sum(axis=1)).tolist():
            yield buckets[start:end], sums[start:end]
            start = end


def _joined(limbs: Sequence[Ints | None], length: int) -> list[int]:
    """The whole numbers of which `limbs` are each 32 bits, lowest first; None: all are 0."""
    whole = [0] * length
    for place, limb in enumerate(limbs):
        if limb is not None:
            parts = limb.astype(np.int64).tolist()
            whole = [one + (part << 32 * place) for one, part in zip(whole, parts, strict=True)]
    return whole


def counted(groups: Ints, number: int, weights: Ints) -> list[int]:
    """The sum of whole numbers by group."""
    return [int(one) for one in np.bincount(groups, weights=weights, minlength=number).tolist()]


def written(amount: int, digits: int = DIGITS) -> str:
    """An amount in units of 10**-`digits` as ClickHouse writes it: without zeros at its end."""
    text = str(abs(amount)).zfill(digits + 1)
    fraction = text[-digits:].rstrip("0")
    whole = text[:-digits] if not fraction else f"{text[:-digits]}.{fraction}"
    return f"-{whole}" if amount < 0 else whole
