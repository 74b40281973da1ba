"""Daily costs of a month from running totals: readings and invoices in, exact differences trued up to the invoices out.

This is pure and exact: the same readings and the same invoices give the same rows. The rules and their reasons:

- A row is the difference of a line between two readings. Its charge period is [t1, t2), the instants of the readings (one second if both
  are equal). A month's total is never divided by days, because nobody knows how it was spread.
- Only one reading a day is used: the first of each UTC day, and the newest of all. More would only add rows; all others may be deleted. A
  day without a reading gives one longer row.
- A line that falls or vanishes gives a negative row. Only an invoice resets a line to zero: it ends a segment, and the next segment starts
  at zero.
- An invoice is final for its segment. What it states of a line beyond the rows so far becomes one more row, the residual.

So the rows add up to the invoices plus, while the month is open, the newest reading after the last invoice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

Key = tuple[str, ...]
"""The part of a line that stays the same from one reading to the next. It has no dates: it is unknown whether clouds keep them fixed."""

GRACE: Final = timedelta(hours=1)
"""How long after the end of an invoiced month a reading still contains charges of that month only."""


@dataclass(frozen=True, slots=True)
class MeasuredAmounts:
    """The amounts of a line up to an instant.

    Attributes:
        cost: billed cost so far.
        quantity: quantity in the line's own unit.
        list_cost: cost at list prices.
    """

    cost: Decimal
    quantity: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)

    def plus(self, other: MeasuredAmounts) -> MeasuredAmounts:
        """Return the exact sum."""
        return self._combined(other, lambda one, more: exact_sum((one, more)))

    def minus(self, other: MeasuredAmounts) -> MeasuredAmounts:
        """Return the exact difference."""
        return self._combined(other, exact_difference)

    def _combined(self, other: MeasuredAmounts, operation: Callable[[Decimal, Decimal], Decimal]) -> MeasuredAmounts:
        return MeasuredAmounts(
            operation(self.cost, other.cost),
            operation(self.quantity, other.quantity),
            operation(self.list_cost, other.list_cost),
        )

    def __bool__(self) -> bool:
        """Whether any amount is not zero."""
        return bool(self.cost or self.quantity or self.list_cost)


NOTHING: Final = MeasuredAmounts(Decimal(0))


@dataclass(frozen=True, slots=True)
class Reading:
    """A parsed snapshot.

    Attributes:
        taken_at: UTC instant.
        lines: running totals of the month by line; see `summed`.
        begun: UTC instant at which a line began, for lines of which the provider states it.
    """

    taken_at: datetime
    lines: Mapping[Key, MeasuredAmounts]
    begun: Mapping[Key, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClosingInvoice:
    """An invoice of the month.

    Attributes:
        issued_at: UTC instant. At or after the end of the month the invoice closes the month; before that, only a segment of it.
        lines: its amounts by line, tax and credits included.
    """

    invoice_id: str
    issued_at: datetime
    lines: Mapping[Key, MeasuredAmounts]


@dataclass(frozen=True, slots=True)
class AccruedAmount:
    """One row.

    Attributes:
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        invoice_id: id of the invoice that closed its segment, None while there is none.
        is_residual: the row is what the invoice states beyond the readings.
        was_read: a reading of the segment has the line; the residual of a line that was never read is the whole line of the invoice.
    """

    key: Key
    start: datetime
    end: datetime
    measure: MeasuredAmounts
    invoice_id: str | None = None
    is_residual: bool = False
    was_read: bool = True


def summed(lines: Iterable[tuple[Key, MeasuredAmounts]]) -> dict[Key, MeasuredAmounts]:
    """Return the lines of one response by key, in the order of first occurrence; lines with the same key are added up."""
    sums: dict[Key, MeasuredAmounts] = {}
    for key, measure in lines:
        sums[key] = sums.get(key, NOTHING).plus(measure)
    return sums


def total(lines: Mapping[Key, MeasuredAmounts]) -> Decimal:
    """Return the exact cost of all lines."""
    return exact_sum(measure.cost for measure in lines.values())


def daily(period: BillingPeriod, taken: Sequence[datetime]) -> list[int]:
    """Return the positions of the readings that rows depend on; deleting the others changes no row, now or later.

    They are the first of each UTC day after the first day of `period`, and the newest of all.

    Args:
        period: billing period of the readings.
        taken: when they were taken, oldest first.
    """
    days = [moment.astimezone(UTC).date() for moment in taken]
    first = period.start.date()
    return [
        number
        for number, day in enumerate(days)
        if number == len(days) - 1 or (day != first and (number == 0 or day != days[number - 1]))
    ]


def accrue(period: BillingPeriod, readings: Sequence[Reading], bills: Sequence[ClosingInvoice]) -> list[AccruedAmount]:
    """Return all rows of a month.

    Args:
        period: the month.
        readings: readings of that month (see `billed_in`), oldest first.
        bills: its invoices, in any order.
    """
    bills = sorted(bills, key=lambda bill: (bill.issued_at, bill.invoice_id))
    is_closed = bool(bills) and bills[-1].issued_at >= period.end
    cuts = [readings[number] for number in daily(period, [reading.taken_at for reading in readings])]
    if is_closed:
        cuts = _until_end(period, cuts)
    rows: list[AccruedAmount] = []
    begin = period.start
    for bill in bills:
        segment = [reading for reading in cuts if begin <= reading.taken_at < bill.issued_at]
        rows.extend(_differences(begin, segment, bill.invoice_id))
        rows.extend(_residuals(begin, segment, bill, min(bill.issued_at, period.end)))
        begin = bill.issued_at
    if not is_closed:
        rows.extend(_differences(begin, [reading for reading in cuts if begin <= reading.taken_at], None))
    return rows


def billed_in(
    taken_at: datetime,
    cost: Decimal,
    last: tuple[BillingPeriod, Decimal] | None,
    closed: Collection[BillingPeriod],
) -> BillingPeriod:
    """Return the month that a reading belongs to: after midnight of the 1st that is the old month, until the cloud resets its total.

    Args:
        taken_at: UTC instant of the reading.
        cost: its total.
        last: the month and the total of the newest reading before it; None if there is none.
        closed: months that have their last invoice.

    Returns:
        The month of `last` while that has no last invoice, its total was positive and has not fallen; else the calendar month. Without an
        earlier reading this returns the calendar month: it is right most of the time, and a reset soon after gives a negative row that
        corrects it.
    """
    month = BillingPeriod.of(taken_at)
    if last is None:
        return month
    period, before = last
    is_reset = period in closed or before <= 0 or cost < before
    return month if period >= month or is_reset else period


def _until_end(period: BillingPeriod, cuts: Sequence[Reading]) -> list[Reading]:
    """Drop readings that may contain charges of the next month; the first reading after the end closes the last day."""
    within = [reading for reading in cuts if reading.taken_at < period.end]
    after = [reading for reading in cuts if period.end <= reading.taken_at < period.end + GRACE]
    return within + after[:1]


def _differences(begin: datetime, readings: Sequence[Reading], invoice_id: str | None) -> Iterator[AccruedAmount]:
    before: Mapping[Key, MeasuredAmounts] = {}
    start = begin
    for number, reading in enumerate(readings):
        end = max(reading.taken_at, start + timedelta(seconds=1))
        for key in {**before, **reading.lines}:
            change = reading.lines.get(key, NOTHING).minus(before.get(key, NOTHING))
            if change:
                begun = reading.begun.get(key, start) if number == 0 else start
                yield AccruedAmount(key, begun if start < begun < end else start, end, change, invoice_id)
        before, start = reading.lines, reading.taken_at


def _residuals(
    begin: datetime, readings: Sequence[Reading], bill: ClosingInvoice, end: datetime
) -> Iterator[AccruedAmount]:
    known = readings[-1].lines if readings else {}
    read = {key for reading in readings for key in reading.lines}
    start = readings[-1].taken_at if readings else begin
    if start >= end:
        start = end - timedelta(days=1)
    for key in {**known, **bill.lines}:
        residual = bill.lines.get(key, NOTHING).minus(known.get(key, NOTHING))
        if residual:
            yield AccruedAmount(key, start, end, residual, bill.invoice_id, is_residual=True, was_read=key in read)
