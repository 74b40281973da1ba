"""Forecasts from earlier days, compared with what came: the weights of rules, and the errors that bounds are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from optiinfra_assets.analytics.arrays import TINY, Calendar, Flags, Floats, median
from optiinfra_assets.analytics.month_days import WINDOW, split
from optiinfra_assets.analytics.usage_model import PRIOR, rules

ORIGINS: Final = 12
"""So many earlier days are forecast from, if there are costs enough."""
SPACING: Final = 28
"""Days from one to the next."""
GRID: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28, 31, 45, 62, 92)
"""Days ahead at which the sum of all days so far is compared."""
DAYS: Final = 31
"""Days ahead of which each is compared by itself."""
MONTH: Final = GRID.index(28)
LEAST_TRAINING: Final = 42
LEAST_OF_SERIES: Final = 28
"""Days that a series has to have before an origin to be judged by it."""
LEAST_MEASURED: Final = 30
"""So many errors of a sum are enough to judge it by them alone."""
USUAL_ERROR: Final = 0.06
"""The error of a month's total, as a part of it, where nothing could be measured."""
_SHRINKAGE = 8.0
"""So many origins weighs what all series tell about rules."""


@dataclass(frozen=True)
class Backtest:
    """Errors (forecast less actual) of series x origins, the newest first; NaN where a series had too few days."""

    sums: Floats
    """Of the sum of the days so far: x grid."""
    days: Floats
    """Of each day: x days ahead."""
    actual: Floats
    """What 28 days cost."""
    weights: Floats
    """Rule x series: what each weighs in the forecast of today."""


def backtest(values: Floats, calendar: Calendar) -> Backtest:
    """Forecast series x days from up to `ORIGINS` earlier days, with weights that the other origins tell."""
    last = values.shape[1] - DAYS
    origins = [last - SPACING * index for index in range(ORIGINS) if last - SPACING * index >= LEAST_TRAINING]
    if not origins:
        return _untested(len(values))
    found = [_from_origin(values, calendar, origin) for origin in origins]
    sums, days = (np.stack([one[part] for one in found], axis=2) for part in (0, 1))
    actual = np.stack([np.sum(values[:, origin : origin + 28], axis=1) for origin in origins], axis=1)
    final, without_own = _weights(_symmetric(sums[..., MONTH], actual))
    return Backtest(
        _longer(np.einsum("rsk,rskg->skg", without_own, sums)),
        np.einsum("rsk,rskg->skg", without_own, days),
        actual,
        final,
    )


def _untested(count: int) -> Backtest:
    weights = np.repeat((PRIOR / PRIOR.sum())[:, None], count, axis=1)
    return Backtest(np.empty((count, 0, len(GRID))), np.empty((count, 0, DAYS)), np.empty((count, 0)), weights)


def by_rule(values: Floats, calendar: Calendar, horizon: int) -> tuple[Floats, Floats]:
    """Return rule x series x day, and series x day of what days of the month bring beside it, for `horizon` days."""
    ahead = Calendar(calendar.dates[-1] + 1 + np.arange(horizon))
    parts = split(values, calendar)
    return rules(parts.rest, parts.with_single_days, horizon), parts.scheduled(ahead)


def _from_origin(values: Floats, calendar: Calendar, origin: int) -> tuple[Floats, Floats]:
    """Return rule x series x grid and rule x series x days ahead: the errors of a forecast that knows the days before `origin`."""
    horizon = min(GRID[-1], values.shape[1] - origin)
    known = slice(max(origin - WINDOW, 0), origin)
    forecast, scheduled = by_rule(values[:, known], calendar[known], horizon)
    errors = forecast + scheduled - values[:, origin : origin + horizon]
    errors[:, np.sum(~np.isnan(values[:, known]), axis=1) < LEAST_OF_SERIES] = np.nan
    summed = np.cumsum(errors, axis=2)
    missing = np.full((*errors.shape[:2], 1), np.nan)
    sums = [summed[:, :, [days - 1]] if days <= horizon else missing for days in GRID]
    return np.concatenate(sums, axis=2), errors[:, :, :DAYS]


def _symmetric(errors: Floats, actual: Floats) -> Floats:
    """Return errors as parts of what was forecast and what came together: 1 at most, however far off a month was."""
    size = np.abs(actual + errors) + np.abs(actual)
    return np.where(size > TINY, np.abs(errors) / np.where(size > TINY, size, 1.0), errors * 0)


def _weights(errors: Floats) -> tuple[Floats, Floats]:
    """Return what rules weigh for a series, and for each of its origins without its own error, by the inverse eighth power of mean
    errors: the best of rules that differ counts alone, and rules that do about as well are averaged.

    `errors` is rule x series x origin. A series leans on what holds for all, the more the fewer origins it has: what many series tell is
    known better than what one does.
    """
    is_known: Flags = ~np.isnan(errors)
    errors = np.where(is_known, errors, 0.0)
    count, total = is_known.sum(axis=2), errors.sum(axis=2)
    own = total / np.maximum(count, 1)
    usual = own.mean(axis=0) + 1e-4
    judged = count[0] > 0
    ratio = (own / usual)[:, judged].mean(axis=1) if judged.any() else np.ones(len(own))
    shared = ratio[:, None] * usual
    final = (total + _SHRINKAGE * shared) / (count + _SHRINKAGE)
    others = (total[..., None] - errors + _SHRINKAGE * shared[..., None]) / (count[..., None] - is_known + _SHRINKAGE)
    return _sharp(final * ratio[:, None]), _sharp(others * ratio[:, None, None])


def _sharp(errors: Floats) -> Floats:
    weights = PRIOR.reshape(-1, *(1,) * (errors.ndim - 1)) / (errors + 1e-5) ** 8
    return np.asarray(weights / weights.sum(axis=0))


def _longer(sums: Floats) -> Floats:
    """Let errors grow with the days where next to no origin is far enough back for the longer sums; else those of nearer ones stay
    unknown."""
    grown = sums.copy()
    for place in range(1, len(GRID)):
        longer = grown[..., place - 1] * GRID[place] / GRID[place - 1]
        grown[..., place] = np.where(np.isnan(grown[..., place]), longer, grown[..., place])
    is_measured = np.sum(~np.isnan(sums), axis=(0, 1)) >= LEAST_MEASURED
    return np.where(is_measured, sums, grown)


def errors_of_window(sums: Floats, start: int, end: int) -> Floats:
    """Return series x origins: the errors of the sum of the days ahead from `start` to before `end`, counted from 0.

    Between the days compared they are interpolated; beyond the last they grow with the days.
    """
    return _sum_until(sums, end) - _sum_until(sums, start)


def _sum_until(sums: Floats, days: int) -> Floats:
    places = (0, *GRID)
    if days >= GRID[-1]:
        return np.asarray(sums[..., -1] * days / GRID[-1])
    after = int(np.searchsorted(places, days, side="right"))
    share = (days - places[after - 1]) / (places[after] - places[after - 1])
    low = sums[..., after - 2] if after > 1 else np.zeros(sums.shape[:2])
    return np.asarray(low * (1 - share) + sums[..., after - 1] * share)


def relative_median(errors: Floats, level: Floats) -> float:
    """Return the usual size of errors as a part of the level (one a series), over all series; `USUAL_ERROR` where none is known."""
    relative = np.abs(errors)[level > 0] / level[level > 0][:, None]
    found = median(relative.reshape(-1)) if relative.size else np.float64(np.nan)
    return USUAL_ERROR if np.isnan(found) else float(found)
