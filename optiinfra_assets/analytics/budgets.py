"""Says how a budget stands: what is spent, what will have been, how likely that is too much, and the day on which the amount is
passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from statistics import NormalDist
from typing import Final

from optiinfra_assets.domain.exact_amounts import EXACT, exact_difference, exact_sum

_NORMAL: Final = NormalDist()
_WIDE: Final = Context(prec=80)
"""For the part of an amount that is spent: both have up to 38 digits."""


@dataclass(frozen=True)
class Outlook:
    """What is expected of the days of a budget that are not final, as a forecast tells it. Bounds None: none can be told."""

    first_day: date
    daily: Sequence[Decimal]
    """From `first_day` to the last day of the budget; their sum is what is expected."""
    within_80: tuple[Decimal, Decimal] | None
    """Lower and upper bound of the sum."""
    within_95: tuple[Decimal, Decimal] | None

    @property
    def expected(self) -> Decimal:
        """The sum of the days."""
        return exact_sum(self.daily)


class Standing(StrEnum):
    """How a budget stands, in one word."""

    OVER = "over"
    """The amount is passed."""
    LIKELY_OVER = "likely over"
    """It is more likely than not to be."""
    WITHIN = "within"


@dataclass(frozen=True)
class BudgetStatus:
    """How a budget stands."""

    amount: Decimal
    spent: Decimal
    forecast: Decimal
    """Spent, and what is expected of the days to come."""
    within_80: tuple[Decimal, Decimal] | None
    within_95: tuple[Decimal, Decimal] | None
    probability: float | None
    """That more than the amount is spent at the end; 0 and 1 where it is certain; None where no bounds can be told."""
    passed_on: date | None
    """The day on which the amount is, or was, passed; None if that is not expected."""
    standing: Standing

    @property
    def used(self) -> Decimal | None:
        """The part of the amount that is spent; None for an amount of zero."""
        return _WIDE.quantize(_WIDE.divide(self.spent, self.amount), Decimal("0.0001")) if self.amount else None


def budget_status(amount: Decimal, spent_daily: Sequence[tuple[date, Decimal]], outlook: Outlook) -> BudgetStatus:
    """Return how a budget of `amount` stands that spent `spent_daily` on its final days, in their order, and has the `outlook`."""
    spent = exact_sum(cost for _, cost in spent_daily)
    forecast = EXACT.add(spent, outlook.expected)
    around = [
        None if bounds is None else (EXACT.add(spent, bounds[0]), EXACT.add(spent, bounds[1]))
        for bounds in (outlook.within_80, outlook.within_95)
    ]
    probability = _overrun(amount, spent, forecast, around[0], around[1], is_open=bool(outlook.daily))
    is_likely = forecast > amount if probability is None else probability > 0.5
    standing = Standing.OVER if spent > amount else Standing.LIKELY_OVER if is_likely else Standing.WITHIN
    coming = [(outlook.first_day + timedelta(days=index), cost) for index, cost in enumerate(outlook.daily)]
    passed = _passed(amount, [*spent_daily, *coming])
    return BudgetStatus(amount, spent, forecast, around[0], around[1], probability, passed, standing)


def _overrun(
    amount: Decimal,
    spent: Decimal,
    forecast: Decimal,
    within_80: tuple[Decimal, Decimal] | None,
    within_95: tuple[Decimal, Decimal] | None,
    *,
    is_open: bool,
) -> float | None:
    """Return the probability that the end is above the amount, from the points that the bounds give; between them, as a normal
    distribution goes."""
    if not is_open:
        return float(spent > amount)
    if within_80 is None or within_95 is None:
        return None
    levels = [_NORMAL.inv_cdf(level) for level in (0.025, 0.1, 0.5, 0.9, 0.975)]
    points = [float(one) for one in (within_95[0], within_80[0], forecast, within_80[1], within_95[1])]
    return 1 - _NORMAL.cdf(_interpolated(float(amount), points, levels))


def _interpolated(value: float, points: Sequence[float], levels: Sequence[float]) -> float:
    """Return the level of a value: on the line between two points, or on that of the outermost two."""
    if points[-1] <= points[0]:
        return 8.0 if value >= points[-1] else -8.0
    place = next((index for index in range(1, len(points) - 1) if value <= points[index]), len(points) - 1)
    low, high = points[place - 1], points[place]
    if high <= low:
        return levels[place]
    return levels[place - 1] + (levels[place] - levels[place - 1]) * (value - low) / (high - low)


def _passed(amount: Decimal, daily: Sequence[tuple[date, Decimal]]) -> date | None:
    """Return the first day after which more than the amount is spent and stays so. A day comes twice that is not final for all accounts."""
    costs: dict[date, Decimal] = {}
    for day, cost in daily:
        costs[day] = EXACT.add(costs.get(day, Decimal(0)), cost)
    total, passed = Decimal(0), None
    for day in sorted(costs):
        total = EXACT.add(total, costs[day])
        if total <= amount:
            passed = None
        elif passed is None:
            passed = day
    return passed


class RuleKind(StrEnum):
    """What a rule on a budget looks at."""

    ACTUAL = "actual"
    FORECAST = "forecast"
    PROBABILITY = "probability"


@dataclass(frozen=True)
class BudgetRule:
    """`threshold` is a part of the amount (1 is all of it) for actual and forecast, and the probability from 0 to 1 for probability."""

    kind: RuleKind
    threshold: Decimal


def is_met(rule: BudgetRule, status: BudgetStatus) -> bool:
    """Tell whether a rule has something to say. One on probability is silent while no bounds can be told; the forecast says so then."""
    if rule.kind is RuleKind.PROBABILITY:
        return status.probability is not None and status.probability >= float(rule.threshold)
    limit = EXACT.multiply(status.amount, rule.threshold)
    return exact_difference(status.spent if rule.kind is RuleKind.ACTUAL else status.forecast, limit) > 0
