"""`recordInvoice`, `invoices` and `reconciliation`: what is refused, what stays readable, and what a filter shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.ingestion.reconciling import reconcile_customer

OCTOBER = BillingPeriod(2026, 10)
GIVEN = {"invoiceId": "R-1", "issuer": "Cloud", "currency": "USD", "total": "12.50"}
RECORD = """mutation($account: String!, $month: String!, $invoice: RecordedInvoice!) {
  recordInvoice(account: $account, month: $month, invoice: $invoice) {
    ... on InvoiceRecorded { invoice { invoiceId total { amount } tax { amount } status } }
    ... on Refusal { code message }
  }
}"""
STANDS = """query($status: ReconciliationStatus, $asOf: DateTime) {
  reconciliation(first: 9, status: $status, asOf: $asOf) { nodes { status since difference { amount } invoiceIds } }
}"""


def operator(world: World) -> Customer:
    """Of a customer with costs of October."""
    customer = world.customer("operator")
    account = Account(f"{customer.customer_id}.main", customer.customer_id, "focus")
    world.metadata.accounts.add(account)
    slice_ = slice_of(customer.customer_id, "main", OCTOBER)
    customer.publish(slice_, [Charge(date(2026, 10, 1), Decimal("12.5"))])
    return customer


@pytest.fixture
def customer(world: World) -> Customer:
    return operator(world)


@pytest.fixture(scope="module")
def without_invoices(world: World) -> Customer:
    """One for all tests that store nothing."""
    return operator(world)


def record(customer: Customer, month: str = "2026-10", **changed: Any) -> dict[str, Any]:
    """Record an invoice of the account."""
    asked = {"account": f"{customer.customer_id}.main", "month": month, "invoice": GIVEN | changed}
    found: dict[str, Any] = customer.data(RECORD, **asked)["recordInvoice"]
    return found


def compared(customer: Customer, day: int) -> list[dict[str, Any]]:
    """Compare on a day of December; how it stands then."""
    now = datetime(2026, 12, day, tzinfo=UTC)
    reconcile_customer(customer.world.metadata, customer.world.warehouse, customer.customer_id, now)
    found: list[dict[str, Any]] = customer.data(STANDS)["reconciliation"]["nodes"]
    return found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"currency": "usd"}, "currency: 'usd' is not accepted"),
        ({"total": "1,250.00"}, "total: '1,250.00' is not accepted"),
        ({"total": "1e9"}, "total: '1e9'"),
        ({"total": "NaN"}, "total: 'NaN'"),
        ({"total": "9" * 40}, "total: "),
        ({"tax": "12.50 "}, "tax: "),
        ({"tax": "-1"}, "tax: -1 is not accepted: it has the sign of the total"),
        ({"invoiceId": ""}, "invoiceId: '' is not accepted"),
        ({"invoiceId": "x\u0007"}, "invoiceId: "),
        ({"issuer": "x" * 201}, "issuer: "),
        ({"document": "a\nb"}, "document: "),
        ({"month": "2026-13"}, "2026-13"),
        ({"month": "October"}, "month: 'October' is not accepted"),
        ({"month": "9999-12"}, "month: '9999-12' is not accepted"),
        ({"month": "0000-01"}, "month: '0000-01' is not accepted"),
    ],
)
def test_what_is_not_accepted_is_named_and_nothing_is_stored(
    without_invoices: Customer, changed: dict[str, str], said: str
) -> None:
    found = record(without_invoices, **changed)
    assert (found["code"], said in found["message"]) == ("INVOICE_NOT_ACCEPTED", True), found
    assert without_invoices.data("{ invoices(first: 9) { nodes { account } } }")["invoices"]["nodes"] == []


def test_an_invoice_is_recorded_compared_replaced_and_taken_back(customer: Customer) -> None:
    assert [one["status"] for one in compared(customer, 1)] == ["NOT_STATED"]
    assert record(customer, tax="2")["invoice"]["tax"] == {"amount": "2"}
    (agreed,) = compared(customer, 2)
    assert (agreed["status"], agreed["difference"], agreed["invoiceIds"]) == ("RECONCILED", {"amount": "0"}, ["R-1"])
    record(customer, total="-100")
    (wrong,) = compared(customer, 3)
    assert (wrong["status"], wrong["difference"]["amount"]) == ("MISMATCH", "112.5")
    record(customer, status="VOIDED", total="-100")
    (voided,) = compared(customer, 4)
    assert (voided["status"], voided["difference"]["amount"]) == ("MISMATCH", "12.5")
    record(customer)
    assert [one["status"] for one in compared(customer, 5)] == ["RECONCILED"]
    for day, status in ((1, "NOT_STATED"), (2, "RECONCILED"), (3, "MISMATCH"), (4, "MISMATCH")):
        (then,) = customer.data(STANDS, asOf=f"2026-12-0{day}T12:00:00Z")["reconciliation"]["nodes"]
        assert then["status"] == status
    assert then["since"] == "2026-12-03T00:00:00Z", "a mismatch since it was one"
    assert customer.data(STANDS, status="MISMATCH")["reconciliation"]["nodes"] == []
    assert len(customer.data(STANDS, status="RECONCILED")["reconciliation"]["nodes"]) == 1
