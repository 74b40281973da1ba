"""What was expected of all series of a customer on one day, with its band, and what came; as bytes, to store it."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.anomalies import Judgement, Kind
from optiinfra_assets.analytics.arrays import TINY, Flags, Floats
from optiinfra_assets.domain.anomalies import UsageKey

_ARRAYS: Final = ("cost", "expected", "lower", "upper", "kind", "score", "is_final")
_SAME: Final = 1e-9
"""Sums of binary fractions differ by so much with the order in which they are added."""


class DayOfSeries(NamedTuple):
    """One day of one series; the band is NaN where the series was too young."""

    cost: float
    expected: float
    lower: float
    upper: float
    kind: Kind


@dataclass(frozen=True)
class Expectations:
    """One day of all series of a customer; one element a series."""

    keys: Sequence[UsageKey]
    cost: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    kind: NDArray[np.int8]
    score: Floats
    is_final: Flags

    @classmethod
    def of(cls, keys: Sequence[UsageKey], cost: Floats, found: Judgement, is_final: Flags) -> Self:
        """Return what was found for series; what is not final has neither cost nor alarm."""
        shown = np.where(is_final, cost, np.nan)
        return cls(keys, shown, found.expected, found.lower, found.upper, found.kind, found.score, is_final)

    def says_the_same(self, keys: Sequence[UsageKey], cost: Floats, is_final: Flags) -> bool:
        """Tell whether the same days are final of the same series, and cost the same; a series that is not there costs nothing."""
        known = dict(zip(self.keys, np.where(self.is_final, self.cost, np.nan), strict=True))
        now = dict(zip(keys, np.where(is_final, cost, np.nan), strict=True))
        before, after = (
            np.array([values.get(key, 0.0) for key in {**known, **now}], dtype=np.float64) for values in (known, now)
        )
        is_nan = np.isnan(before)
        if not np.array_equal(is_nan, np.isnan(after)):
            return False
        return bool(np.all(np.isclose(before[~is_nan], after[~is_nan], rtol=_SAME, atol=TINY)))

    def day_of(self, key: UsageKey) -> DayOfSeries | None:
        """Return the day of one series if it is final; None if not, or if it is not there."""
        if key not in self.keys:
            return None
        place = self.keys.index(key)
        if not self.is_final[place]:
            return None
        cost, expected, lower, upper = (
            float(array[place]) for array in (self.cost, self.expected, self.lower, self.upper)
        )
        return DayOfSeries(cost, expected, lower, upper, Kind(int(self.kind[place])))

    def to_bytes(self) -> bytes:
        """Return it as bytes; the band keeps seven digits."""
        arrays: dict[str, NDArray[np.generic]] = {"cost": self.cost, "kind": self.kind, "is_final": self.is_final}
        small: Mapping[str, Floats] = {name: getattr(self, name) for name in ("expected", "lower", "upper", "score")}
        arrays |= {name: values.astype(np.float32) for name, values in small.items()}
        names = np.frombuffer(json.dumps(self.keys).encode(), np.uint8)
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, names=names, **arrays)
        return zlib.compress(body.getvalue(), 1)

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Return what `to_bytes` made bytes of."""
        with np.load(io.BytesIO(zlib.decompress(body)), allow_pickle=False) as arrays:
            keys = [UsageKey(*key) for key in json.loads(arrays["names"].tobytes())]
            found = {name: arrays[name] for name in _ARRAYS}
        for name in ("expected", "lower", "upper", "score"):
            found[name] = found[name].astype(np.float64)
        return cls(keys, **found)
