"""Shapes of the arrays that analytics work on, days in the calendar, and statistics that leave out what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TINY = 1e-9
"""Costs below are none: nothing is divided by them."""
MAD_TO_DEVIATION = 1.4826
"""The standard deviation of normally distributed values over the median of their absolute deviations."""


@dataclass(frozen=True)
class Calendar:
    """Consecutive days, each with its place in month and week."""

    dates: NDArray[np.datetime64]

    @classmethod
    def starting(cls, first_day: date, count: int) -> Self:
        """Return `count` days from `first_day` on."""
        return cls(np.datetime64(first_day, "D") + np.arange(count))

    def __getitem__(self, part: slice) -> Self:
        return type(self)(self.dates[part])

    @property
    def month(self) -> Integers:
        """Months since January 1970."""
        return self.dates.astype("M8[M]").astype(np.int64)

    @property
    def day_of_month(self) -> Integers:
        """1 to 31."""
        return np.asarray((self.dates - self.dates.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1)

    @property
    def is_last_of_month(self) -> Flags:
        """Tell the last day of each month."""
        return np.asarray((self.dates + 1).astype("M8[M]") != self.dates.astype("M8[M]"))

    @property
    def weekday(self) -> Integers:
        """0 for Monday to 6 for Sunday."""
        return (self.dates.astype(np.int64) + 3) % 7


def median(values: Floats) -> Floats:
    """Return the medians along the last axis of what is a number; NaN where none is."""
    ordered = np.sort(values, axis=-1)
    size = values.shape[-1]
    if not np.isnan(ordered[..., -1:]).any():  # what is no number would be last
        return np.asarray((ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / 2)
    count = np.sum(~np.isnan(ordered), axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, size - 1)
    picked = [np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0] for place in (low, high)]
    return np.asarray((picked[0] + picked[1]) / 2)


def mean(values: Floats) -> Floats:
    """Return the means along the last axis of what is a number; NaN where none is."""
    count = np.sum(~np.isnan(values), axis=-1)
    return np.where(count > 0, np.nansum(values, axis=-1) / np.maximum(count, 1), np.nan)


def deviation(values: Floats) -> Floats:
    """Return a robust standard deviation along the last axis: from the median of absolute deviations from zero."""
    return MAD_TO_DEVIATION * median(np.abs(values))


def centred_median(values: Floats, width: int) -> Floats:
    """Return the running medians of `width` days (an odd number) around each; the first and last window serve the edges."""
    width = min(width, values.shape[-1] - 1 + values.shape[-1] % 2)
    windows = median(np.lib.stride_tricks.sliding_window_view(values, width, axis=-1))
    return np.pad(windows, ((0, 0), (width // 2, width // 2)), mode="edge")
