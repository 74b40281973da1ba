"""Reads what InvoiceDetail files state of the invoices of a month: a row of the dataset is a part of an invoice.

Source: FOCUS specification 1.4, dataset InvoiceDetail. Rows of one issuer, invoice and currency are one invoice. It is open as long as one
of them is, and corrects the invoice that one of them refers to. A detail that is delivered again counts as it was changed last, and one
that is voided not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.focus_datasets import INVOICE_DETAIL
from optiinfra_assets.domain.invoices import OPEN, VOIDED, Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.providers.focus_files.datasets import rows_of
from optiinfra_assets.providers.focus_files.survey import Survey

NOT_STATED: Final = f"there is no FOCUS dataset {INVOICE_DETAIL} among the files: record the invoices"
Row = dict[str, Any]
_ID: Final = "InvoiceDetailId"
_LAST_UPDATED: Final = "InvoiceDetailLastUpdated"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def invoices_of(survey: Survey, period: BillingPeriod) -> InvoiceStatement:
    """Return what the files of a location state of the invoices of a month.

    Raises:
        BadData: a row is not accepted; names file, row, line, column and what is accepted.
        ProviderError: a file cannot be read.
    """
    files = survey.of_dataset(INVOICE_DETAIL)
    if not files:
        return InvoiceStatement(not_stated=NOT_STATED)
    found: dict[tuple[str, str, str], list[Row]] = {}
    sources: list[Mapping[str, str]] = []
    for file in files:
        rows = [one for one in rows_of(survey.location, file, INVOICE_DETAIL) if _is_of(period, one)]
        for one in rows:
            key = (one["InvoiceIssuerName"], one["InvoiceId"], one["BillingCurrency"])
            found.setdefault(key, []).append(one)
        if rows:
            sources.append({"file": file.name, "version": file.version, "rows": str(len(rows))})
    invoices = tuple(_invoice(*key, _standing(rows), period) for key, rows in sorted(found.items()))
    return InvoiceStatement(invoices, sources=tuple(sources))


def _is_of(period: BillingPeriod, row: Row) -> bool:
    return BillingPeriod.of(row["BillingPeriodStart"]) == period


def _standing(rows: list[Row]) -> list[Row]:
    """Return the rows of an invoice that count: of a detail those that were changed last; none that is voided, unless all are."""
    newest: dict[str, datetime] = {}
    for one in rows:
        newest[one[_ID]] = max(newest.get(one[_ID], _NEVER), one[_LAST_UPDATED] or _NEVER)
    last = [one for one in rows if not one[_ID] or (one[_LAST_UPDATED] or _NEVER) == newest[one[_ID]]]
    return [one for one in last if one["InvoiceIssueStatus"] != VOIDED] or last


def _invoice(issuer: str, invoice_id: str, currency: str, rows: list[Row], period: BillingPeriod) -> Invoice:
    parts = [InvoicePart(one["ChargeCategory"], one["BilledCost"], _service(one["InvoiceDetailGrain"])) for one in rows]
    corrected = {one["ReferenceInvoiceId"] for one in rows} - {None, "", invoice_id}
    return Invoice(
        invoice_id=invoice_id,
        issuer=issuer,
        billing_period=period,
        currency=currency,
        total=exact_sum(part.amount for part in parts),
        parts=_joined(parts),
        status=_status({one["InvoiceIssueStatus"] for one in rows}),
        issued_at=max((one["InvoiceIssueDate"] for one in rows if one["InvoiceIssueDate"]), default=None),
        due_on=max((one["PaymentDueDate"].date() for one in rows if one["PaymentDueDate"]), default=None),
        corrects=min(corrected, default=""),
    )


def _joined(parts: Iterable[InvoicePart]) -> tuple[InvoicePart, ...]:
    """Add up the parts of one category and service: an invoice may have thousands of details."""
    amounts: dict[tuple[str, str], list[Any]] = {}
    for one in parts:
        amounts.setdefault((one.charge_category, one.service), []).append(one.amount)
    return tuple(
        InvoicePart(category, exact_sum(some), service) for (category, service), some in sorted(amounts.items())
    )


def _status(said: set[str]) -> str:
    """Open as long as a part is; voided if all parts are, which then are all that is left."""
    return OPEN if OPEN in said else said.pop()


def _service(grain: str | None) -> str:
    """Return the service that the grain of a detail names; nothing if it is of another grain."""
    found = json.loads(grain).get("ServiceName") if grain else None
    return found if isinstance(found, str) else ""
