"""Counts values that were read although they are not written as FOCUS says, with the first one, so that nothing is silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from optiinfra_assets.domain.quoting import quoted


@dataclass(frozen=True, slots=True)
class Irregularity:
    """Values of one column in one batch that were read in the same lenient way.

    Attributes:
        code: stable name of the way, such as ``number-form``.
        message: what was done with the values, as a sentence; names the column.
        count: number of rows.
        index: position of the first in the batch, from 0.
        value: the first value as it was delivered, on one line.
    """

    code: str
    message: str
    count: int
    index: int
    value: str


class Irregularities:
    """Collects irregularities of one batch after another. Not thread-safe."""

    def __init__(self) -> None:
        self._found: list[Irregularity] = []

    def add(self, code: str, message: str, rows: Any, values: pa.Array) -> None:
        """Add the rows in which the mask `rows` (booleans, null counts as false) is true; adds nothing if none is."""
        mask = rows if isinstance(rows, np.ndarray) else rows.fill_null(False).to_numpy(zero_copy_only=False)
        count = int(np.count_nonzero(mask))
        if count:
            first = int(np.argmax(mask))
            self._found.append(Irregularity(code, message, count, first, quoted(values[first].as_py())))

    def drain(self) -> Iterator[Irregularity]:
        """Return what was added since the last call, and forget it."""
        found, self._found = self._found, []
        return iter(found)
