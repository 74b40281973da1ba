"""The page Forecast and budgets: what costs will be, with their bounds, parts and back-tests, and how budgets stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.accounts import BillingPeriod

MONTHS_AHEAD: Final = 18
"""How far ahead the form offers months to expect something of."""
BUDGET: Final = """budgetId name amount currency cadence costBasis start end amountsByMonth { month amount }
      filters { provider account subAccount service region chargeCategory tagKey tagValues }"""
"""All that a budget is."""
DOCUMENT: Final = f"""query Outlook($customer: String) {{
  forecast(customerId: $customer, forecastDays: 92) {{
    madeAt dataThrough publishedAt isComplete isSimulated reason
    series {{
      currency method reason errorPercent
      totals {{
        span start end
        beforeCredits {{ expected {{ amount }} bounds {{ level lower upper coverage coverageOfAll }} }}
        afterCredits {{ expected {{ amount }} }}
        parts {{ part amount }}
      }}
      dates afterCredits beforeCredits lower80 upper80 lower95 upper95 actualDates actualAmounts
    }}
    overrides {{ overrideId month currency amount factor note authorName provider account subAccount service }}
  }}
  budgetStatus(customerId: $customer, first: 100) {{
    nodes {{
      budget {{ budgetId name currency }} periodStart periodEnd amount spent forecast lower80 upper80 probability passedOn state reason
    }}
  }}
  budgets(customerId: $customer, first: 100) {{
    nodes {{
      {BUDGET}
    }}
    pageInfo {{ hasNextPage }}
  }}
}}"""
"""What the page asks."""

SPANS: Final = {
    "REST_OF_MONTH": "Rest of this month",
    "NEXT_MONTH": "Next month",
    "DAYS_90": "90 days",
    "MONTHS_12": "12 months",
}
STATES: Final = {"OVER": ("Over", "wrong"), "LIKELY_OVER": ("Likely over", "open"), "WITHIN": ("Within", "good")}
"""What a state is called, and the badge that shows it."""
CADENCES: Final = {
    "MONTHLY": "Each month",
    "QUARTERLY": "Each quarter",
    "YEARLY": "Each year",
    "BETWEEN": "Once, between two days",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What a form of the page sent, and why it was refused.

    Attributes:
        form: `budget` or `override`; empty: none of them.
    """

    form: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)


def may_change(visit: Visit) -> bool:
    """Whether the page shows its forms."""
    return visit.role != "viewer" and not visit.is_read_only


async def show(visit: Visit) -> Response:
    """Answer the page."""
    return await answered(visit, Refused())


async def answered(visit: Visit, refused: Refused, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer the page; with what a form sent that was refused."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Forecast and budgets")
    found = await visit.ask(DOCUMENT, customer=visit.customer_id)
    series = (found.get("forecast") or {}).get("series", [])
    offered = [one["currency"] for one in series]
    asked = visit.request.query_params.get("currency", "")
    currency = asked if asked in offered else next(iter(offered), "")
    chosen = next((one for one in series if one["currency"] == currency), None)
    budgets = found.get("budgets") or {}
    kept = budgets.get("nodes", [])
    wanted = refused.sent.get("id") or visit.request.query_params.get("budget", "")
    changed = next((one for one in kept if one["budgetId"] == wanted), None)
    current = BillingPeriod.of(visit.now)
    return visit.shown(
        "forecast",
        "Forecast and budgets",
        status,
        found=found,
        forecast=found.get("forecast"),
        currencies=offered,
        currency=currency,
        chosen=chosen,
        totals=[total_of(one) for one in chosen["totals"]] if chosen else [],
        chart=band(chosen) if chosen else None,
        budgets=budgets_of(kept, (found.get("budgetStatus") or {}).get("nodes")),
        has_more=(budgets.get("pageInfo") or {}).get("hasNextPage"),
        changes=may_change(visit),
        changed=changed,
        is_narrow=changed is None or narrowing_of(changed) is not None,
        budget=refused.sent if refused.form == "budget" else budget_as_sent(changed, currency),
        override=refused.sent if refused.form == "override" else {"currency": currency},
        refused=refused,
        cadences=CADENCES,
        months=[str(current.shift(ahead)) for ahead in range(MONTHS_AHEAD)],
    )


def budgets_of(kept: list[dict[str, Any]], statuses: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The rows of the table of budgets: how each stands; one that has no period now can be changed all the same."""
    standing = {one["budget"]["budgetId"]: budget_of(one) for one in statuses or ()}
    without = {"state": "", "last": None, "otherwise": "Not known now" if statuses is None else "No period now"}
    return [
        {"budgetId": one["budgetId"], "what": what_of(one)}
        | standing.get(
            one["budgetId"],
            {"name": one["name"], "currency": one["currency"], "amount": Decimal(one["amount"]), **without},
        )
        for one in kept
    ]


def what_of(budget: Mapping[str, Any]) -> str:
    """Which charges count for a budget, for its reader."""
    if (narrow := narrowing_of(budget)) is None:
        return "charges by filters"
    return ", ".join(value for values in narrow.values() for value in values) or "all charges"


def narrowing_of(budget: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """The providers, accounts and services that a budget is of; None: its filters are others, which the form does not show."""
    if len(budget["filters"]) > 1:
        return None
    given = {name: value for one in budget["filters"] for name, value in one.items() if value is not None}
    is_shown = given.keys() <= {"provider", "account", "service"}
    return given if is_shown and all(None not in values for values in given.values()) else None


def budget_as_sent(budget: Mapping[str, Any] | None, currency: str) -> dict[str, Any]:
    """The fields of the form of a budget as it stands; of a new one, in the currency that the page shows."""
    if budget is None:
        return {"currency": currency}
    narrow = narrowing_of(budget) or {}
    end = budget["end"] and date.fromisoformat(budget["end"]) - timedelta(days=1)
    return {
        **{name: budget[name] for name in ("name", "amount", "currency", "cadence", "start")},
        "id": budget["budgetId"],
        "last": end,
        "providers": ", ".join(narrow.get("provider", ())),
        "accounts": ", ".join(narrow.get("account", ())),
        "services": "\n".join(narrow.get("service", ())),
    }


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
