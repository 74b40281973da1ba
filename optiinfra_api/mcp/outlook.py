"""The tools for what costs will be and what may be spent: checked arguments in -> a document of ours -> JSON text out."""

from __future__ import annotations

from typing import Any, Final

from optiinfra_api.exploring.state import DIMENSIONS
from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import BudgetAsked, BudgetsAsked, ForecastAsked
from optiinfra_api.mcp.caller import Caller, ToolFailed

_FORECAST: Final = """query McpForecast($customer: String, $filter: CostFilter, $groupBy: [Dimension!], $asOf: DateTime) {
  forecast(customerId: $customer, filter: $filter, groupBy: $groupBy, asOf: $asOf, forecastDays: 1) {
    madeAt dataThrough isSimulated reason finalDays { account lastDay }
    series {
      provider account subAccount service region chargeCategory serviceProvider serviceCategory invoice billingPeriod sku pricingCategory
      commitment currency method errorPercent
      totals { span end beforeCredits { expected { amount } bounds { level lower upper coverage } } afterCredits { expected { amount } } }
    }
    overrides { month }
  }
}"""
_STATUS: Final = """query McpBudgets($customer: String, $asOf: DateTime) {
  budgetStatus(customerId: $customer, first: 100, asOf: $asOf) {
    nodes {
      budget { budgetId name currency } periodEnd amount spent forecast upper80 probability passedOn state dataThrough isSimulated
      conversions { currency isExpected lowestRate highestRate lastRateDate source }
    }
    unusable { name problem }
    pageInfo { hasNextPage }
  }
}"""
_CREATE: Final = """mutation McpBudget($customer: String, $budget: BudgetInput!) {
  createBudget(customerId: $customer, budget: $budget) {
    ... on BudgetSaved { budget { budgetId name amount currency cadence } }
    ... on Refusal { message remedy }
  }
}"""
_COLUMNS: Final = (
    "currency",
    "span",
    "end",
    "beforeCredits",
    "lower80",
    "upper80",
    "held",
    "afterCredits",
    "method",
    "errorPercent",
)
_OF_BUDGETS: Final = (
    "periodEnd",
    "amount",
    "spent",
    "forecast",
    "upper80",
    "probability",
    "passedOn",
    "state",
    "dataThrough",
)


async def forecast(caller: Caller, asked: ForecastAsked) -> str:
    """What each group will cost in each span."""
    fields = [DIMENSIONS[one] for one in dict.fromkeys(asked.group_by)]
    variables = {
        "customer": asked.customer,
        "filter": asked.filter and asked.filter.model_dump(by_alias=True, exclude_unset=True),
        "groupBy": asked.group_by or None,
        "asOf": asked.as_of and asked.as_of.isoformat(),
    }
    found = (await caller.ask(_FORECAST, variables))["forecast"]
    rows: list[list[Any]] = []
    for one in found["series"]:
        for total in one["totals"]:
            before = total["beforeCredits"]
            bounds = before["bounds"][0] if before["bounds"] else dict.fromkeys(("lower", "upper", "coverage"))
            rows.append(
                [
                    *(one[field] for field in fields),
                    *(one["currency"], total["span"], total["end"], before["expected"]["amount"]),
                    *(bounds["lower"], bounds["upper"], bounds["coverage"]),
                    *(total["afterCredits"]["expected"]["amount"], one["method"], one["errorPercent"]),
                ]
            )
    head = {name: found[name] for name in ("madeAt", "dataThrough", "isSimulated", "reason", "finalDays")}
    head["overriddenMonths"] = sorted({one["month"] for one in found["overrides"]})
    return answers.table(head, (*fields, *_COLUMNS), rows, limit=asked.limit, skip=asked.skip)


async def budget_status(caller: Caller, asked: BudgetsAsked) -> str:
    """How each budget stands."""
    variables = {"customer": asked.customer, "asOf": asked.as_of and asked.as_of.isoformat()}
    found = (await caller.ask(_STATUS, variables))["budgetStatus"]
    rows = [
        [
            one["budget"]["name"],
            one["budget"]["currency"],
            *(one[name] for name in _OF_BUDGETS),
            _converted(one),
        ]
        for one in found["nodes"]
    ]
    head: dict[str, Any] = {"budgets": len(rows), "isSimulated": any(one["isSimulated"] for one in found["nodes"])}
    if found["unusable"]:
        head["unusable"] = found["unusable"]
    has_more = found["pageInfo"]["hasNextPage"]
    columns = ("budget", "currency", *_OF_BUDGETS, "conversions")
    return answers.table(head, columns, rows, limit=len(rows), skip=asked.skip, has_more=has_more)


def _converted(one: dict[str, Any]) -> list[list[Any]]:
    """By which rates each other currency was converted: "spent" or "expected", currency, lowest and highest rate, last date, source."""
    return [
        [
            "expected" if of["isExpected"] else "spent",
            *(of[name] for name in ("currency", "lowestRate", "highestRate", "lastRateDate", "source")),
        ]
        for of in one["conversions"]
        if of["currency"] != one["budget"]["currency"]
    ]


async def create_budget(caller: Caller, asked: BudgetAsked) -> str:
    """The budget as it is kept."""
    budget = asked.model_dump(mode="json", by_alias=True, exclude={"customer"}, exclude_unset=True)
    found = (await caller.ask(_CREATE, {"customer": asked.customer, "budget": budget}))["createBudget"]
    if "budget" not in found:
        raise ToolFailed(f"{found['message']}. {found['remedy']}")
    return answers.document({"created": found["budget"]})
