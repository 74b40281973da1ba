"""A billing month of a cloud that tells running totals while the month is open, and an invoice after it.

`running_totals.readings` has the arithmetic; this is what stands around it whatever the cloud: lines and invoices as values,
and the charges of a month with where each comes from. A provider parses answers into `ChargeLine` and `IssuedInvoice`, and writes
`AccruedCharge` objects into rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.context import Snapshot
from optiinfra_assets.providers.http.json_fields import parse_time
from optiinfra_assets.providers.running_totals.readings import (
    ClosingInvoice,
    Key,
    MeasuredAmounts,
    Reading,
    accrue,
    exact_sum,
)

MONTHS_BACK: Final = 13
"""How far back readings and invoices are of interest."""

DIFFERENCE: Final = "difference of readings"
RESIDUAL: Final = "residual of the invoice"
INVOICE_LINE: Final = "invoice line"


Span = tuple[datetime, datetime]
"""From one UTC instant until before another one."""


def span_of(start: str, end: str) -> Span | None:
    """Two dates as sent, in UTC, if both are instants with a zone, the end after the start; None if they tell nothing."""
    begin, until = parse_time(start), parse_time(end)
    if begin is None or until is None or begin.tzinfo is None or until.tzinfo is None or begin >= until:
        return None
    return begin.astimezone(UTC), until.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """A line of a running total or of an invoice, or several of equal key added up.

    Attributes:
        key: what stays the same of it from one reading to the next.
        unit_price: list price of a unit; zero if there is none, or if lines with different ones were added up.
        start: dates as sent; `span_of` says whether they mean anything.
    """

    key: Key
    measure: MeasuredAmounts
    unit_price: Decimal = Decimal(0)
    start: str = ""
    end: str = ""

    def plus(self, other: ChargeLine) -> ChargeLine:
        """Both together."""
        price = self.unit_price if self.unit_price == other.unit_price else Decimal(0)
        return ChargeLine(self.key, self.measure.plus(other.measure), price, self.start, self.end)

    @property
    def span(self) -> Span | None:
        """Its dates, if they tell anything."""
        return span_of(self.start, self.end)


Lines = Mapping[Key, ChargeLine]


def merged(lines: Iterable[ChargeLine]) -> dict[Key, ChargeLine]:
    """Lines by key; those of equal key cannot be told apart from one reading to the next, so they are added up."""
    by_key: dict[Key, ChargeLine] = {}
    for line in lines:
        by_key[line.key] = by_key[line.key].plus(line) if line.key in by_key else line
    return by_key


def measures(lines: Lines) -> dict[Key, MeasuredAmounts]:
    """What each line amounts to."""
    return {key: line.measure for key, line in lines.items()}


def completed(lines: Iterable[ChargeLine], amount: Decimal, key: Key) -> Iterator[ChargeLine]:
    """`lines` as they come, and as a last one, under `key`, what they lack of `amount`; none if that is nothing."""
    found = Decimal(0)
    for line in lines:
        found = exact_sum((found, line.measure.cost))
        yield line
    rest = exact_sum((amount, -found))
    if rest:
        yield ChargeLine(key, MeasuredAmounts(rest, list_cost=rest))


@dataclass(frozen=True, slots=True)
class IssuedInvoice:
    """An invoice that was issued.

    Attributes:
        amount: what it adds up to, tax and credits included.
        period: the month it bills, wholly or up to `issued_at`.
    """

    invoice_id: str
    issued_at: datetime
    amount: Decimal
    period: BillingPeriod

    @property
    def closes(self) -> bool:
        """Whether it is the last of its period."""
        return self.issued_at >= self.period.end


@dataclass(frozen=True, slots=True)
class AccruedCharge:
    """One line item in the making.

    Attributes:
        line: the newest that is known of the line it belongs to.
        measure: its own part of it.
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        method: how it was found: `DIFFERENCE`, `RESIDUAL` or `INVOICE_LINE`.
    """

    line: ChargeLine
    measure: MeasuredAmounts
    start: datetime
    end: datetime
    invoice_id: str | None
    method: str

    @property
    def source(self) -> str:
        """For the column of that name."""
        return "snapshot difference" if self.method == DIFFERENCE else "invoice"


@dataclass(frozen=True, slots=True)
class RunningMonth:
    """What is known of one billing period.

    Attributes:
        invoices: in the order in which they were issued.
        cuts: the snapshots that charges depend on, oldest first.
        parse: the lines of one.
    """

    period: BillingPeriod
    invoices: Sequence[IssuedInvoice]
    cuts: Sequence[Snapshot]
    parse: Callable[[Snapshot], Lines]

    @property
    def is_closed(self) -> bool:
        """Whether its last invoice has come."""
        return any(invoice.closes for invoice in self.invoices)

    @property
    def invoiced(self) -> Decimal:
        """The amount of all its invoices."""
        return exact_sum(invoice.amount for invoice in self.invoices)

    @property
    def data_through(self) -> datetime | None:
        """Instant up to which charges are complete (exclusive), None if there are none."""
        if self.is_closed:
            return self.period.end
        return self.cuts[-1].taken_at if self.cuts else None

    def sources(self) -> list[dict[str, str]]:
        """The snapshots and invoices that charges come from."""
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
        """All charges: differences and residuals where there are readings, else the lines of the invoices as they come.

        Args:
            lines_of: reads the lines of an invoice, which add up to its amount.
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


def plain(amount: Decimal) -> str:
    """One text for 10, 10.0 and 1E+1."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
