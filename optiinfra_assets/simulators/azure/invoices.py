"""Writes invoices as Microsoft.Billing lists them. It states a credit note with positive amounts, and documents with a signed address."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.simulators.invoices import SimulatedInvoice
from optiinfra_assets.simulators.server.wire import zulu

ASKED_DATES: Final = ("periodStartDate", "periodEndDate")


def asked_day(text: str) -> date:
    """Return a day that a request asks for, which the API takes as month, day and year."""
    month, day, year = map(int, text.split("-"))
    return date(year, month, day)


def invoice_of(invoice: SimulatedInvoice, currency: str, url: str) -> dict[str, Any]:
    """Return an invoice as the API lists it; `url` is the address of the cloud."""
    is_credit = invoice.total < 0
    sign = -1 if is_credit else 1

    def amount(value: Decimal) -> dict[str, Any]:
        return {"currency": currency, "value": f"{value:f}"}

    return {
        "id": f"/providers/Microsoft.Billing/billingAccounts/default/invoices/{invoice.invoice_id}",
        "name": invoice.invoice_id,
        "type": "Microsoft.Billing/billingAccounts/invoices",
        "properties": {
            "documentType": "CreditNote" if is_credit else "Invoice",
            "status": "Due",
            "invoiceDate": zulu(invoice.issued_at),
            "dueDate": zulu(invoice.issued_at + timedelta(days=30)),
            "invoicePeriodStartDate": zulu(invoice.period.start),
            "invoicePeriodEndDate": zulu(invoice.period.end - timedelta(days=1)),
            "billedAmount": amount(sign * invoice.charges),
            "azurePrepaymentApplied": amount(-invoice.credits),
            "subTotal": amount(sign * (invoice.charges + invoice.credits)),
            "taxAmount": amount(sign * invoice.tax),
            "totalAmount": amount(sign * invoice.total),
            "creditForDocumentId": invoice.corrects or None,
            "documents": [{"kind": "Invoice", "url": f"{url}/documents/{invoice.invoice_id}?sig=expires"}],
        },
    }
