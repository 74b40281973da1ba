"""Draws daily costs in shapes that `cost_shapes` lacks: machines that run on workdays, at weekends or on one day of the week, weeks that
alternate, noise that lasts, has heavy tails or comes in counts, growth, slow waves, days off, and charges at the end of the month.

Methods were not chosen on them, but for what they showed to be wrong: charges on the 28th of a February, and rises that come and go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]
FIRST_DAYS = (date(2025, 1, 1), date(2025, 4, 11), date(2025, 7, 20))


def draw(count: int, seed: int, days: int = 330) -> list[tuple[date, Days]]:
    """Return `count` series without anything to tell of."""
    random = np.random.default_rng(seed)
    return [_draw_one(random, FIRST_DAYS[random.integers(len(FIRST_DAYS))], days) for _ in range(count)]


def _draw_one(random: np.random.Generator, first_day: date, days: int) -> tuple[date, Days]:
    dates = [first_day + timedelta(days=back) for back in range(days)]
    weekday, of_month = np.array([day.weekday() for day in dates]), np.array([day.day for day in dates])
    level = float(np.exp(random.normal(4, 1.5)))
    shape = _SHAPES[random.integers(len(_SHAPES))]
    values = level * shape(random, weekday)
    if random.random() < 0.4:
        values += level * random.uniform(0.3, 6) * (of_month == random.choice([1, 1, 2, 3, 5, 15, 28]))
    if random.random() < 0.15:
        is_last = np.array([(day + timedelta(days=1)).day == 1 for day in dates])
        values += level * random.uniform(0.5, 3) * is_last
    return first_day, values


Shape = Callable[[np.random.Generator, NDArray[np.int64]], Days]


def _noise(random: np.random.Generator, count: int) -> Days:
    return np.asarray(np.exp(random.normal(0, random.uniform(0.01, 0.06), count)))


def _workdays(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return _noise(random, len(weekday)) * np.where(weekday >= 5, random.uniform(0.1, 0.4), 1)


def _weekends(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return _noise(random, len(weekday)) * np.where(weekday >= 5, random.uniform(1.3, 2.5), 1)


def _one_weekday(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return _noise(random, len(weekday)) * np.where(weekday == random.integers(7), random.uniform(1.5, 4), 1)


def _alternating(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    is_high = np.arange(len(weekday)) // 7 % 2 == 0
    return _noise(random, len(weekday)) * np.where(is_high, random.uniform(1.1, 1.3), 1)


def _days_off(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    values = _noise(random, len(weekday)) * np.where(weekday >= 5, 0.5, 1)
    for start in random.integers(0, len(weekday) - 4, 4):
        values[start : start + random.integers(1, 4)] *= 0.5
    return values


def _growing(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return _noise(random, len(weekday)) * np.exp(np.arange(len(weekday)) * random.uniform(0.03, 0.08) / 30)


def _waves(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    wave = np.sin(2 * np.pi * np.arange(len(weekday)) / random.uniform(60, 120))
    return _noise(random, len(weekday)) * np.exp(0.25 * wave)


def _noisy(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return np.asarray(np.exp(random.normal(0, random.uniform(0.1, 0.2), len(weekday))))


def _heavy(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return np.asarray(np.exp(0.04 * random.standard_t(3, len(weekday))))


def _lasting(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    steps, noise = random.normal(0, random.uniform(0.02, 0.05), len(weekday)), np.zeros(len(weekday))
    for day in range(1, len(noise)):
        noise[day] = 0.85 * noise[day - 1] + steps[day]
    return np.asarray(np.exp(noise))


def _counts(random: np.random.Generator, weekday: NDArray[np.int64]) -> Days:
    return random.poisson(random.uniform(15, 60), len(weekday)) / 20.0


_SHAPES: tuple[Shape, ...] = (
    *(_workdays, _weekends, _one_weekday, _alternating, _days_off, _growing, _waves),
    *(_noisy, _heavy, _lasting, _counts),
)
