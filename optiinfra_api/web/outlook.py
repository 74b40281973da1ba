"""The page Forecast and budgets: what costs will be, with their bounds, parts and back-tests, and how budgets stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.exploring.state import BASES
from optiinfra_api.web import budget_form, filters
from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import EXACT, plain
from optiinfra_assets.domain.rates_used import CONVERSIONS, rates_used

MONTHS_AHEAD: Final = 18
"""How far ahead the form offers months to expect something of."""
BUDGET: Final = """budgetId problem name amount currency cadence costBasis start end amountsByMonth { month amount }
      filters {
        provider account subAccount service region chargeCategory currency serviceProvider serviceCategory invoice billingPeriod sku
        pricingCategory commitment tags { key values ignoreCase }
      }"""
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
      dates afterCredits beforeCredits lower80 upper80 lower95 upper95 actualDates actualAmounts finalDays {{ account lastDay }}
    }}
    overrides {{ overrideId month currency amount factor note authorName provider account subAccount service }}
  }}
  budgetStatus(customerId: $customer, first: 100) {{
    nodes {{
      budget {{ budgetId name currency }} periodStart periodEnd amount spent forecast lower80 upper80 probability passedOn state reason
      {CONVERSIONS}
    }}
    unusable {{ budgetId problem }}
  }}
  budgets(customerId: $customer, first: 100) {{
    nodes {{
      {BUDGET}
    }}
    pageInfo {{ hasNextPage }}
  }}
}}"""
"""What the page asks."""
FINAL_PARTS: Final = """query FinalParts($customer: String, $period: Period!, $filter: CostFilter) {
  costTrends(customerId: $customer, period: $period, filter: $filter, groupBy: [ACCOUNT]) { series { account dates amounts } }
}"""

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
    sent = refused.sent if refused.form == "budget" else budget_as_sent(changed, currency)
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
        chart=band(chosen, await final_parts_of(visit, chosen)) if chosen else None,
        finals=finals_text(chosen["finalDays"]) if chosen else "",
        budgets=budgets_of(kept, found.get("budgetStatus")),
        has_more=(budgets.get("pageInfo") or {}).get("hasNextPage"),
        changes=may_change(visit),
        changed=changed,
        shows_filters=changed is None or budget_form.is_shown(budget_form.as_given(changed["filters"])),
        budget=sent,
        groups=budget_form.groups_of(sent),
        fields=budget_form.FIELDS,
        bases=BASES,
        override=refused.sent if refused.form == "override" else {"currency": currency},
        refused=refused,
        cadences=CADENCES,
        months=[str(current.shift(ahead)) for ahead in range(MONTHS_AHEAD)],
    )


def budgets_of(kept: list[dict[str, Any]], statuses: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rows of the table of budgets: how each stands; one that has no period now can be changed all the same."""
    standing = {one["budget"]["budgetId"]: budget_of(one) for one in (statuses or {}).get("nodes", ())}
    problems = {one["budgetId"]: one["problem"] for one in (statuses or {}).get("unusable", ())}
    without: dict[str, Any] = {"state": "", "last": None, "rates": []}
    unknown = "Not known now" if statuses is None else "No period now"
    return [
        {
            "budgetId": one["budgetId"],
            "what": budget_form.what_of(budget_form.as_given(one["filters"])),
            "problem": problems.get(one["budgetId"], one["problem"]),
        }
        | standing.get(
            one["budgetId"],
            {
                **without,
                "name": one["name"],
                "currency": one["currency"],
                "amount": Decimal(one["amount"]),
                "otherwise": "Cannot be used"
                if one["problem"]
                else "Cannot be told"
                if one["budgetId"] in problems
                else unknown,
            },
        )
        for one in kept
    ]


def budget_as_sent(budget: Mapping[str, Any] | None, currency: str) -> dict[str, Any]:
    """The fields of the form of a budget as it stands; of a new one, in the currency that the page shows."""
    if budget is None:
        return {"currency": currency}
    end = budget["end"] and date.fromisoformat(budget["end"]) - timedelta(days=1)
    return {
        **{name: budget[name] for name in ("name", "amount", "currency", "cadence", "start")},
        "id": budget["budgetId"],
        "last": end,
        "basis": budget["costBasis"],
        "months": budget_form.months_sent(budget["amountsByMonth"]),
        **budget_form.sent_of(budget_form.as_given(budget["filters"])),
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
        "rates": rates_used(one.get("conversions", ()), one["budget"]["currency"], filters.day),
    }


def band(series: Mapping[str, Any], final_parts: Mapping[str, Decimal]) -> dict[str, Any]:
    """What the chart draws: what came, what is expected, and the bounds around that; null where a line has no day.

    What is expected of a day lacks the accounts whose day is final already: `final_parts`, what these cost by day, are added.
    """
    dates = series["dates"]
    came = {
        day: amount
        for day, amount in zip(series["actualDates"], series["actualAmounts"], strict=True)
        if not dates or day < dates[0]
    }
    more = [final_parts.get(day, Decimal(0)) for day in dates]
    lines: dict[str, list[str | None]] = {
        name: [*([None] * len(came)), *_added(series[name], more)]
        for name in ("beforeCredits", "lower80", "upper80", "lower95", "upper95")
    }
    before = [*came.values(), *([None] * len(dates))]
    return {"currency": series["currency"], "dates": [*came, *dates], "came": before, **lines}


def _added(amounts: list[str] | None, more: list[Decimal]) -> list[str | None]:
    if amounts is None:
        return [None] * len(more)
    return [plain(EXACT.add(Decimal(one), part)) for one, part in zip(amounts, more, strict=True)]


async def final_parts_of(visit: Visit, series: Mapping[str, Any]) -> dict[str, Decimal]:
    """What days cost that are final for some accounts only, of these accounts."""
    lasts = {one["account"]: one["lastDay"] for one in series["finalDays"] if one["lastDay"]}
    start, last = series["dates"][0], max(lasts.values(), default="")
    if not start <= last:
        return {}
    period = {"start": start, "end": budget_form.day_after(last)}
    filter_ = {"currency": [series["currency"]], "account": [one for one, day in lasts.items() if day >= start]}
    found = await visit.ask(FINAL_PARTS, customer=visit.customer_id, period=period, filter=filter_)
    parts: dict[str, Decimal] = {}
    for one in (found.get("costTrends") or {}).get("series", []):
        for day, amount in zip(one["dates"], one["amounts"], strict=True):
            if day <= lasts[one["account"]]:
                parts[day] = EXACT.add(parts.get(day, Decimal(0)), Decimal(amount))
    return parts


def finals_text(final_days: list[dict[str, Any]]) -> str:
    """Which accounts' days are not final yet, for the reader of the chart; empty if all are final to the same day."""
    accounts: dict[str | None, list[str]] = {}
    for one in final_days:
        accounts.setdefault(one["lastDay"], []).append(one["account"])
    behind = [day for day in sorted(accounts, key=str) if day != max(filter(None, accounts), default=None)]
    parts = [
        f"{', '.join(accounts[one])} after {filters.day(one)}" if one else f"{', '.join(accounts[one])}"
        for one in behind
    ]
    return f"Not final yet, and so expected: {'; '.join(parts)}." if parts else ""


def _percent(part: str | None) -> str | None:
    return None if part is None else f"{Decimal(part) * 100:.0f} %"
