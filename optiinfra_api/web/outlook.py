"""The page Forecast and budgets: what costs will be, with their bounds, parts and back-tests, and how budgets stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.visit import Visit

DOCUMENT: Final = """query Outlook($customer: String) {
  forecast(customerId: $customer, forecastDays: 92) {
    madeAt dataThrough publishedAt isComplete isSimulated reason
    series {
      currency method reason errorPercent
      totals {
        span start end
        beforeCredits { expected { amount } bounds { level lower upper coverage coverageOfAll } }
        afterCredits { expected { amount } }
        parts { part amount }
      }
      dates afterCredits beforeCredits lower80 upper80 lower95 upper95 actualDates actualAmounts
    }
    overrides { month currency amount factor note authorName provider account subAccount service }
  }
  budgetStatus(customerId: $customer, first: 100) {
    nodes {
      budget { name currency cadence } periodStart periodEnd amount spent forecast lower80 upper80 probability passedOn state reason
    }
    pageInfo { hasNextPage }
  }
}"""
"""What the page asks."""

SPANS: Final = {
    "REST_OF_MONTH": "Rest of this month",
    "NEXT_MONTH": "Next month",
    "DAYS_90": "90 days",
    "MONTHS_12": "12 months",
}
STATES: Final = {"OVER": ("Over", "bad"), "LIKELY_OVER": ("Likely over", "open"), "WITHIN": ("Within", "good")}
"""What a state is called, and the badge that shows it."""


async def show(visit: Visit) -> Response:
    """Answer the page."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Forecast and budgets")
    found = await visit.ask(DOCUMENT, customer=visit.customer_id)
    series = (found.get("forecast") or {}).get("series", [])
    offered = [one["currency"] for one in series]
    asked = visit.request.query_params.get("currency", "")
    currency = asked if asked in offered else next(iter(offered), "")
    chosen = next((one for one in series if one["currency"] == currency), None)
    return visit.shown(
        "forecast",
        "Forecast and budgets",
        found=found,
        forecast=found.get("forecast"),
        currencies=offered,
        currency=currency,
        chosen=chosen,
        totals=[total_of(one) for one in chosen["totals"]] if chosen else [],
        chart=band(chosen) if chosen else None,
        budgets=[budget_of(one) for one in (found.get("budgetStatus") or {}).get("nodes", [])],
    )


def total_of(total: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of the table of sums shows."""
    bounds = {one["level"]: one for one in total["beforeCredits"]["bounds"]}
    return {
        "label": SPANS[total["span"]],
        "last": date.fromisoformat(total["end"]) - timedelta(days=1),
        "expected": Decimal(total["beforeCredits"]["expected"]["amount"]),
        "after": Decimal(total["afterCredits"]["expected"]["amount"]),
        "ends": {
            level: (Decimal(one["lower"]), Decimal(one["upper"]), _percent(one["coverage"]))
            for level, one in bounds.items()
        },
        "parts": {one["part"].capitalize(): Decimal(one["amount"]) for one in total["parts"] if Decimal(one["amount"])},
    }


def budget_of(one: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of the table of budgets shows."""
    state, badge = STATES[one["state"]]
    amounts = {name: one[name] and Decimal(one[name]) for name in ("amount", "spent", "forecast", "upper80")}
    passed = one["passedOn"] and date.fromisoformat(one["passedOn"])
    return {
        **amounts,
        "name": one["budget"]["name"],
        "currency": one["budget"]["currency"],
        "last": date.fromisoformat(one["periodEnd"]) - timedelta(days=1),
        "probability": _percent(one["probability"]),
        "passed_on": passed,
        "state": state,
        "badge": badge,
        "reason": one["reason"] if one["probability"] is None else None,
    }


def band(series: Mapping[str, Any]) -> dict[str, Any]:
    """What the chart draws: what came, what is expected, and the bounds around that; null where a line has no day.

    What is expected of a day lacks the accounts whose day is final already: drawn as it is, the total of a customer fell to nothing there.
    So a day of which more came than is still expected is one that came.
    """
    expected = dict(zip(series["dates"], series["beforeCredits"], strict=True))
    came = {
        day: amount
        for day, amount in zip(series["actualDates"], series["actualAmounts"], strict=True)
        if day not in expected or Decimal(amount) > Decimal(expected[day])
    }
    dates = sorted({*came, *expected})
    place = {day: index for index, day in enumerate(series["dates"]) if day not in came}
    lines = {
        name: [series[name][place[day]] if day in place and series[name] is not None else None for day in dates]
        for name in ("beforeCredits", "lower80", "upper80", "lower95", "upper95")
    }
    return {"currency": series["currency"], "dates": dates, "came": [came.get(day) for day in dates], **lines}


def _percent(part: str | None) -> str | None:
    return None if part is None else f"{Decimal(part) * 100:.0f} %"
