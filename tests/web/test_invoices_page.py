"""The page Invoices: a month by account, what differs and where, and an invoice that an operator records."""

from __future__ import annotations

from decimal import Decimal

from site_world import HOSTILE, NOW, Site, spend
from test_states import text_of
from world import Customer

from optiinfra_api.web.filters import MINUS, NOTHING
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.invoices import Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer

OCTOBER = BillingPeriod(2026, 10)
FORM = {"invoiceId": "R-1", "issuer": "Cloud", "currency": "EUR", "total": "0.09", "document": "order 7"}


def october(customer: Customer) -> Slice:
    """The slice of October of the account that `spend` makes."""
    return Slice(customer.customer_id, "aws", spend(customer).account_id, OCTOBER)


def state(customer: Customer, slice_: Slice, total: str) -> None:
    """State an invoice of October in dollars, and compare."""
    parts = (
        InvoicePart("Usage", Decimal(total) - Decimal("77.5"), "Compute"),
        InvoicePart("Usage", Decimal("77.5"), "Storage"),
    )
    made = Invoice(
        invoice_id=f"I-1{HOSTILE}",
        issuer=HOSTILE,
        billing_period=OCTOBER,
        currency="USD",
        total=Decimal(total),
        parts=parts,
        document="javascript:alert(1)",
    )
    metadata = customer.world.metadata
    metadata.invoices.publish(slice_, "source", InvoiceStatement((made,)), NOW)
    reconcile_customer(metadata, customer.world.warehouse, customer.customer_id, NOW.replace(month=12, day=5))


def test_a_month_shows_what_differs_and_where_and_runs_nothing(site: Site) -> None:
    customer = site.world.customer()
    state(customer, october(customer), "400")
    with site.signed_in(customer.token) as browser:
        shown = browser.get("/invoices?month=2026-10")
        other = browser.get("/invoices?month=2026-09")
        assert browser.get("/invoices?month=x").status_code == 200
    said = text_of(shown)
    assert "Mismatch" in said
    assert f"{MINUS}12.50 USD {NOTHING} Usage, Compute" in said
    assert "Not stated" in said, "the charges in euro"
    assert "Record an invoice" not in said, "a viewer records none"
    assert HOSTILE not in shown.text
    assert "javascript:" not in shown.text.replace("javascript:alert(1)</td>", ""), "no link"
    assert "Nothing of this month is compared yet" in text_of(other)


def test_an_operator_records_an_invoice_and_what_is_refused_is_said(site: Site) -> None:
    customer, other = site.world.customer("operator"), site.world.customer("operator")
    slice_ = october(customer)
    with site.signed_in(customer.token) as browser:
        refused = browser.post("/invoices?month=2026-10", data={**FORM, "account": slice_.account_id, "total": "1,190"})
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
        assert 'value="R-1"' in refused.text, "what was typed stays"
        done = browser.post("/invoices?month=2026-10", data={**FORM, "account": slice_.account_id})
        assert done.status_code == 303, text_of(done)
        assert "R-1 Recorded" in text_of(browser.get(done.headers["location"]))
    with site.signed_in(other.token) as browser:
        stranger = browser.post("/invoices?month=2026-10", data={**FORM, "account": slice_.account_id})
        assert "does not exist" in text_of(stranger)
    with site.signed_in(site.world.metadata.tokens.issue("v", customer.customer_id, "viewer").plaintext) as browser:
        assert "role" in text_of(browser.post("/invoices?month=2026-10", data={**FORM, "account": slice_.account_id}))
