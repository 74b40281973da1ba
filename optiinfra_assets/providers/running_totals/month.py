"""A billing month of a cloud that reports running totals while the month is open, and an invoice afterwards.

In: `ChargeLine` and `IssuedInvoice`, which a provider parses from responses. Out: `AccruedCharge` objects with their lineage, which the
provider writes into rows. `running_totals.readings` does the arithmetic; this is the same for every such cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum
from optiinfra_assets.providers.context import Snapshot
from optiinfra_assets.providers.http.json_fields import parse_time
from optiinfra_assets.providers.running_totals.readings import (
    ClosingInvoice,
    Key,
    MeasuredAmounts,
    Reading,
    accrue,
)

MONTHS_BACK: Final = 13
"""Number of months, the current one included, whose readings and invoices are used."""

DIFFERENCE: Final = "difference of readings"
RESIDUAL: Final = "residual of the invoice"
INVOICE_LINE: Final = "invoice line"


Span = tuple[datetime, datetime]
"""From one UTC instant (inclusive) to another (exclusive)."""


def span_of(start: str, end: str) -> Span | None:
    """Parse two dates as sent into UTC. None unless both are instants with a zone and the end is after the start."""
    begin, until = parse_time(start), parse_time(end)
    if begin is None or until is None or begin.tzinfo is None or until.tzinfo is None or begin >= until:
        return None
    return begin.astimezone(UTC), until.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """A line of a running total or of an invoice, or the sum of several lines with the same key.

    Attributes:
        key: the part of the line that stays the same from one reading to the next.
        unit_price: list price of a unit; zero if there is none, or if lines with different prices were added up.
        start: start date as sent, like `end`; `span` parses both.
    """

    key: Key
    measure: MeasuredAmounts
    unit_price: Decimal = Decimal(0)
    start: str = ""
    end: str = ""

    def plus(self, other: ChargeLine) -> ChargeLine:
        """Return the sum of both lines."""
        price = self.unit_price if self.unit_price == other.unit_price else Decimal(0)
        return ChargeLine(self.key, self.measure.plus(other.measure), price, self.start, self.end)

    @property
    def span(self) -> Span | None:
        """Its dates in UTC, None if `span_of` cannot use them."""
        return span_of(self.start, self.end)


Lines = Mapping[Key, ChargeLine]


def merged(lines: Iterable[ChargeLine]) -> dict[Key, ChargeLine]:
    """Return lines by key. This adds up lines with the same key, because readings cannot tell them apart."""
    by_key: dict[Key, ChargeLine] = {}
    for line in lines:
        by_key[line.key] = by_key[line.key].plus(line) if line.key in by_key else line
    return by_key


def measures(lines: Lines) -> dict[Key, MeasuredAmounts]:
    """Return the amounts of each line."""
    return {key: line.measure for key, line in lines.items()}


def completed(lines: Iterable[ChargeLine], amount: Decimal, key: Key) -> Iterator[ChargeLine]:
    """Yield `lines`, and then under `key` a last line for what they lack of `amount`, unless that is zero."""
    found = Decimal(0)
    for line in lines:
        found = exact_sum((found, line.measure.cost))
        yield line
    rest = exact_difference(amount, found)
    if rest:
        yield ChargeLine(key, MeasuredAmounts(rest, list_cost=rest))


@dataclass(frozen=True, slots=True)
class IssuedInvoice:
    """An invoice that was issued.

    Attributes:
        amount: its total, with tax and credits.
        period: the month it bills, either all of it or up to `issued_at`.
    """

    invoice_id: str
    issued_at: datetime
    amount: Decimal
    period: BillingPeriod

    @property
    def closes(self) -> bool:
        """Whether it is the last invoice of its period."""
        return self.issued_at >= self.period.end


@dataclass(frozen=True, slots=True)
class AccruedCharge:
    """One charge, before it becomes a line item.

    Attributes:
        line: the newest state of the line that it belongs to.
        measure: the part of the line that this charge is.
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        method: how it was computed: `DIFFERENCE`, `RESIDUAL` or `INVOICE_LINE`.
    """

    line: ChargeLine
    measure: MeasuredAmounts
    start: datetime
    end: datetime
    invoice_id: str | None
    method: str

    @property
    def source(self) -> str:
        """The `source` of its line item, one of `line_items.SOURCES`."""
        return "snapshot difference" if self.method == DIFFERENCE else "invoice"


@dataclass(frozen=True, slots=True)
class RunningMonth:
    """Readings and invoices of one billing period.

    Attributes:
        invoices: in the order in which they were issued.
        cuts: the snapshots that charges depend on, oldest first.
        parse: returns the lines of a snapshot.
    """

    period: BillingPeriod
    invoices: Sequence[IssuedInvoice]
    cuts: Sequence[Snapshot]
    parse: Callable[[Snapshot], Lines]

    @property
    def is_closed(self) -> bool:
        """Whether its last invoice has been issued."""
        return any(invoice.closes for invoice in self.invoices)

    @property
    def invoiced(self) -> Decimal:
        """The sum of all its invoices."""
        return exact_sum(invoice.amount for invoice in self.invoices)

    @property
    def data_through(self) -> datetime | None:
        """UTC instant up to which charges are complete (exclusive), None if there are no charges."""
        if self.is_closed:
            return self.period.end
        return self.cuts[-1].taken_at if self.cuts else None

    def sources(self) -> list[dict[str, str]]:
        """Return the snapshots and invoices that charges come from, as lineage."""
        read = [{"kind": cut.kind, "taken_at": cut.taken_at.isoformat()} for cut in self.cuts]
        issued = [
            {
                "kind": "invoice",
                "id": invoice.invoice_id,
                "issued_at": invoice.issued_at.isoformat(),
                "amount": f"{invoice.amount:f}",
            }
            for invoice in self.invoices
        ]
        return read + issued

    def charges(self, lines_of: Callable[[IssuedInvoice], Iterable[ChargeLine]]) -> Iterator[AccruedCharge]:
        """Yield all charges: differences and residuals if there are readings, else the lines of the invoices as they are.

        Args:
            lines_of: returns the lines of an invoice, which add up to its amount.
        """
        if self.cuts:
            yield from self._differences({one.invoice_id: merged(lines_of(one)) for one in self.invoices})
            return
        for invoice in self.invoices:
            for line in lines_of(invoice):
                start, end = line.span or (self.period.start, self.period.end)
                yield AccruedCharge(line, line.measure, start, end, invoice.invoice_id, INVOICE_LINE)

    def _differences(self, bills: Mapping[str, Lines]) -> Iterator[AccruedCharge]:
        answers = [self.parse(cut) for cut in self.cuts]
        readings = [_reading(cut.taken_at, lines) for cut, lines in zip(self.cuts, answers, strict=True)]
        issued = [
            ClosingInvoice(one.invoice_id, one.issued_at, measures(bills[one.invoice_id])) for one in self.invoices
        ]
        newest = {key: line for lines in [*answers, *bills.values()] for key, line in lines.items()}
        for row in accrue(self.period, readings, issued):
            line = newest[row.key]
            start, end, method = row.start, row.end, DIFFERENCE
            if row.is_residual:
                method = RESIDUAL if row.was_read else INVOICE_LINE
            if not row.was_read:
                start, end = line.span or (start, end)
            yield AccruedCharge(line, row.measure, start, end, row.invoice_id, method)


def _reading(taken_at: datetime, lines: Lines) -> Reading:
    begun = {key: line.span[0] for key, line in lines.items() if line.span}
    return Reading(taken_at.replace(microsecond=0), measures(lines), begun)
