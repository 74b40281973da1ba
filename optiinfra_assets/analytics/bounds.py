"""Bounds of forecasts from the errors of earlier ones, pooled over series and checked against what they would have covered.

Conformal prediction, normalized, on the error of the very sum that is bounded: daily bounds added up are no bounds of a month. Levels
adapt to what the bounds of earlier origins missed (Gibbs and Candès 2021, Adaptive conformal inference under distribution shift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from optiinfra_assets.analytics.arrays import Flags, Floats
from optiinfra_assets.analytics.backtest import relative_median

LEVELS: Final = (0.80, 0.95)
_OWN: Final = 4.0
"""So many origins weighs what is usual for all series in the scale of one."""
_MOST: Final = 20.0
"""An error of more than so many times its present size is of what a series was before it ended or shrank: it tells nothing of today."""
_STEPS: Final = (0.15, 0.3)
"""How far each level moves by what the bounds of one origin missed: the rarer, the farther."""
_POOLED: Final = 24.0
"""So many origins weighs what all series tell of how errors are spread, beside those of a row's own."""
_COMING: Final = 0.5
"""The month to come counts as so much of one that lay beyond all bounds: of few origins none shows how far errors go."""
_PROBABILITIES: Final = np.concatenate([np.linspace(0.02, 0.9, 45), np.linspace(0.905, 1.0, 39)])
_USUAL_SCORES: Final = (0.05, 0.15, 0.25, 0.35, 0.45, 0.6, 0.7, 0.85, 1.0, 1.15, 1.3, 1.6, 1.9, 2.3, 3.0, 4.5)
"""Errors over their usual size, where few are measured: they stand beside those that are."""


@dataclass(frozen=True)
class Bounds:
    """Half widths and what they would have covered, one row a series."""

    half: Floats
    """Series x level of `LEVELS`: how far the bounds lie from what is expected."""
    covered: Floats
    """Series x level: the part of origins whose total lay within bounds made from the others; NaN where none is known."""
    pooled: Floats
    """The same over all series that cost something now, one a level."""


def bounds(errors: Floats, level: Floats, pool: int, common: int = 0) -> Bounds:
    """Return bounds of what has the `errors` (series x origins, newest first; NaN where unknown) and the size `level` (series).

    The first `pool` rows are told from, if they cost something now; so what else is asked for (groups of them) changes no bound. An
    origin shares days with so many others before and after it as `common` says. It is not judged by them: a step in such days would be
    known before it came.
    """
    usual = relative_median(errors[:pool], level[:pool])
    sizes = np.abs(errors)
    known = sizes <= _MOST * level[:, None]
    least = usual * level[:, None] + 1e-12
    capped = np.where(known, np.minimum(np.nan_to_num(sizes), 20 * least), 0.0)
    count, total = known.sum(axis=1, keepdims=True), capped.sum(axis=1, keepdims=True)
    scale = (total + _OWN * least) / (count + _OWN)
    others = (total - _nearby(capped, common) + _OWN * least) / (count - _nearby(known, common) + _OWN)
    scores = np.where(known, sizes / others, np.nan)
    half, covered, pooled = [], [], []
    pool_of = np.where(level[:pool, None] > 0, scores[:pool], np.nan)
    grid = _quantiles(pool_of, _PROBABILITIES)
    at_most = _counts(scores, grid) + _POOLED * _PROBABILITIES
    less = scores.argsort(axis=1).argsort(axis=1) + _POOLED * np.interp(scores, grid, _PROBABILITIES)
    for wanted, step in zip(LEVELS, _STEPS, strict=True):
        missed = 1 - wanted
        part = 1 - max(_adapted(pool_of, missed, step) - _for_common_errors(pool_of, missed), 0.001)
        enough = at_most >= part * (count + _POOLED + _COMING)
        enough[:, -1] = True
        half.append(grid[enough.argmax(axis=1)] * scale[:, 0])
        inside = np.where(known, less < part * (count - 1 + _POOLED), np.nan)
        covered.append(_mean(inside, axis=1))
        pooled.append(float(_mean(inside[:pool][level[:pool] > 0])))
    return Bounds(np.maximum.accumulate(np.stack(half, axis=1), axis=1), np.stack(covered, axis=1), np.array(pooled))


def _nearby(values: Floats | Flags, common: int) -> Floats:
    """Return the sums of each origin and those that share days with it."""
    padded = np.pad(values.astype(np.float64), ((0, 0), (common, common)))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * common + 1, axis=1).sum(axis=-1))


def _counts(scores: Floats, grid: Floats) -> Floats:
    """Return row x grid: how many scores of a row are at most so large."""
    counts = np.zeros((len(scores), len(grid) + 1))
    row, place = np.nonzero(~np.isnan(scores))
    np.add.at(counts, (row, np.searchsorted(grid, scores[row, place])), 1)
    return np.asarray(np.cumsum(counts, axis=1)[:, :-1])


def _quantiles(scores: Floats, parts: Floats) -> Floats:
    found = scores[~np.isnan(scores)]
    return np.asarray(np.quantile(np.concatenate([found, _USUAL_SCORES]), parts))


def _quantile(scores: Floats, missed: float) -> float:
    return float(_quantiles(scores, np.array(1 - max(missed, 0.001))))


def _adapted(scores: Floats, missed: float, step: float) -> float:
    """Walk from the oldest origin to the newest: bounds from those before it miss too much or too little, and the level follows."""
    level = missed
    for place in range(scores.shape[1] - 3, -1, -1):
        now = scores[:, place][~np.isnan(scores[:, place])]
        before = scores[:, place + 1 :]
        if now.size >= 8 and np.sum(~np.isnan(before)) >= 8:
            level += step * (missed - float(np.mean(now > _quantile(before, np.clip(level, 0.002, 0.9)))))
    return float(np.clip(level, missed / 10, 3 * missed))


def _for_common_errors(scores: Floats, missed: float) -> float:
    """Return what to take from the part that may be missed, because series err together in a month and few months are known.

    With few origins at which all series err as one, bounds hold less often than they should: by twelve the loss is a ninth of what may be
    missed. How much they err as one is what the parts missed at the origins vary beyond chance.
    """
    known = ~np.isnan(scores)
    count = known.sum(axis=0)
    judged = count >= 8
    if judged.sum() < 2:
        return 0.0
    parts = np.sum(np.where(known, scores, 0) > _quantile(scores, missed), axis=0)[judged] / count[judged]
    chance = missed * (1 - missed)
    together = max(float(np.var(parts, ddof=1)) - float(np.mean(chance / count[judged])), 0.0) / chance
    return missed * min(3 * together, 1.0) * min(16 / int(judged.sum()) ** 2, 0.75)


def _mean(values: Floats, axis: int | None = None) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    return np.asarray(np.where(count > 0, np.nansum(values, axis=axis) / np.maximum(count, 1), np.nan))
