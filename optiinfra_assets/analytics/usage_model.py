"""Forecasts what is used from day to day: six simple rules, side by side, which back-tests weight."""

from __future__ import annotations

from typing import Final

import numpy as np

from optiinfra_assets.analytics.arrays import TINY, Flags, Floats, deviation, mean, median

WEEK: Final = 7
PRIOR: Final = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
"""What each rule of `rules` weighs before anything is known."""
DAMPING: Final = 0.985
"""A trend keeps so much of itself from one day to the next: half is gone in 46 days."""
_SURE: Final = 2.0
"""A level has moved for sure if its last week lies off by so many times what noise allows."""
STEEPEST: Final = 0.004
"""A trend changes a day's cost by at most so much of the level: 12 % a month."""


def rules(rest: Floats, with_single_days: Floats, horizon: int) -> Floats:
    """Return rule x series x day: the next `horizon` days, each by

    0. the last week, repeated;
    1. the usual week, times a level of four weeks (of one, if the level has moved), along a damped trend;
    2. the same with the level of the last week alone;
    3. the means of the last four weeks by weekday (rule 1, if the level has moved);
    4. the same means with what came once (rule 1, if the level has moved for sure); of what is charged on few days, see `_is_rare`, the
       mean of twelve weeks: four have too few such days, and no weekday is theirs;
    5. the last two weeks, repeated (one, if the level has moved for sure).

    `rest` is series x days without what recurs by the month and what came once, as `MonthDaySplit` has it; NaN stands before a series
    begins.
    """
    profile = usual_week(rest)
    daily = _without_week(rest, profile)
    month, week = (np.nan_to_num(median(daily[:, -days:])) for days in (28, WEEK))
    off = _off(daily, week)
    has_moved, is_sure = off > 1, off > _SURE
    level = np.where(has_moved, week, month)
    slope = _trend(daily, level)
    ahead = np.cumsum(DAMPING ** np.arange(1, horizon + 1)) * slope[:, None]
    shape = _ahead(profile, horizon)
    by_level = shape * ((level + np.where(has_moved, 3, 14) * slope)[:, None] + ahead)
    by_week = shape * ((week + 3 * slope)[:, None] + ahead)
    repeated = _ahead(np.nan_to_num(rest[:, -WEEK:], nan=0.0), horizon)
    means = np.where(has_moved[:, None], by_level, _ahead(_weekday_means(rest), horizon))
    usual = np.where(is_sure[:, None], by_level, _ahead(_weekday_means(with_single_days), horizon))
    rare = np.nan_to_num(mean(with_single_days[:, -12 * WEEK :]))[:, None]
    plain = np.where(_is_rare(with_single_days)[:, None], rare, usual)
    two_weeks = np.where(is_sure[:, None], repeated, _ahead(np.nan_to_num(rest[:, -2 * WEEK :]), horizon))
    return np.stack([repeated, by_level, by_week, means, plain, two_weeks])


def _is_rare(values: Floats) -> Flags:
    """Tell what has costs on some of the last six weeks' days, and on at most half of those of the last week and of each of the last three
    times four weeks. What is closed for a while, or has just been opened again, has not."""
    if values.shape[1] < 12 * WEEK:
        return np.zeros(len(values), bool)
    sizes = np.abs(values[:, -12 * WEEK :])
    usual = np.column_stack([median(sizes.reshape(len(values), 3, -1)), median(sizes[:, -WEEK:])])
    is_charged = np.any(sizes[:, -6 * WEEK :] > TINY, axis=1)
    return np.asarray(is_charged & np.all(np.nan_to_num(usual, nan=np.inf) <= TINY, axis=1))


def _off(daily: Floats, week: Floats) -> Floats:
    """Return how far the last week lies off each of the third to sixth week before today, to one side, in units of the noise; 0 if they
    lie on both sides. Beyond 1 it has moved.

    Weeks that alternate are no step; and one of three weeks ago is the level of four by now.
    """
    count = daily.shape[1] // WEEK
    if count < 3:
        return np.zeros(len(daily))
    weeks = daily[:, -WEEK * min(count, 6) :].reshape(len(daily), -1, WEEK)
    levels = median(weeks)
    noise = 1.5 * np.nan_to_num(deviation((weeks[:, -4:] - levels[:, -4:, None]).reshape(len(daily), -1)))
    distances = week[:, None] - levels[:, :-2]
    known = np.where(np.isnan(distances), np.inf, distances)
    above, below = known.min(axis=1), np.where(np.isnan(distances), np.inf, -distances).min(axis=1)
    least = np.where(np.isnan(distances).all(axis=1), 0.0, np.maximum(np.maximum(above, below), 0.0))
    return np.asarray(np.where(noise > 0, least / np.where(noise > 0, noise, 1.0), np.where(least > 0, np.inf, 0.0)))


def usual_week(rest: Floats) -> Floats:
    """Return series x 7: the share of each of the last seven weekdays in a week of eight, 1 on average; flat for what has no pattern."""
    weeks = _weeks(rest, 8)
    average = mean(weeks)
    has_cost = np.abs(average) > TINY
    shares = np.where(has_cost[..., None], weeks / np.where(has_cost, average, 1.0)[..., None], np.nan)
    usual = np.nan_to_num(median(np.swapaxes(shares, 1, 2)), nan=1.0)
    total = usual.mean(axis=1, keepdims=True)
    is_known = np.abs(total) > 0.05  # the median of what is charged on few days is nothing
    return np.asarray(np.where(is_known, usual / np.where(is_known, total, 1.0), 1.0))


def _weeks(rest: Floats, count: int) -> Floats:
    count = min(count, rest.shape[1] // WEEK)
    return rest[:, -WEEK * count :].reshape(len(rest), count, WEEK)


def _weekday_means(rest: Floats) -> Floats:
    return np.nan_to_num(mean(np.swapaxes(_weeks(rest, 4), 1, 2)))


def _without_week(rest: Floats, profile: Floats) -> Floats:
    """Return up to 112 days without the pattern of the week; NaN on weekdays that cost next to nothing."""
    count = min(rest.shape[1] // WEEK, 16)
    shape = np.tile(profile, (1, count))
    is_usable = np.abs(shape) > 0.2
    return np.where(is_usable, rest[:, -WEEK * count :] / np.where(is_usable, shape, 1.0), np.nan)


def _trend(daily: Floats, level: Floats) -> Floats:
    """Return the change a day that four months agree on: the smallest of three changes if they have one sign, else none."""
    if daily.shape[1] < 112:
        return np.zeros(len(daily))
    changes = np.diff(np.nan_to_num(median(daily.reshape(len(daily), 4, 28))), axis=1)
    agrees: Flags = np.all(changes > 0, axis=1) | np.all(changes < 0, axis=1)
    slope = np.where(agrees, np.sign(changes[:, 0]) * np.min(np.abs(changes), axis=1), 0.0) / 28
    steepest = STEEPEST * np.abs(level)
    return np.clip(slope, -steepest, steepest)


def _ahead(week: Floats, horizon: int) -> Floats:
    return np.tile(week, (1, horizon // week.shape[1] + 1))[:, :horizon]
