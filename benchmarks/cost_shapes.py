"""Draws daily costs in the shapes that bills have: weekly pattern, drift, breaks of trend, steps, price changes, charges on a day of the
month, support, tax, credits that run down, purchases, late starts, noise of two kinds. Nothing in them is taken from a method that is
measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]


@dataclass
class Shape:
    """One series: what was used each day, and what is charged beside it."""

    first_day: date
    usage: Days
    recurring: Days
    support: Days
    tax: Days
    credit: Days
    one_off: Days
    features: set[str] = field(default_factory=set)

    @property
    def blind(self) -> Days:
        """What a reader sees who knows no columns: all but tax and credits, which a total before them leaves out."""
        return self.usage + self.recurring + self.support + self.one_off


def draw(
    count: int, seed: int, days: int = 500, first_day: date = date(2025, 1, 1), *, quiet: bool = False
) -> list[Shape]:
    """Return `count` series of as many days. `quiet` ones have nothing to tell of: no steps, one-offs and late starts."""
    random = np.random.default_rng(seed)
    return [_draw_one(random, first_day, days, quiet) for _ in range(count)]


def _draw_one(random: np.random.Generator, first_day: date, days: int, quiet: bool) -> Shape:
    features: set[str] = {"quiet"} if quiet else set()
    calendar = [first_day + timedelta(days=index) for index in range(days)]
    level = float(np.exp(random.normal(4.5, 1.6)))
    path = np.zeros(days)  # logarithm of the level
    if _has(random, features, "drift", 0.5):
        path += np.arange(days) * random.normal(0.01, 0.02) / 30
    if _has(random, features, "trend break", 0.15):
        path += np.maximum(np.arange(days) - random.integers(60, days), 0) * random.normal(0, 0.04) / 30
    if _has(random, features, "step", 0.35):
        path[random.integers(30, days) :] += random.choice([-1, 1]) * random.uniform(0.15, 0.8)
    if _has(random, features, "price change", 0.15):
        path[random.integers(30, days) :] += np.log(random.uniform(0.65, 1.15))
    weekdays = np.array([day.weekday() for day in calendar])
    if _has(random, features, "weekly", 0.65):
        pattern = np.array([0.0] * 5 + [np.log(1 - random.uniform(0.05, 0.6))] * 2) + random.normal(0, 0.03, 7)
        path += pattern[weekdays]
    usage = level * np.exp(path + _noise(random, features, days))
    if _has(random, features, "late start", 0.12):
        usage[: random.integers(0, days - 120)] = 0
    recurring, one_off = np.zeros(days), np.zeros(days)
    if _has(random, features, "month day", 0.35):
        chosen = int(random.choice([1, 1, 1, 2, 3, 15, 31, random.integers(4, 29)]))
        amount = level * random.uniform(0.5, 12)
        begin = 0 if random.random() < 0.8 or quiet else random.integers(0, days - 90)
        recurring = np.array([amount * (index >= begin) for index in range(days)]) * _falls_on(calendar, chosen)
    if _has(random, features, "one-off", 0.4):
        for index in random.integers(0, days, random.poisson(1) + 1):
            one_off[index] += level * random.uniform(3, 20)
    support = np.zeros(days)
    if _has(random, features, "support", 0.2):
        support = _of_the_month_before(usage + recurring, calendar, random.uniform(0.03, 0.1), 3)
    tax = (usage + recurring + support) * 0.19
    credit = np.zeros(days)
    if _has(random, features, "credit", 0.15):
        left = level * random.uniform(30, 400) - np.concatenate([[0.0], np.cumsum(usage)[:-1]])
        credit = -np.clip(left, 0, usage)
    return Shape(first_day, usage, recurring, support, tax, credit, one_off, features)


ODD = {"step", "price change", "one-off", "late start"}


def _has(random: np.random.Generator, features: set[str], name: str, probability: float) -> bool:
    if random.random() < probability and not (name in ODD and "quiet" in features):
        features.add(name)
    return name in features


def _noise(random: np.random.Generator, features: set[str], days: int) -> Days:
    """Either independent from day to day, a sixth of them with heavy tails, or one that wanders and comes back."""
    size = float(np.exp(random.uniform(np.log(0.008), np.log(0.08))))
    if _has(random, features, "wandering", 0.3):
        steps = random.normal(0, size, days)
        wander = np.zeros(days)
        for index in range(1, days):
            wander[index] = 0.85 * wander[index - 1] + 0.53 * steps[index]
        return wander
    if _has(random, features, "heavy tails", 1 / 6):
        return size * np.clip(random.standard_t(3, days), -8, 8)
    return random.normal(0, size, days)


def _falls_on(calendar: list[date], chosen: int) -> NDArray[np.bool_]:
    """Tell the days that are the chosen one of their month; the 31st is its last day."""
    return np.array([day.day == chosen or (chosen == 31 and (day + timedelta(days=1)).day == 1) for day in calendar])


def _of_the_month_before(base: Days, calendar: list[date], ratio: float, chosen: int) -> Days:
    """Charge a ratio of what the month before cost on one day of each month."""
    months = np.array([day.year * 12 + day.month for day in calendar])
    charges = np.zeros(len(calendar))
    for index, day in enumerate(calendar):
        if day.day == chosen:
            charges[index] = ratio * base[months == months[index] - 1].sum()
    return charges
