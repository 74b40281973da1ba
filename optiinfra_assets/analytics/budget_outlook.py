"""Says how a budget stands in its currency: what its final days cost, and what is expected of the others by the forecast of its charges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from optiinfra_assets.analytics.budget_rates import (
    BudgetRates,
    DayCost,
    ExpectedCosts,
    RateUse,
    combined,
    months_between,
    spent_in,
)
from optiinfra_assets.analytics.budgets import BudgetStatus, Outlook, budget_status
from optiinfra_assets.analytics.cost_history import NOTES, Method
from optiinfra_assets.analytics.forecast_groups import ForecastGroup
from optiinfra_assets.domain.day_span import DaySpan

SPAN: Final = "budget"
_TOO_FAR: Final = "The budget ends later than costs are forecast, 13 months ahead."
_DONE: Final = "The budget is over, and its costs are final."
_NOTHING: Final = "No charge matched the budget so far, or none to come can, so nothing is forecast."


def budget_spans(first: date, period: DaySpan) -> dict[str, DaySpan]:
    """Return the sum of days that a budget needs, of which `first` is the first that is not final."""
    begin = min(max(first, period.start), period.end - timedelta(days=1))
    return {SPAN: DaySpan(begin, period.end)}


@dataclass(frozen=True)
class ToldBudget:
    """How a budget stands in a period.

    Attributes:
        status: with a forecast if `has_forecast`; without one only what is spent counts.
        reason: what to know of the forecast.
        rates: those that were used.
    """

    status: BudgetStatus
    has_forecast: bool
    reason: str
    rates: tuple[RateUse, ...]


def months_of_rates(
    into: str, costs: Iterable[DayCost], groups: Sequence[ForecastGroup], period: DaySpan, today: date
) -> Mapping[str, list[str]]:
    """Return by currency the months whose rates `told_budget` needs, as ``YYYY-MM``.

    Args:
        into: the currency of the budget.
        costs: of its final days.
        groups: the forecast of its charges, one a currency.
        period: of the budget.
        today: the day at which it is looked at.
    """
    currencies = ({one.currency for one in costs} | {one.currency for one in groups}) - {into}
    first = min([today, period.start, *(_known_to(one) for one in groups)])
    months = months_between(first, max(today, period.last))
    return dict.fromkeys(sorted(currencies), months)


def told_budget(
    amount: Decimal, costs: Iterable[DayCost], groups: Sequence[ForecastGroup], period: DaySpan, rates: BudgetRates
) -> ToldBudget:
    """Return how a budget of `amount` stands; the other arguments are those of `months_of_rates`.

    Raises:
        RatesMissing: a day that is over has costs in a currency that has no rate for it.
    """
    spent, used = spent_in(costs, rates)
    each = [ExpectedCosts(one.currency, _known_to(one), *outlook_of(one, period)) for one in groups]
    outlook, reason, expected = combined(each, rates, period.end) if each else (None, _NOTHING, [])
    status = budget_status(amount, spent, outlook or Outlook(period.end, (), None, None))
    return ToldBudget(status, outlook is not None, reason, (*used, *expected))


def _known_to(group: ForecastGroup) -> date:
    return group.first_day - timedelta(days=1)


def outlook_of(group: ForecastGroup, period: DaySpan) -> tuple[Outlook | None, str]:
    """Return what is expected of the days of a budget to come, in the currency of the group, None if nothing can be told; and what to
    know of that."""
    found, node = group.forecast, group.node
    if group.first_day >= period.end:
        return Outlook(period.end, (), None, None), _DONE
    if found.methods[node] is Method.NONE:
        return None, NOTES[Method.NONE]
    if found.days.dates[-1] < np.datetime64(period.end, "D") - 1:
        return None, _TOO_FAR
    span = found.totals[SPAN].span
    within = (found.days.dates >= np.datetime64(span.start, "D")) & (found.days.dates < np.datetime64(span.end, "D"))
    daily = np.sum([values[node, within] for values in found.parts.values()], axis=0)
    within_80, within_95 = found.bounds(SPAN, node, after_credits=True)
    days = tuple(found.amount(one) for one in daily)
    return Outlook(span.start, days, within_80, within_95), NOTES[found.methods[node]]
