"""Reads invoices by the REST API of Microsoft.Billing (2024-04-01): of a billing account, a billing profile or a subscription.

Its ``totalAmount`` is what is to be paid: charges, less credits that pay for them, plus tax. Line items are before credits and tax, so
both are stated apart. A credit note lowers what is owed, whichever sign it states.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.invoices import ISSUED, VOIDED, Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.providers.azure.scope import ScopeClient, invoices_path
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import Page, items

if TYPE_CHECKING:
    from optiinfra_assets.providers.azure.entra import EntraSession

API_VERSION: Final = "2024-04-01"
PERMISSION: Final = "a reader role of the billing scope, such as Billing account reader, or Reader of the subscription"
ISSUER: Final = "Microsoft"
NOT_IN_COSTS: Final = frozenset({"Tax", "Credit"})
NO_SCOPE: Final = (
    "invoices belong to a subscription, a billing account or a billing profile, and this account is read by {}: "
    "name the one that is billed as invoice_scope, or record the invoices"
)
LATEST: Final = timedelta(days=62)
"""How long after the end of a month its invoices, and credit notes for it, are asked for."""

_CREDITS: Final = ("azurePrepaymentApplied", "freeAzureCreditAmount")


def listed_invoices(scope: str | None, endpoint: str, service: EntraSession, period: BillingPeriod) -> InvoiceStatement:
    """Returns the invoices that bill a month.

    Args:
        scope: whose invoices bill the costs, or of the costs; None for an export without one.
        endpoint: address of Azure Resource Manager.
        service: signs in and makes the requests.
        period: the month.

    Raises:
        ProviderError: they could not be read.
    """
    path = invoices_path(scope or "")
    if scope is None or path is None:
        return InvoiceStatement(not_stated=NO_SCOPE.format(scope or "an export in Blob storage"))
    with ScopeClient(scope, endpoint, service) as client:
        until = (period.end + LATEST).date()
        asked = {"api-version": API_VERSION, "periodStartDate": _us(period.start.date()), "periodEndDate": _us(until)}

        def read(token: str | None) -> Page[JsonFields]:
            answer = client.get(token or path, {} if token else asked, PERMISSION)
            return Page(answer.objects("value"), _below(answer, endpoint))

        found = [_invoice(one) for one in items(read, f"GET {path}", may_be_empty=True)]
    mine = tuple(one for one in found if one.billing_period == period)
    return InvoiceStatement(mine, not_in_costs=NOT_IN_COSTS)


def _below(answer: JsonFields, endpoint: str) -> str | None:
    """Path and query of the next page, which must be at the same endpoint."""
    link = answer.text_or_none("nextLink")
    if link is not None and not link.startswith(f"{endpoint.rstrip('/')}/"):
        answer.refuse("nextLink", "an address at the same endpoint")
    return link and link.removeprefix(endpoint.rstrip("/"))


def _invoice(fields: JsonFields) -> Invoice:
    said = fields.object("properties")
    currency, total = _amount(said, "totalAmount")
    is_credit = said.text_or_none("documentType") == "CreditNote"
    tax = _optional(said, "taxAmount")
    credit = exact_sum(_optional(said, name).copy_abs() for name in _CREDITS).copy_negate()
    parts = [("Tax", tax.copy_abs().copy_negate() if is_credit else tax), ("Credit", credit)]
    due_at = said.optional("dueDate", JsonFields.time, None)
    return Invoice(
        invoice_id=fields.identifier("name"),
        issuer=ISSUER,
        billing_period=BillingPeriod.of(said.time("invoicePeriodStartDate")),
        currency=currency,
        total=total.copy_abs().copy_negate() if is_credit else total,
        parts=tuple(InvoicePart(category, amount) for category, amount in parts if amount),
        status=VOIDED if (said.text_or_none("status") or "").startswith("Void") else ISSUED,
        issued_at=said.optional("invoiceDate", JsonFields.time, None),
        due_on=due_at.date() if due_at else None,
        document=_document(said),
        corrects=said.text_or_none("creditForDocumentId") or "",
    )


def _amount(said: JsonFields, name: str) -> tuple[str, Decimal]:
    amount = said.object(name)
    return amount.text("currency"), amount.money("value")


def _optional(said: JsonFields, name: str) -> Decimal:
    amount = said.object_or_none(name)
    return amount.money("value") if amount else Decimal(0)


def _document(said: JsonFields) -> str:
    """Address of the first document, without what it is signed with, which expires."""
    documents = said.optional("documents", JsonFields.objects, [])
    urls = (one.text_or_none("url") for one in documents)
    return next((url.split("?")[0] for url in urls if url), "")


def _us(day: date) -> str:
    """A day as this API takes it."""
    return f"{day:%m-%d-%Y}"
