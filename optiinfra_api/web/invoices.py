"""Month by account: what its invoices state, what its costs are, and where they differ; and the form that records an invoice."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.accounts import BillingPeriod

MOST_ROWS: Final = 200
MONTHS_BACK: Final = 13
STATES: Final = {
    "RECONCILED": ("good", "Reconciled"),
    "MISMATCH": ("wrong", "Mismatch"),
    "PROVISIONAL": ("open", "Provisional"),
    "OPEN": ("open", "Not over"),
    "NOT_STATED": ("", "Not stated"),
}
"""Status -> class of its badge, and what it is called."""
INVOICES: Final = """query Invoices($customer: String, $month: String!, $first: Int!, $after: String) {
  reconciliation(customerId: $customer, fromMonth: $month, toMonth: $month, first: $first, after: $after) {
    nodes {
      account provider issuer status reason since
      ours { amount currency } stated { amount } notInCosts { amount } difference { amount } tolerance { amount }
      unassigned unassignedCost { amount }
      gaps { chargeCategory service date amount { amount } invoiceId foundBy }
    }
    pageInfo { hasNextPage endCursor }
  }
  invoices(customerId: $customer, fromMonth: $month, toMonth: $month, first: 1000) {
    nodes {
      account origin notStated
      invoices { invoiceId issuer status total { amount currency } tax { amount } issuedAt dueOn document corrects }
    }
  }
  accounts(customerId: $customer, first: 1000) { nodes { id } }
}"""
RECORD: Final = """mutation RecordInvoice($customer: String, $account: String!, $month: String!, $invoice: RecordedInvoice!) {
  recordInvoice(customerId: $customer, account: $account, month: $month, invoice: $invoice) {
    ... on InvoiceRecorded { invoice { invoiceId } }
    ... on InvoiceNotAccepted { message remedy }
  }
}"""
_FIELDS: Final = ("invoiceId", "issuer", "currency", "total", "tax", "document", "dueOn")


async def show(visit: Visit) -> Response:
    """Answer a month: the one that the address names, else the last one that is over."""
    return await _page(visit, {})


async def record(visit: Visit) -> Response:
    """Record the invoice of the form and lead to its month; what is refused is said above the form."""
    sent = await read_form(visit.request)
    given = {name: sent[name].strip() for name in _FIELDS if sent.get(name, "").strip()}
    asked = {"account": sent.get("account", ""), "month": _month(visit), "invoice": given}
    answer: dict[str, Any] = (await visit.ask(RECORD, customer=visit.customer_id, **asked)).get("recordInvoice") or {}
    if "invoice" in answer:
        return redirect(visit.link("/invoices", month=_month(visit)))
    if answer:
        visit.problems.append(answer)
    return await _page(visit, sent, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _page(visit: Visit, sent: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> Response:
    if visit.customer_id is None:
        return visit.shown("no_customer", "Invoices")
    month, after = _month(visit), visit.request.query_params.get("after") or None
    found = await visit.ask(INVOICES, customer=visit.customer_id, month=month, first=MOST_ROWS, after=after)
    compared = found.get("reconciliation") or {}
    info = compared.get("pageInfo") or {}
    current = BillingPeriod.of(visit.now)
    stated = (found.get("invoices") or {}).get("nodes", [])
    return visit.shown(
        "invoices",
        "Invoices",
        status,
        month=month,
        months=[str(current.shift(-back)) for back in range(MONTHS_BACK + 1)],
        rows=compared.get("nodes", []),
        states=STATES,
        invoices=[
            {**one, "account": node["account"], "origin": node["origin"]} for node in stated for one in node["invoices"]
        ],
        accounts=[one["id"] for one in (found.get("accounts") or {}).get("nodes", [])],
        sent=sent,
        more=visit.link("/invoices", month=month, after=info["endCursor"]) if info.get("hasNextPage") else None,
    )


def _month(visit: Visit) -> str:
    asked = visit.request.query_params.get("month", "")
    try:
        return str(BillingPeriod.parse(asked))
    except ValueError:
        return str(BillingPeriod.of(visit.now).shift(-1))
