"""What the comparison of a month's line items with its invoices found: values that are stored, shown and compared again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.exact_amounts import EXACT, plain
from optiinfra_assets.domain.subunits import decimal_places


class ReconciliationStatus(StrEnum):
    """How a month stands. Only `RECONCILED` says that the figures are what was invoiced.

    Attributes:
        OPEN: the month is not over.
        PROVISIONAL: it is over, and its costs or its invoices may still change.
        RECONCILED: costs and invoices agree, within the tolerance.
        MISMATCH: they do not, or the costs moved after they had agreed.
        NOT_STATED: nobody states an invoice, so there is nothing to compare with.
    """

    OPEN = "open"
    PROVISIONAL = "provisional"
    RECONCILED = "reconciled"
    MISMATCH = "mismatch"
    NOT_STATED = "not stated"


def subunit(currency: str) -> Decimal:
    """Return the smallest unit of a currency as of ISO 4217, such as 0.01 of USD; 0.01 for one that is not there."""
    return Decimal(1).scaleb(-decimal_places(currency))


@dataclass(frozen=True, slots=True)
class ChargeGroup:
    """The sum of some line items.

    Attributes:
        issuer: InvoiceIssuerName.
        day: UTC day of their charge period start; None in sums of a whole month.
        invoice_id: empty if they have none.
        amount: exact billed cost.
        line_items: how many.
    """

    issuer: str
    currency: str
    invoice_id: str
    charge_category: str
    service: str
    day: date | None
    amount: Decimal
    line_items: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a difference: what the costs have beyond the invoices, or lack (negative).

    Attributes:
        charge_category: empty if the part is not known by charge category.
        service: empty if it is not known by service.
        day: UTC day of the charges, None if it is not known by day.
        amount: in the currency of the comparison.
        invoice_id: the invoice that it is on; empty if that is not known.
        found_by: by what it was found, in a few words.
    """

    charge_category: str
    service: str
    day: date | None
    amount: Decimal
    invoice_id: str = ""
    found_by: str = ""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison: costs and invoices of one account and month, of one invoice issuer in one currency.

    Attributes:
        issuer: InvoiceIssuerName of the line items.
        ours: billed cost of the line items.
        stated: total of the invoices, None if none is stated.
        not_in_costs: what of it line items of this source never have, such as the tax.
        difference: `ours` less `stated` without `not_in_costs`, None if nothing is stated.
        tolerance: up to which a difference is one of rounding.
        line_items: their number.
        unassigned: number of line items without an invoice id.
        unassigned_cost: their billed cost.
        invoice_ids: the invoices that are compared with.
        reason: why the status is what it is, in one sentence.
        moved: by how much the costs of a reconciled month changed since, while its invoices did not; None if they did not change.
        gaps: where the difference is, largest first.
    """

    issuer: str
    currency: str
    ours: Decimal
    stated: Decimal | None
    not_in_costs: Decimal
    difference: Decimal | None
    tolerance: Decimal
    line_items: int
    unassigned: int
    unassigned_cost: Decimal
    invoice_ids: tuple[str, ...]
    status: ReconciliationStatus
    reason: str
    moved: Decimal | None = None
    gaps: tuple[Gap, ...] = ()

    @property
    def compared_with(self) -> Decimal | None:
        """The part of the stated total that the line items must add up to."""
        return None if self.stated is None else EXACT.subtract(self.stated, self.not_in_costs)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A comparison when it was reconciled last.

    Attributes:
        ours: billed cost by then.
        compared_with: what it was compared with.
        generation: of the costs.
    """

    ours: Decimal
    compared_with: Decimal
    generation: int = 0


@dataclass(frozen=True, slots=True)
class StoredReconciliation:
    """A comparison with what it was made of.

    Attributes:
        compared_at: UTC instant from which readers see it.
        since: UTC instant from which on the status is this one without a break.
        generation: published generation of the costs, 0 if there is none.
        statements: highest number of the invoice statements, 0 if there is none.
        agreed: when it was reconciled last, None if never.
    """

    slice: Slice
    found: Reconciliation
    compared_at: datetime
    since: datetime
    generation: int
    statements: int
    agreed: Agreement | None


def written_gaps(gaps: Iterable[Gap]) -> str:
    """Return gaps as JSON."""
    return json.dumps(
        [
            [one.charge_category, one.service, str(one.day or ""), plain(one.amount), one.invoice_id, one.found_by]
            for one in gaps
        ]
    )


def read_gaps(text: str) -> tuple[Gap, ...]:
    """Read what `written_gaps` has written."""
    return tuple(
        Gap(category, service, date.fromisoformat(day) if day else None, Decimal(amount), invoice_id, found_by)
        for category, service, day, amount, invoice_id, found_by in json.loads(text)
    )
