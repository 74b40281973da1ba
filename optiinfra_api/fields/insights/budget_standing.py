"""How budgets stand: exact costs of the days that are final, and the forecast of the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.fields.insights.forecasting import ForecastAnswer, ForecastQuery, forecast_answer
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.analytics.budget_outlook import ToldBudget, budget_spans, months_of_rates, told_budget
from optiinfra_assets.analytics.budget_rates import BudgetRates, DayCost
from optiinfra_assets.analytics.currency import Rate
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.budgets import StoredBudget


@dataclass(frozen=True)
class BudgetStanding:
    """How a budget stands in a period."""

    stored: StoredBudget
    period: DaySpan
    told: ToldBudget
    answer: ForecastAnswer
    resolved: ResolvedGenerations | None


async def budget_standing(
    data: CustomerData, stored: StoredBudget, now: datetime, as_of: datetime | None
) -> BudgetStanding | None:
    """Return how a budget stands at `as_of`, or `now`; None: it has no period then. Rates are those that are known now.

    Raises:
        ApiError: as `costTrends` and `forecast` do.
        RatesMissing: costs of a day that is over have no rate to the currency of the budget.
    """
    budget = stored.budget
    instant = as_of or now
    period = budget.period(instant.date())
    if period is None:
        return None
    first, *others = (_question(one, None, as_of) for one in budget.charges)
    asked = ForecastQuery(first, CostBasis(budget.cost_basis), instant, others=tuple(others))
    answer = await forecast_answer(data, asked, lambda first: budget_spans(first, period))
    costs, resolved = await _spent(data, budget, period, answer, instant, as_of)
    months = months_of_rates(budget.currency, costs, answer.groups, period, instant.date())
    rates = BudgetRates(budget.currency, instant.date(), await _rates(data, budget.currency, months))
    told = await data.services.run(told_budget, budget.amount_of(period), costs, answer.groups, period, rates)
    return BudgetStanding(stored, period, told, answer, resolved)


async def _rates(
    data: CustomerData, into: str, months: Mapping[str, Collection[str]]
) -> Mapping[str, Mapping[date, Rate | None]]:
    """The rates of all days of months, by currency."""
    found = await data.services.display(data.customer_id, into, None).rates.of(data.customer_id, into, months)
    return {
        currency: {date.fromisoformat(day): known and known.rate for day, known in days.items()}
        for currency, days in found.items()
    }


def _question(chosen: ChargeFilter, period: DaySpan | None, as_of: datetime | None) -> CostQuery:
    filters = {field.name: getattr(chosen, field.name) for field in fields(ChargeFilter)}
    start, end = (period.start, period.end) if period else (None, None)
    return CostQuery(start, end, as_of, **filters)


async def _spent(
    data: CustomerData,
    budget: Budget,
    period: DaySpan,
    answer: ForecastAnswer,
    instant: datetime,
    as_of: datetime | None,
) -> tuple[list[DayCost], ResolvedGenerations | None]:
    """Exact costs of the days that are final, by day and currency: those of each account to its last final one."""
    end = min(period.end, instant.date() + timedelta(days=1))
    if end <= period.start:
        return [], None
    days: dict[tuple[date, str], Decimal] = {}
    resolved = None
    for chosen in budget.charges:
        question = _question(chosen, DaySpan(period.start, end), as_of)
        resolved, rows = await series(
            data, question, CostBasis(budget.cost_basis), group_by={"account"}, granularity="daily"
        )
        for row in rows:
            last = answer.finals.get(row["account"], instant.date())
            for text, amount in zip(row["dates"], row["amounts"], strict=True):
                day = date.fromisoformat(text)
                if last is not None and day <= last:
                    key = day, row["currency"]
                    days[key] = EXACT.add(days.get(key, Decimal(0)), Decimal(amount))
    return [DayCost(*key, amount) for key, amount in sorted(days.items())], resolved
