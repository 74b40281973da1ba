"""Months that are expected to cost more than an amount; each told once for an amount and currency."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Occasion
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.notifications.budget_standings import BudgetStandings, PeriodStanding
from optiinfra_assets.notifications.kinds.base import Facts, Found, money
from optiinfra_assets.notifications.kinds.budget import forecast_news, outlook_text, standing_figures


def find_forecasts(facts: Facts, rule: AlertRule) -> Found:
    """Find the currencies in which this month is expected to cost more than the rule says."""
    standings = facts.standings(rule.customer_id)
    if standings.made is None:
        return Found()
    look = partial(_occasions, standings, rule)
    return Found.of_news(facts, rule, {f"{facts.now:%Y-%m}": (forecast_news(facts, standings), look)})


def _occasions(standings: BudgetStandings, rule: AlertRule) -> Iterator[Occasion]:
    amount = rule.number("amount")
    chosen = {"account": list(rule.accounts), "service": list(rule.services)}
    for currency in standings.currencies:
        filters = ({name: values for name, values in chosen.items() if values} | {"currency": [currency]},)
        month = Budget(rule.name, Cadence.MONTHLY, amount, currency, filters=filters)
        period = month.period(standings.now.date())
        standing = period and standings.standing(month, period)
        if period and standing and standing.has_forecast and standing.status.forecast > amount:
            key = f"{period.start:%Y-%m} {currency} over {amount.normalize():f}"
            yield Occasion(key, _message(standings, rule, period, standing, currency))


def _message(
    standings: BudgetStandings, rule: AlertRule, period: DaySpan, standing: PeriodStanding, currency: str
) -> AlertMessage:
    status = standing.status
    of = [", ".join(values) for values in (rule.accounts, rule.services) if values]
    about = f" of {'; '.join(of)}"[:300] if of else ""
    through = standings.data_through
    return AlertMessage(
        title=f"{period.start:%Y-%m} is expected to cost more than {money(status.amount, currency)}",
        text=f"Billed cost{about}: {money(status.spent, currency)} is spent in the month, and {outlook_text(standing, currency)}.",
        path="/forecast",
        figures=standing_figures(standing, currency),
        data_through=through.isoformat() if through else None,
        is_simulated=standings.is_simulated,
    )
