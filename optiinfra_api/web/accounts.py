"""Accounts: how each is doing, collecting it now, and where the figures of its months come from."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.exploring.periods import Days, preset
from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit

ACCOUNT: Final = """id provider isActive isSimulated createdAt lastProbeAt lastChangeAt lastError notProbedBefore
      lastPublishedAt lastCollectedAt dataThrough knownBillingPeriods dueBillingPeriods requests
      requestCost { amount currency }
      failures { billingPeriod message fault since retryAt failures remedy }"""
LIST: Final = f"""query Accounts($customer: String) {{
  accounts(customerId: $customer, first: 1000) {{
    nodes {{
      {ACCOUNT}
    }}
  }}
}}"""
ONE: Final = f"""query Account($customer: String, $account: String!, $filter: CostFilter, $year: Period!) {{
  accounts(customerId: $customer, account: $account, first: 1) {{
    nodes {{
      {ACCOUNT}
    }}
  }}
  months: collectionHistory(customerId: $customer, account: $account, first: 25) {{
    nodes {{ billingPeriod status trigger queuedAt endedAt generation lineItems error warnings {{ message }} }}
  }}
  restatements(customerId: $customer, period: $year, filter: $filter, first: 10) {{
    nodes {{ billingPeriod generation previousGeneration publishedAt changes {{ date service currency before after }} }}
  }}
}}"""
LINEAGE: Final = """query Lineage($customer: String, $account: String!, $month: String!) {
  lineage(customerId: $customer, account: $account, billingPeriod: $month, first: 20) {
    generations {
      generation publishedAt supersededAt isKept lineItems totals { currency billedCost } controlTotals { amount currency }
      dataThrough isFinal isSimulated runUrl warnings { message }
    }
  }
}"""
COLLECT: Final = """mutation Collect($customer: String, $account: String) {
  triggerCollection(customerId: $customer, account: $account) {
    ... on CollectionQueued { taskId slices }
    ... on NothingToCollect { message remedy }
    ... on BillingPeriodNotAccepted { message remedy }
    ... on TooManyOpenCollections { message remedy }
    ... on DagsterUnavailable { message remedy }
  }
}"""
TASK: Final = """query Task($customer: String, $task: String!) {
  collectionStatus(customerId: $customer, taskId: $task) { state total done error }
}"""

_MONTH: Final = re.compile(r"\d{4}-\d{2}")
_RUNNING: Final = ("QUEUED", "RUNNING", "RETRYING")


async def show(visit: Visit) -> Response:
    """Answer the list of accounts."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Accounts")
    found = await visit.ask(LIST, customer=visit.customer_id)
    accounts = found.get("accounts")
    return visit.shown("accounts", "Accounts", accounts=accounts and accounts["nodes"], task=await _task(visit))


async def show_one(visit: Visit) -> Response:
    """Answer the page of one account; with ``month`` in the address, also the generations of that month."""
    account = visit.request.query_params.get("account", "")
    # Corrections of a year ago still come; the days are those of the charges.
    year = preset("12-months", visit.now.date())
    days = Days(year.start, year.end)
    asked = {"customer": visit.customer_id, "account": account, "year": days.graphql, "filter": {"account": [account]}}
    found = await visit.ask(ONE, **asked)
    nodes = (found.get("accounts") or {}).get("nodes", [])
    if not nodes and not visit.problems:
        return visit.shown("no_account", "No such account", HTTPStatus.NOT_FOUND, account=account)
    month = visit.request.query_params.get("month", "")
    months = sorted({one["billingPeriod"] for one in (found.get("months") or {}).get("nodes", [])}, reverse=True)
    return visit.shown(
        "account",
        account,
        account=nodes[0] if nodes else None,
        found=found,
        months=months,
        month=month,
        generations=await _generations(visit, account, month) if _MONTH.fullmatch(month) else None,
        task=await _task(visit),
    )


async def collect(visit: Visit) -> Response:
    """Have an account collected, or all of them, and lead back to where that was asked for."""
    account = (await read_form(visit.request)).get("account")
    found = await visit.ask(COLLECT, customer=visit.customer_id, account=account)
    answer: dict[str, Any] = found.get("triggerCollection") or {}
    if "taskId" in answer:
        path = visit.link("/accounts/account", account=account, task=answer["taskId"]) if account else None
        return redirect(path or visit.link("/accounts", task=answer["taskId"]))
    if answer:
        visit.problems.append(answer)
    return await (show_one if account and "account" in visit.request.query_params else show)(visit)


async def _generations(visit: Visit, account: str, month: str) -> list[dict[str, Any]]:
    found = await visit.ask(LINEAGE, customer=visit.customer_id, account=account, month=month)
    generations: list[dict[str, Any]] = (found.get("lineage") or {}).get("generations", [])
    return generations


async def _task(visit: Visit) -> dict[str, Any] | None:
    """How the collection stands that the address names, for as long as it is under way or its end is news."""
    task = visit.request.query_params.get("task")
    if not task:
        return None
    status = (await visit.ask(TASK, customer=visit.customer_id, task=task)).get("collectionStatus")
    return status and {**status, "is_running": status["state"] in _RUNNING}
