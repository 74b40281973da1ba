"""Budgets of which more is spent or expected than a part, or whose overrun is likely; each told once a period and threshold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from optiinfra_assets.analytics.budget_rates import MORE_RATES, RatesMissing
from optiinfra_assets.analytics.budgets import BudgetRule, RuleKind, Standing, is_met
from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Figure, Occasion
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata.budgets import StoredBudget
from optiinfra_assets.notifications.budget_standings import BudgetStandings, PeriodStanding
from optiinfra_assets.notifications.kinds.base import Facts, Found, money

PAGE: Final = "/forecast#budgets"
LATE: Final = timedelta(days=7)
"""For so long after its end a period is looked at: the costs of its last days come late."""


def find_budgets(facts: Facts, rule: AlertRule) -> Found:
    """Find the budgets that pass a threshold of the rule, as soon as a forecast knows the costs that make them pass it. Before the first
    forecast of a customer, what is spent is known. A budget whose costs have no rate to its currency is found too: silence would say
    that it is kept."""
    standings = facts.standings(rule.customer_id)
    if standings.made is None and facts.published(rule.customer_id) is None:
        return Found()
    found = facts.metadata.budgets.find(customer_id=rule.customer_id)
    budgets = [one for one in found if one.problem is None and (not rule.budgets or one.budget_id in rule.budgets)]
    news = [*forecast_news(facts, standings), standings.rates.state]
    looks = {one.budget_id: ((news, one.changed_at), partial(_occasions, standings, rule, one)) for one in budgets}
    return Found.of_news(facts, rule, looks)


def forecast_news(facts: Facts, standings: BudgetStandings) -> list[object]:
    """Return what changes when a forecast (before the first: what is published), what people expect of months, or the day is another."""
    overrides = [one.override_id for one in standings.overrides]
    made = standings.made
    known = [made.made_at, made.generation] if made else [None, facts.published(standings.customer_id)]
    return [*known, overrides, standings.now.date()]


def outlook_text(standing: PeriodStanding, currency: str) -> str:
    """Return what is expected at the end of a period, with its band if there is one, as a part of a sentence."""
    status = standing.status
    expected = f"{money(status.forecast, currency)} is expected at its end"
    if status.within_80 is None:
        return expected
    low, high = (money(one, currency) for one in status.within_80)
    return f"{expected} (in 4 of 5 cases {low} to {high})"


def standing_figures(standing: PeriodStanding, currency: str) -> tuple[Figure, ...]:
    """Return the exact numbers of a standing; those of the future only if it has a forecast."""
    status = standing.status
    amounts = {"amount": status.amount, "spent": status.spent}
    if standing.has_forecast:
        amounts["forecast"] = status.forecast
        if status.within_80 is not None:
            amounts |= {"lower80": status.within_80[0], "upper80": status.within_80[1]}
    figures = [Figure(name, plain(amount), currency) for name, amount in amounts.items()]
    if standing.has_forecast and status.probability is not None:
        figures.append(Figure("probability", f"{status.probability:.4f}"))
    return tuple(figures)


def _occasions(standings: BudgetStandings, rule: AlertRule, one: StoredBudget) -> Iterator[Occasion]:
    thresholds = [BudgetRule(kind, rule.number(kind.value) / 100) for kind in RuleKind if rule.number(kind.value)]
    for period in _periods(one.budget, standings, rule):
        try:
            standing = standings.standing(one.budget, period)
        except RatesMissing as error:
            yield Occasion(f"{one.budget_id} {period.start} {period.end} rates", _untold(standings, one.budget, error))
            continue
        for threshold in thresholds:
            if _is_told(threshold, standing):
                key = (
                    f"{one.budget_id} {period.start} {period.end} {threshold.kind} {threshold.threshold.normalize():f}"
                )
                yield Occasion(key, _message(standings, one.budget, standing, threshold))


def _periods(budget: Budget, standings: BudgetStandings, rule: AlertRule) -> list[DaySpan]:
    """The period of today, and the one that has just ended if the rule was there then."""
    today = standings.now.date()
    periods = {period.start: period for day in (today - LATE, today) if (period := budget.period(day)) is not None}
    made = rule.created_at.date()
    return [one for one in periods.values() if one.end > today or (one.end + LATE > today and made < one.end)]


def _is_told(threshold: BudgetRule, standing: PeriodStanding) -> bool:
    """Whether a threshold is passed. Of an overrun that has come, a forecast says nothing new."""
    if threshold.kind is not RuleKind.ACTUAL and (not standing.has_forecast or _is_over(standing)):
        return False
    return is_met(threshold, standing.status)


def _is_over(standing: PeriodStanding) -> bool:
    return standing.status.standing is Standing.OVER


def _message(
    standings: BudgetStandings, budget: Budget, standing: PeriodStanding, threshold: BudgetRule
) -> AlertMessage:
    status, currency, period = standing.status, budget.currency, standing.period
    last = period.end - timedelta(days=1)
    text = f"{money(status.spent, currency)} of {money(status.amount, currency)}{_part(status.spent, status.amount)} is spent"
    text += f" from {period.start} to {last}"
    is_open = standing.has_forecast and last >= standings.now.date()
    text += f", and {outlook_text(standing, currency)}." if is_open else "."
    if standing.has_forecast and status.probability is not None and not _is_over(standing):
        text += f" An overrun is {status.probability:.0%} likely."
    if status.passed_on is not None:
        text += f" The amount {'was' if _is_over(standing) else 'will be'} passed on {status.passed_on}."
    through = standings.data_through
    return AlertMessage(
        title=f"Budget {budget.name}: {_title(threshold, standing)}",
        text=text,
        path=PAGE,
        figures=standing_figures(standing, currency),
        data_through=through.isoformat() if through else None,
        is_simulated=standings.is_simulated,
    )


def _untold(standings: BudgetStandings, budget: Budget, error: RatesMissing) -> AlertMessage:
    through = standings.data_through
    return AlertMessage(
        title=f"Budget {budget.name}: a rate is missing",
        text=f"{error}. {MORE_RATES}",
        path=PAGE,
        figures=(),
        data_through=through.isoformat() if through else None,
        is_simulated=standings.is_simulated,
    )


def _title(threshold: BudgetRule, standing: PeriodStanding) -> str:
    percent = f"{(threshold.threshold * 100).normalize():f} %"
    if threshold.kind is RuleKind.ACTUAL:
        return "the amount is passed" if threshold.threshold == 1 else f"more than {percent} is spent"
    last = standing.period.end - timedelta(days=1)
    if threshold.kind is RuleKind.FORECAST:
        return f"more than {percent} is expected by {last}"
    return f"an overrun by {last} is {standing.status.probability or 0:.0%} likely"


def _part(spent: Decimal, amount: Decimal) -> str:
    return f" ({spent / amount:.1%})" if amount else ""
