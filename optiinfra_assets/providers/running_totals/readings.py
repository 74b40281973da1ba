"""What a month cost day by day, where the cloud tells only a running total: differences of readings, trued up to the invoice.

Pure and exact: same readings and same invoices, same rows. The rules, and what each of them is for:

- A row is the difference of a line between two readings; its charge period is [t1, t2), the instants of the readings (one second where
  both are the same). A month's total is never divided by days: nobody knows how it was spread.
- Readings are cut daily: the first of each UTC day, and the newest. More would only add rows; all others may be forgotten. A day without
  a reading makes one longer row.
- A line that falls or vanishes makes a negative row. Only an invoice resets a line to zero: it ends a segment, and the next begins at
  nothing.
- An invoice is the last word on its segment. What it says of a line beyond the rows so far is one more row, the residual.

So the rows add up to the invoices plus, while the month is open, the newest reading after the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod

Key = tuple[str, ...]
"""What stays the same of a line from one reading to the next. Dates do not belong in it: whether clouds keep them fixed is unknown."""

GRACE: Final = timedelta(hours=1)
"""How long after the end of an invoiced month a reading still tells of that month alone."""

_EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
"""Python's default context rounds to 28 digits; money has up to 38. Inexact is trapped, so a wrong digit cannot pass."""


@dataclass(frozen=True, slots=True)
class MeasuredAmounts:
    """What is known of a line up to an instant.

    Attributes:
        cost: billed so far.
        quantity: in the line's own unit.
        list_cost: at list prices.
    """

    cost: Decimal
    quantity: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)

    def plus(self, other: MeasuredAmounts) -> MeasuredAmounts:
        """The exact sum."""
        return self._combined(other, _EXACT.add)

    def minus(self, other: MeasuredAmounts) -> MeasuredAmounts:
        """The exact difference."""
        return self._combined(other, _EXACT.subtract)

    def _combined(self, other: MeasuredAmounts, operation: Callable[[Decimal, Decimal], Decimal]) -> MeasuredAmounts:
        return MeasuredAmounts(
            operation(self.cost, other.cost),
            operation(self.quantity, other.quantity),
            operation(self.list_cost, other.list_cost),
        )

    def __bool__(self) -> bool:
        """Whether it says anything but zero."""
        return bool(self.cost or self.quantity or self.list_cost)


NOTHING: Final = MeasuredAmounts(Decimal(0))


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot, understood.

    Attributes:
        taken_at: UTC instant.
        lines: running totals of the month by line; see `summed`.
        begun: when the provider says that a line began, where it says so.
    """

    taken_at: datetime
    lines: Mapping[Key, MeasuredAmounts]
    begun: Mapping[Key, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClosingInvoice:
    """An invoice of the month.

    Attributes:
        issued_at: UTC instant. From the end of the month on it closes the month; before, only a segment of it.
        lines: what it says by line, tax and credits included.
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
        invoice_id: invoice that closed its segment, None while there is none.
        is_residual: what the invoice says beyond the readings.
        was_read: some reading of the segment has the line; a residual of a line that was never read is the whole line of the invoice.
    """

    key: Key
    start: datetime
    end: datetime
    measure: MeasuredAmounts
    invoice_id: str | None = None
    is_residual: bool = False
    was_read: bool = True


def summed(lines: Iterable[tuple[Key, MeasuredAmounts]]) -> dict[Key, MeasuredAmounts]:
    """Lines of one answer with those of equal key added up, in the order in which keys first come."""
    sums: dict[Key, MeasuredAmounts] = {}
    for key, measure in lines:
        sums[key] = sums.get(key, NOTHING).plus(measure)
    return sums


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of any amounts, to the last digit."""
    result = Decimal(0)
    for amount in amounts:
        result = _EXACT.add(result, amount)
    return result


def total(lines: Mapping[Key, MeasuredAmounts]) -> Decimal:
    """The cost of all lines, exactly."""
    return exact_sum(measure.cost for measure in lines.values())


def daily(period: BillingPeriod, taken: Sequence[datetime]) -> list[int]:
    """Positions of the readings that rows depend on; the others may be forgotten without changing any row, now or later.

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
    """All rows of a month.

    Args:
        period: the month.
        readings: taken to be of that month (see `billed_in`), oldest first.
        bills: its invoices.
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
    """The month that a reading tells of: after midnight of the 1st that is the old one, until the cloud resets its total.

    Args:
        taken_at: UTC instant of the reading.
        cost: its total.
        last: the newest reading before it: the month it was taken to be of, and its total; None if there is none.
        closed: months that have their last invoice.

    Returns:
        The month of `last` while it has no invoice and the total has not fallen, else the calendar month. Without an earlier reading nobody
        can tell; the calendar month is right for most of it, and a reset soon after makes a negative row that puts it right.
    """
    month = BillingPeriod.of(taken_at)
    if last is None:
        return month
    period, before = last
    is_reset = period in closed or before <= 0 or cost < before
    return month if period >= month or is_reset else period


def _until_end(period: BillingPeriod, cuts: Sequence[Reading]) -> list[Reading]:
    """Without readings that may hold charges of the next month too; the first after the end closes the last day."""
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
