"""Reads invoices by ListInvoiceSummaries of the Invoicing API (2024-12-01), which is free.

A credit memo is an invoice whose amounts lower what is owed, whichever sign it states. A receipt of a payment is no invoice. The API
states totals and taxes, and no services.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.invoices import Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.providers.http.boto_client import BotoCalls
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import Page, items

WHERE: Final = "invoicing:ListInvoiceSummaries"
CREDIT_MEMO: Final = "CREDIT_MEMO"
KINDS: Final = ("INVOICE", CREDIT_MEMO)


def listed_invoices(client: Any, calls: BotoCalls, account_number: str, period: BillingPeriod) -> InvoiceStatement:
    """Returns the invoices of an account that bill a month.

    Args:
        client: boto3 client of the service.
        calls: makes its calls.
        account_number: the account that receives the invoices.
        period: the month.

    Raises:
        ProviderError: they could not be read.
    """
    asked = {
        "Selector": {"ResourceType": "ACCOUNT_ID", "Value": account_number},
        "Filter": {"BillingPeriod": {"Year": period.year, "Month": period.month}},
    }

    def read(token: str | None) -> Page[JsonFields]:
        more = {"NextToken": token} if token else {}
        said = calls(lambda: client.list_invoice_summaries(**asked, **more), WHERE, WHERE)
        answer = JsonFields(said, WHERE, calls.hide)
        return Page(answer.objects("InvoiceSummaries"), answer.text_or_none("NextToken"))

    return InvoiceStatement(tuple(_invoices(items(read, WHERE, may_be_empty=True), period)))


def _invoices(found: Iterator[JsonFields], period: BillingPeriod) -> Iterator[Invoice]:
    for summary in found:
        kind = summary.text_or_none("InvoiceType") or KINDS[0]
        if kind in KINDS:
            yield _invoice(summary, period, is_credit=kind == CREDIT_MEMO)


def _invoice(summary: JsonFields, period: BillingPeriod, *, is_credit: bool) -> Invoice:
    amount = summary.object("BaseCurrencyAmount")
    entity = summary.object_or_none("Entity")
    issued_at, due_at = (_instant(summary.values.get(name)) for name in ("IssuedDate", "DueDate"))
    breakdown = amount.object_or_none("AmountBreakdown")
    taxes = breakdown.object_or_none("Taxes") if breakdown else None
    tax = taxes.money_or_none("TotalAmount") if taxes else None
    return Invoice(
        invoice_id=summary.identifier("InvoiceId"),
        issuer=(entity.text_or_none("InvoicingEntity") if entity else None) or "Amazon Web Services, Inc.",
        billing_period=period,
        currency=amount.text("CurrencyCode"),
        total=_signed(amount.money("TotalAmount"), is_credit=is_credit),
        parts=(InvoicePart("Tax", _signed(tax, is_credit=is_credit)),) if tax else (),
        issued_at=issued_at,
        due_on=due_at.date() if due_at else None,
        corrects=summary.text_or_none("OriginalInvoiceId") or "",
    )


def _signed(amount: Decimal, *, is_credit: bool) -> Decimal:
    return amount.copy_abs().copy_negate() if is_credit else amount


def _instant(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None
