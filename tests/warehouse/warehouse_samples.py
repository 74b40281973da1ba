"""Small generations written straight into ``raw_costs``, and their publications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.publications import MEASURES, Publication, Totals
from optiinfra_assets.warehouse.warehouse import Warehouse

OCTOBER = BillingPeriod(2026, 10)
SLICE = Slice("acme", "focus", "acme.main", OCTOBER)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """The columns of a line item that the tests vary; a null price is absent, not zero."""

    billed: Decimal = Decimal(1)
    currency: str = "USD"
    day: int = 1
    service: str = "Compute"
    list_cost: Decimal | None = Decimal(2)
    contracted_cost: Decimal | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    def values(self, slice_: Slice, generation: int, line_number: int) -> dict[str, Any]:
        start = slice_.billing_period.start + timedelta(days=self.day - 1)
        return {
            "customer_id": slice_.customer_id,
            "provider": slice_.provider,
            "account_id": slice_.account_id,
            "billing_period": slice_.billing_period.start.date(),
            "generation": generation,
            "line_number": line_number,
            "billed_cost": self.billed,
            "effective_cost": -self.billed,
            "list_cost": self.list_cost,
            "contracted_cost": self.contracted_cost,
            "billing_currency": self.currency,
            "charge_period_start": start,
            "charge_period_end": start + timedelta(days=1),
            "charge_category": "Usage",
            "service_name": self.service,
        } | self.columns


@dataclass(frozen=True, slots=True)
class Sent:
    """What a loader knows of what it sent."""

    line_items: int
    totals: dict[str, Totals]
    first_charge_date: date | None
    last_charge_date: date | None


def write(warehouse: Warehouse, generation: int, lines: Sequence[Line], slice_: Slice = SLICE) -> Sent:
    """Insert `lines` as one generation; what was sent, summed in Python."""
    rows = [line.values(slice_, generation, number) for number, line in enumerate(lines)]
    names = list({name: None for row in rows for name in row})
    if rows:
        warehouse.client.insert("raw_costs", [[row.get(name) for name in names] for row in rows], column_names=names)
    days = [row["charge_period_start"].date() for row in rows]
    return Sent(len(rows), totals(rows), min(days, default=None), max(days, default=None))


def totals(rows: Iterable[dict[str, Any]]) -> dict[str, Totals]:
    """Exact sums by currency; null counts as absent."""
    sums: dict[str, Totals] = {}
    with localcontext(prec=76):
        for row in rows:
            before = sums.get(row["billing_currency"], Totals())
            sums[row["billing_currency"]] = Totals(
                *(getattr(before, measure) + (row[measure] or 0) for measure in MEASURES)
            )
    return sums


def publication(generation: int, sent: Sent, slice_: Slice = SLICE, **changes: Any) -> Publication:
    """A publication of what was sent, at `NOW` unless `changes` say otherwise."""
    plain = Publication(
        slice=slice_,
        generation=generation,
        published_at=NOW,
        line_items=sent.line_items,
        first_charge_date=sent.first_charge_date,
        last_charge_date=sent.last_charge_date,
        data_through=None,
        is_final=False,
        is_simulated=False,
        totals=sent.totals,
        content_hash="",
        change_token="",
    )
    return replace(plain, **changes)


def verify(warehouse: Warehouse, slice_: Slice, generation: int, sent: Sent) -> None:
    """Raise the difference between what was sent and what the database holds."""
    for error in warehouse.unequal({generation: (slice_, sent)}).values():  # type: ignore[dict-item]
        raise error


def show(warehouse: Warehouse, one: Publication) -> Publication:
    """Publish one generation; raise why it is refused."""
    (stored,) = warehouse.publish([one]).values()
    if isinstance(stored, Exception):
        raise stored
    return stored


def publish(
    warehouse: Warehouse, generation: int, lines: Sequence[Line], slice_: Slice = SLICE, **changes: Any
) -> Publication:
    """Write, derive, verify and publish one generation."""
    sent = write(warehouse, generation, lines, slice_)
    warehouse.derive({generation: slice_})
    verify(warehouse, slice_, generation, sent)
    return show(warehouse, publication(generation, sent, slice_, **changes))
