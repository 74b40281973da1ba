"""The rates that an export converts by, as values that its statement binds.

Rates are numbered, so that a statement gets a small number for each day in place of a rate of 36 digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from optiinfra_api.access.context import CustomerData
from optiinfra_api.export.arguments import ExportQuery
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.rate_book import KnownRate, RatesByDay
from optiinfra_assets.analytics.currency import SAME, Rate
from optiinfra_assets.domain.publications import ResolvedGenerations

_CONVERTED: Final = re.compile(
    r",\n *\{display_currency:String\} AS display_currency,.*?AS conversion_warning(?=\n)", re.DOTALL
)
_DAY: Final = timedelta(days=1)
RATES: Final = ("rates_from", "rate_numbers", "rate_values", "rate_days", "rate_sources")
"""The values that say by which rates an export is converted."""


def unconverted(text: str) -> str:
    """Return the statement of an export without the columns of a display currency."""
    return _CONVERTED.sub("", text)


async def bound_rates(
    data: CustomerData, asked: ExportQuery, resolved: ResolvedGenerations, cost: str
) -> dict[str, Any]:
    """Return the values by which the statement for `asked` converts its charges; none without a display currency.

    Args:
        data: the customer's.
        asked: the query; all days with charges in its accounts and currencies get a rate, whatever else it filters by.
        resolved: the generations that answer it.
        cost: the column that is converted.
    """
    display = data.display(asked.display_currency)
    if display is None:
        return {}
    days = await _days(data, asked, resolved)
    months = {one: {day[:7] for day in found} for one, found in days.items() if one != display.currency}
    rates = await display.rates.of(data.customer_id, display.currency, months) if months else {}
    return _numbered(display.currency, days, rates) | {"display_currency": display.currency, "converted_cost": cost}


async def _days(data: CustomerData, asked: ExportQuery, resolved: ResolvedGenerations) -> dict[str, set[str]]:
    """The days with charges, by currency."""
    whole = asked.question
    start, end = whole.start, whole.end
    if start is None or end is None:
        firsts = [one.first_charge_date for one in resolved.publications if one.first_charge_date]
        lasts = [one.last_charge_date for one in resolved.publications if one.last_charge_date]
        start, end = min(firsts, default=date(1971, 1, 1)), max(lasts, default=date(1971, 1, 1)) + _DAY
    question = CostQuery(
        start,
        end,
        whole.as_of,
        providers=whole.providers,
        accounts=whole.accounts,
        currencies=whole.currencies,
        billing_periods=whole.billing_periods,
    )
    _, rows = await series(data, question, asked.basis, granularity="daily")
    return {row["currency"]: set(row["dates"]) for row in rows}


def _numbered(into: str, days: Mapping[str, set[str]], rates: Mapping[str, RatesByDay]) -> dict[str, Any]:
    first = min((min(found) for found in days.values()), default="1971-01-01")
    last = max((max(found) for found in days.values()), default=first)
    start = date.fromisoformat(first)
    every = [(start + number * _DAY).isoformat() for number in range((date.fromisoformat(last) - start).days + 1)]
    numbers: dict[Rate, int] = {}
    lines = []
    for currency in days:
        own = days[currency]
        its = dict.fromkeys(own, SAME) if currency == into else {day: _rate(rates[currency][day]) for day in own}
        found = [its.get(day) for day in every]
        lines.append([0 if rate is None else numbers.setdefault(rate, len(numbers) + 1) for rate in found])
    return {
        "rates_from": start,
        "rate_currencies": list(days),
        "rate_numbers": lines,
        "rate_values": [rate.value for rate in numbers],
        "rate_days": [rate.day for rate in numbers],
        "rate_sources": [rate.source for rate in numbers],
    }


def _rate(known: KnownRate | None) -> Rate | None:
    return None if known is None else known.rate
