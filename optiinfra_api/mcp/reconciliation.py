"""The tool that says whether the costs of a month are what was invoiced, and where they are not."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any, Final

from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import ReconciliationAsked
from optiinfra_api.mcp.caller import Caller

RECONCILIATION: Final = """query McpReconciliation($customer: String, $month: String!, $account: String, $asOf: DateTime) {
  reconciliation(customerId: $customer, fromMonth: $month, toMonth: $month, account: $account, asOf: $asOf, first: 1000) {
    nodes {
      account issuer status reason since invoiceIds
      ours { amount currency } stated { amount } notInCosts { amount } difference { amount } tolerance { amount }
      gaps { chargeCategory service date amount { amount } invoiceId foundBy }
    }
    pageInfo { hasNextPage }
  }
}"""
_COLUMNS: Final = (
    *("account", "issuer", "status", "reason", "since", "currency"),
    *("ours", "stated", "notInCosts", "difference", "tolerance", "gaps"),
)
_FIRST: Final = {"MISMATCH": 0, "NOT_STATED": 1, "PROVISIONAL": 2, "OPEN": 3, "RECONCILED": 4}
"""What needs a person comes first."""
_MOST_GAPS: Final = 3


async def reconcile_month(caller: Caller, asked: ReconciliationAsked) -> str:
    """Each account's costs of a month against its invoices, those that do not agree first."""
    month = asked.month or _last_month(caller.today)
    as_of = asked.as_of and asked.as_of.isoformat()
    variables = {"customer": asked.customer, "month": month, "account": asked.account, "asOf": as_of}
    found = (await caller.ask(RECONCILIATION, variables))["reconciliation"]
    nodes = sorted(found["nodes"], key=lambda one: (_FIRST[one["status"]], one["account"], one["issuer"]))
    head = {"month": month, "states": Counter(one["status"] for one in nodes)}
    rows = [_row(one) for one in nodes]
    has_more = found["pageInfo"]["hasNextPage"]
    return answers.table(head, _COLUMNS, rows, limit=asked.limit, skip=asked.skip, has_more=has_more)


def _row(one: dict[str, Any]) -> list[Any]:
    amounts = (
        one[name] and one[name]["amount"] for name in ("ours", "stated", "notInCosts", "difference", "tolerance")
    )
    gaps = [{**gap, "amount": gap["amount"]["amount"]} for gap in one["gaps"][:_MOST_GAPS]]
    said = (one[name] for name in ("account", "issuer", "status", "reason", "since"))
    return [*said, one["ours"]["currency"], *amounts, gaps]


def _last_month(today: date) -> str:
    return f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
