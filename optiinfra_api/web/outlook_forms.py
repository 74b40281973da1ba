"""The forms of the page Forecast and budgets: keep or remove a budget, and expect something else of a month than is forecast."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web import budget_form
from optiinfra_api.web.outlook import BUDGET, Refused, answered, may_change
from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit

_REFUSED: Final = "... on Refusal { message remedy }"
BUDGETS: Final = f"""query KeptBudgets($customer: String, $after: String) {{
  budgets(customerId: $customer, first: 1000, after: $after) {{ nodes {{ {BUDGET} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
CREATE: Final = f"""mutation CreateBudget($customer: String, $budget: BudgetInput!) {{
  done: createBudget(customerId: $customer, budget: $budget) {{ ... on BudgetSaved {{ budget {{ name }} }} {_REFUSED} }}
}}"""
CHANGE: Final = f"""mutation ChangeBudget($customer: String, $id: String!, $budget: BudgetInput!) {{
  done: changeBudget(customerId: $customer, budgetId: $id, budget: $budget) {{
    ... on BudgetSaved {{ budget {{ name }} }} {_REFUSED}
  }}
}}"""
REMOVE: Final = f"""mutation RemoveBudget($customer: String, $id: String!) {{
  done: removeBudget(customerId: $customer, budgetId: $id) {{ ... on BudgetRemoved {{ budget {{ name }} }} {_REFUSED} }}
}}"""
OVERRIDE: Final = f"""mutation Override(
  $customer: String, $month: Date!, $amount: Decimal, $currency: String, $factor: Decimal, $filter: CostFilter, $note: String!
) {{
  done: setForecastOverride(
    customerId: $customer, month: $month, amount: $amount, currency: $currency, factor: $factor, filter: $filter, note: $note
  ) {{ ... on ForecastOverrideSet {{ override {{ overrideId }} }} {_REFUSED} }}
}}"""
TAKE_BACK: Final = f"""mutation TakeBack($customer: String, $id: String!) {{
  done: removeForecastOverride(customerId: $customer, overrideId: $id) {{
    ... on ForecastOverrideRemoved {{ override {{ overrideId }} }} {_REFUSED}
  }}
}}"""
MOST_BYTES: Final = 64 * 1024
"""Of the form of a budget, which has many filters."""
_BY_ID: Final[Mapping[str, str]] = {"remove-budget": REMOVE, "remove-override": TAKE_BACK}


async def save_budget(visit: Visit) -> Response:
    """Make the budget of the form, or change the one that it names."""
    sent = _stripped(await read_form(visit.request, MOST_BYTES))
    budget: dict[str, Any] = {
        "name": sent.get("name", ""),
        "amount": sent.get("amount", ""),
        "currency": sent.get("currency", "").upper(),
        "cadence": sent.get("cadence", "MONTHLY"),
        "costBasis": sent.get("basis", "BILLED"),
        "filters": budget_form.filters_of(sent),
        "start": sent.get("start"),
        "end": budget_form.day_after(sent.get("last")),
        "amountsByMonth": budget_form.months_of(sent.get("months", "")),
    }
    if not (budget_id := sent.get("id")):
        return await _done(visit, CREATE, "budget", sent, budget=budget)
    if "keeps" in sent:
        budget["filters"] = await _filters(visit, budget_id)
    if visit.problems:
        return await _refused(visit, "budget", sent)
    return await _done(visit, CHANGE, "budget", sent, id=budget_id, budget=budget)


async def override(visit: Visit) -> Response:
    """Expect of a month what the form says."""
    sent = _stripped(await read_form(visit.request))
    amount = sent.get("amount")
    asked = {
        "month": f"{sent.get('month', '')}-01",
        "amount": amount,
        "currency": sent.get("currency", "").upper() if amount else None,
        "factor": sent.get("factor"),
        "filter": next(iter(budget_form.filters_of(sent)), None),
        "note": sent.get("note", ""),
    }
    return await _done(visit, OVERRIDE, "override", sent, **asked)


async def act(visit: Visit) -> Response:
    """Remove a budget or an override: what the last part of the path says."""
    document = _BY_ID[visit.request.url.path.rpartition("/")[2]]
    return await _done(visit, document, "", {}, id=(await read_form(visit.request)).get("id", ""))


async def _done(visit: Visit, document: str, form: str, sent: Mapping[str, str], **asked: Any) -> Response:
    """Change something and lead back; if it is refused, show the page with what was sent, and why it was refused at its form."""
    answer: dict[str, Any] = (await visit.ask(document, customer=visit.customer_id, **asked)).get("done") or {}
    if "message" in answer:
        visit.problems.append({"message": answer["message"], "remedy": answer["remedy"]})
    if not visit.problems:
        return redirect(visit.link("/forecast"))
    return await _refused(visit, form, sent)


async def _refused(visit: Visit, form: str, sent: Mapping[str, str]) -> Response:
    refused = Refused(form, sent)
    if form and may_change(visit):
        refused.problems.extend(visit.problems)
        visit.problems.clear()
    return await answered(visit, refused, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _filters(visit: Visit, budget_id: str) -> list[dict[str, Any]]:
    """The filters of a budget, which the form does not show: a change is of all of it, so that what is not given is lost."""
    after, more = None, True
    while more:
        found = (await visit.ask(BUDGETS, customer=visit.customer_id, after=after)).get("budgets") or {}
        for one in found.get("nodes", []):
            if one["budgetId"] == budget_id:
                return budget_form.as_given(one["filters"])
        info = found.get("pageInfo") or {}
        after, more = info.get("endCursor"), info.get("hasNextPage", False)
    return []


def _stripped(sent: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name, value in sent.items() if value.strip()}
