"""Invoices as whoever issues them states them, to compare line items with. Amounts are exact, and all in the currency of the invoice.

Source of the words: FOCUS 1.4, dataset InvoiceDetail (InvoiceId, InvoiceIssuerName, InvoiceIssueStatus, ChargeCategory, PaymentDueDate,
ReferenceInvoiceId). A row of that dataset is an `InvoicePart` here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.exact_amounts import EXACT, exact_sum, plain

OPEN: Final = "Open"
"""Status of an invoice that may still change."""
ISSUED: Final = "Issued"
VOIDED: Final = "Voided"
"""Status of an invoice that was taken back; its amount counts for nothing."""
STATUSES: Final = (OPEN, ISSUED, VOIDED)
SOURCE: Final = "source"
"""Origin of what the provider of an account states."""
PERSON: Final = "person"
"""Origin of what a person recorded."""
CATEGORIES: Final = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
"""Values of ChargeCategory."""


@dataclass(frozen=True, slots=True)
class InvoicePart:
    """A part of an invoice that is stated apart.

    Attributes:
        charge_category: FOCUS ChargeCategory.
        amount: negative for what is taken off.
        service: as in ServiceName of the line items; empty if the part is not of one service.
    """

    charge_category: str
    amount: Decimal
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice, or a credit memo, whose total is negative.

    Attributes:
        issuer: name of the company that sends it, as in InvoiceIssuerName of the line items.
        billing_period: the month that it bills, in which its line items are.
        total: with tax and credits, before payments.
        parts: what is stated of the total by charge category, and by service within it; they may lack some of it, or all.
        status: one of `STATUSES`.
        issued_at: UTC instant, None if it is not stated.
        due_on: day until which it is to be paid, None if it is not stated.
        document: address or reference of the document; empty if there is none.
        corrects: id of the invoice that a credit memo corrects; empty for none.
    """

    invoice_id: str
    issuer: str
    billing_period: BillingPeriod
    currency: str
    total: Decimal
    parts: tuple[InvoicePart, ...] = ()
    status: str = ISSUED
    issued_at: datetime | None = None
    due_on: date | None = None
    document: str = ""
    corrects: str = ""

    @property
    def is_voided(self) -> bool:
        """Whether it was taken back: then neither its total nor its parts count. One of nothing was not: credits may have paid it."""
        return self.status == VOIDED

    @property
    def counted(self) -> Decimal:
        """What it bills: its total, nothing if it is voided."""
        return Decimal(0) if self.is_voided else self.total

    @property
    def tax(self) -> Decimal | None:
        """The tax that it states, None if it states none apart."""
        taxes = [part.amount for part in self.parts if part.charge_category == "Tax"]
        return exact_sum(taxes) if taxes else None

    def by_category(self) -> dict[str, Decimal]:
        """Return the stated amounts by charge category."""
        found: dict[str, list[Decimal]] = {}
        for part in self.parts:
            found.setdefault(part.charge_category, []).append(part.amount)
        return {category: exact_sum(amounts) for category, amounts in found.items()}


@dataclass(frozen=True, slots=True)
class InvoiceStatement:
    """All invoices of one account and billing period that a source states, complete.

    Attributes:
        invoices: none if the source states that there is none yet.
        not_stated: why the source cannot state invoices of this account, in one sentence; empty if it can.
        not_in_costs: charge categories that line items of this source never have, such as Tax; they are no difference.
        sources: lineage: where the invoices came from.
    """

    invoices: tuple[Invoice, ...] = ()
    not_stated: str = ""
    not_in_costs: frozenset[str] = frozenset()
    sources: tuple[Mapping[str, str], ...] = ()

    def content(self) -> str:
        """Return all of it but the lineage as JSON: equal texts for equal statements, whatever the order of the invoices."""
        return json.dumps(
            {
                "invoices": sorted(map(_written, self.invoices), key=lambda one: (one["issuer"], one["invoice_id"])),
                "not_stated": self.not_stated,
                "not_in_costs": sorted(self.not_in_costs),
            }
        )

    @classmethod
    def of(cls, content: str, sources: Iterable[Mapping[str, str]] = ()) -> InvoiceStatement:
        """Read what `content` has written."""
        said = json.loads(content)
        return cls(
            tuple(map(_read, said["invoices"])), said["not_stated"], frozenset(said["not_in_costs"]), tuple(sources)
        )


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """A published version of what is stated of the invoices of a slice.

    Attributes:
        origin: `SOURCE` or `PERSON`.
        statement_id: number of the version, higher than of all before.
        stated_at: UTC instant from which readers see it.
        author: id of the token that recorded it; None for a source.
    """

    slice: Slice
    origin: str
    statement_id: int
    stated_at: datetime
    statement: InvoiceStatement
    author: str | None = None


def combined(statements: Iterable[StoredStatement]) -> InvoiceStatement | None:
    """Return what source and person state together of one slice, None if neither does.

    An invoice that both state counts once, as the source states it. A source that states none is no obstacle to what a person recorded.
    """
    by_origin = {one.origin: one.statement for one in statements}
    source, person = by_origin.get(SOURCE), by_origin.get(PERSON)
    if source is None or person is None or not person.invoices:
        return source or person
    known = {one.invoice_id for one in source.invoices}
    recorded = tuple(one for one in person.invoices if one.invoice_id not in known)
    return InvoiceStatement((*source.invoices, *recorded), "", source.not_in_costs, source.sources)


def _written(invoice: Invoice) -> dict[str, Any]:
    parts = [[one.charge_category, plain(one.amount), one.service] for one in invoice.parts]
    return {
        "invoice_id": invoice.invoice_id,
        "issuer": invoice.issuer,
        "billing_period": str(invoice.billing_period),
        "currency": invoice.currency,
        "total": plain(invoice.total),
        "parts": sorted(parts),
        "status": invoice.status,
        "issued_at": invoice.issued_at.isoformat() if invoice.issued_at else None,
        "due_on": str(invoice.due_on) if invoice.due_on else None,
        "document": invoice.document,
        "corrects": invoice.corrects,
    }


def _read(said: Mapping[str, Any]) -> Invoice:
    changed = {
        "billing_period": BillingPeriod.parse(said["billing_period"]),
        "total": EXACT.create_decimal(said["total"]),
        "parts": tuple(InvoicePart(category, Decimal(amount), service) for category, amount, service in said["parts"]),
        "issued_at": datetime.fromisoformat(said["issued_at"]) if said["issued_at"] else None,
        "due_on": date.fromisoformat(said["due_on"]) if said["due_on"] else None,
    }
    return Invoice(**{**said, **changed})
