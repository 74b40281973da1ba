"""The error for a value that cannot be stored exactly: where the value is, what it is, what would be accepted."""

from __future__ import annotations

from typing import Any

from optiinfra_assets.domain.quoting import quoted


class RejectedValue(Exception):
    """The first value of a column, in row order, that is not accepted.

    Attributes:
        index: position in the array or batch that was converted, from 0; None if the whole column is rejected.
        value: the value as it was delivered; None for null.
        accepted: what would be accepted, as the end of a sentence.
        column: name of the column as delivered; set by the caller that knows it.
    """

    def __init__(self, index: int | None, value: Any, accepted: str, column: str = "") -> None:
        super().__init__(index, value, accepted, column)
        self.index = index
        self.value = value
        self.accepted = accepted
        self.column = column

    def __str__(self) -> str:
        if self.index is None:
            return f"column {self.column}: {self.accepted}"
        return f"column {self.column}: value {quoted(self.value)} is not accepted: {self.accepted}"
