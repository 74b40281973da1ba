"""Writes invoices as the Invoicing API lists them. It states a credit memo with positive amounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from optiinfra_assets.simulators.invoices import SimulatedInvoice


def invoice_summary(invoice: SimulatedInvoice, account: str, currency: str) -> dict[str, Any]:
    """Return an invoice as the API lists it; `account` is the number of the account that receives it."""
    is_credit = invoice.total < 0
    sign = -1 if is_credit else 1
    return {
        "AccountId": account,
        "InvoiceId": invoice.invoice_id,
        "IssuedDate": int(invoice.issued_at.timestamp()),
        "DueDate": int((invoice.issued_at + timedelta(days=30)).timestamp()),
        "ReceiverRole": "BUYER",
        "Entity": {"InvoicingEntity": "Amazon Web Services, Inc.", "BillingEntity": "AWS"},
        "BillingPeriod": {"Month": invoice.period.month, "Year": invoice.period.year},
        "InvoiceType": "CREDIT_MEMO" if is_credit else "INVOICE",
        "OriginalInvoiceId": invoice.corrects,
        "BaseCurrencyAmount": {
            "TotalAmount": f"{sign * invoice.total:f}",
            "TotalAmountBeforeTax": f"{sign * (invoice.total - invoice.tax):f}",
            "CurrencyCode": currency,
            "AmountBreakdown": {
                "SubTotalAmount": f"{sign * invoice.charges:f}",
                "Discounts": {"TotalAmount": f"{sign * invoice.credits:f}"},
                "Taxes": {"TotalAmount": f"{sign * invoice.tax:f}"},
            },
        },
    }
