"""A billing month of a cloud that estimates each line day by day and invoices each line once: estimates and lines in, charges out.

Neither view is complete: the estimates have the days, the invoice has the amount owed and the resource. So for each line::

    the invoice's amount of a line  =  its estimates, day by day  +  one residual row that shows how wrong the estimates were

The rules and their reasons:

- The texts that both views have of a line identify it (`Key`). If several resources have the same texts, their days cannot be told apart:
  each of these lines becomes one charge as invoiced, with its resource, and their estimates are dropped.
- An estimate of a line that is on no invoice stays while the month is open. The last invoice is final, so the estimate is dropped then.
- An invoice within the month covers the days whose noon lies before the line's end on the invoice; the other days stay open.
- Lines of the month so far that are not invoiced (a preview) only say what an estimate is for; they never count as cost.

So the rows of an invoice add up to its lines, whatever the estimates were.

To use it, call `DailyEstimates.add` for each estimate, then `offer` for each line, which at once returns an invoiced line that has no
estimates, and then read `charges`. Estimates are stored as text, about 15 bytes each: a month of 65,000 lines with 2 million estimates
takes 44 MB, and 114 MB with the invoice's lines. Lines without estimates are not stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, RESIDUAL

ESTIMATE: Final = "estimate of the day"

Key = tuple[str, ...]
"""The texts that estimates and invoices both have of a line."""

Place = tuple[str, ...]
"""What else an estimate states of a line, such as its region; each part may be empty."""

_DAY: Final = timedelta(days=1)
_NOON: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class DailyEstimate:
    """The cloud's estimate of what one line costs on one UTC day."""

    key: Key
    day: date
    amount: Decimal
    place: Place


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice, or of the month so far.

    Attributes:
        resource: ids of its resource, the preferred one first; empty if the cloud names none.
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        quantity: duration or amount in `unit`, as stated; None if lines were added up.
        invoice_id: None for a line of the month so far.
        category: FOCUS ChargeCategory.
    """

    key: Key
    amount: Decimal
    product: str
    resource: tuple[str, ...]
    project: str | None
    start: datetime
    end: datetime
    quantity: Decimal | None = None
    unit: str | None = None
    invoice_id: str | None = None
    category: str = "Usage"


@dataclass(frozen=True, slots=True)
class DailyCharge:
    """One charge, before it becomes a line item.

    Attributes:
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        method: how it was computed: `ESTIMATE`, `RESIDUAL` or `INVOICE_LINE`; a provider may add its own.
        line: the line on an invoice or a preview, None if it is on neither.
        place: place of its estimates; parts in which they differ are empty, and without estimates it is an empty tuple.
    """

    key: Key
    amount: Decimal
    start: datetime
    end: datetime
    method: str
    line: InvoiceLine | None
    place: Place
    invoice_id: str | None


@dataclass(slots=True)
class DailyEstimates:
    """Estimates and lines of one month.

    Attributes:
        is_closed: the last invoice of the month has been issued.
        count: number of estimates that were added.
        estimated: sum of these estimates.
        last_day: their newest day, None if there are none.
        dropped: number of estimates that an invoice replaced; complete once `charges` has ended.
        dropped_amount: sum of the dropped estimates.
    """

    period: BillingPeriod
    is_closed: bool
    count: int = 0
    estimated: Decimal = Decimal(0)
    last_day: date | None = None
    dropped: int = 0
    dropped_amount: Decimal = Decimal(0)
    _estimates: dict[Key, bytearray] = field(default_factory=dict, repr=False)
    _lines: dict[Key, list[InvoiceLine]] = field(default_factory=dict, repr=False)
    _places: dict[Place, int] = field(default_factory=dict, repr=False)

    def add(self, estimate: DailyEstimate) -> None:
        """Store one estimate."""
        place = self._places.setdefault(estimate.place, len(self._places))
        text = f"{estimate.day.toordinal()} {place} {estimate.amount:f}\n".encode()
        self._estimates.setdefault(estimate.key, bytearray()).extend(text)
        self.count += 1
        self.estimated = exact_sum((self.estimated, estimate.amount))
        self.last_day = max(self.last_day or estimate.day, estimate.day)

    def offer(self, line: InvoiceLine) -> DailyCharge | None:
        """Store a line if it has estimates and return None. Return an invoiced line without estimates as a charge of its own, else None."""
        if line.key in self._estimates:
            self._lines.setdefault(line.key, []).append(line)
            return None
        return None if line.invoice_id is None else whole(line)

    def charges(self) -> Iterator[DailyCharge]:
        """Yield the charges of all lines with estimates, in the order in which lines were first added: all days, then all from invoices.

        The two kinds come one after the other because rows are written in batches of one kind.
        """
        invoiced: list[DailyCharge] = []
        for charge in self._of_lines():
            if charge.method == ESTIMATE:
                yield charge
            else:
                invoiced.append(charge)
        yield from invoiced

    def _of_lines(self) -> Iterator[DailyCharge]:
        places = list(self._places)
        for key, held in self._estimates.items():
            estimates = [_estimate(key, text, places) for text in held.decode().splitlines()]
            estimates.sort(key=lambda one: (one.day, one.place, one.amount))
            lines = self._lines.get(key, [])
            invoiced = [line for line in lines if line.invoice_id is not None]
            shown = [line for line in lines if line.invoice_id is None]
            if len({line.resource for line in invoiced}) > 1:
                yield from self._apart(estimates, invoiced, shown)
            else:
                yield from self._together(estimates, _bills(invoiced), shown)

    def _together(
        self,
        estimates: Sequence[DailyEstimate],
        bills: Sequence[Sequence[InvoiceLine]],
        shown: Sequence[InvoiceLine],
    ) -> Iterator[DailyCharge]:
        """Yield the days of one resource, and what each invoice states beyond them."""
        left = estimates
        for number, lines in enumerate(bills):
            is_last = self.is_closed and number == len(bills) - 1
            end = max(line.end for line in lines)
            mine = [one for one in left if is_last or _noon(one.day) < end]
            left = [one for one in left if not (is_last or _noon(one.day) < end)]
            yield from _trued_up(mine, lines)
        yield from self._open(left, shown)

    def _apart(
        self,
        estimates: Sequence[DailyEstimate],
        invoiced: Sequence[InvoiceLine],
        shown: Sequence[InvoiceLine],
    ) -> Iterator[DailyCharge]:
        """Yield lines that differ only in their resource as they are invoiced."""
        yield from map(whole, invoiced)
        end = max(line.end for line in invoiced)
        self._drop(one for one in estimates if _noon(one.day) < end)
        yield from self._open([one for one in estimates if _noon(one.day) >= end], shown)

    def _open(self, estimates: Sequence[DailyEstimate], shown: Sequence[InvoiceLine]) -> Iterator[DailyCharge]:
        """Yield the days that no invoice covers; once the month is closed, drop them."""
        if self.is_closed:
            self._drop(estimates)
            return
        line = _common(shown)
        for one in estimates:
            yield _of_day(one, line, None)

    def _drop(self, estimates: Iterable[DailyEstimate]) -> None:
        for one in estimates:
            self.dropped += 1
            self.dropped_amount = exact_sum((self.dropped_amount, one.amount))


def whole(line: InvoiceLine) -> DailyCharge:
    """Return a line as one charge, as stated."""
    return DailyCharge(line.key, line.amount, line.start, line.end, INVOICE_LINE, line, (), line.invoice_id)


def _bills(lines: Sequence[InvoiceLine]) -> list[list[InvoiceLine]]:
    """Lines grouped by invoice; the invoice whose lines end first comes first."""
    by_invoice: dict[str, list[InvoiceLine]] = {}
    for line in lines:
        by_invoice.setdefault(line.invoice_id or "", []).append(line)
    named = sorted(by_invoice.items(), key=lambda bill: (max(line.end for line in bill[1]), bill[0]))
    return [bill for _, bill in named]


def _trued_up(estimates: Sequence[DailyEstimate], lines: Sequence[InvoiceLine]) -> Iterator[DailyCharge]:
    """Yield the estimates and the residual of a line of one invoice."""
    if not estimates:
        yield from map(whole, lines)
        return
    line = _common(lines) or lines[0]
    for one in estimates:
        yield _of_day(one, line, line.invoice_id)
    residual = exact_sum([*(line.amount for line in lines), *(one.amount.copy_negate() for one in estimates)])
    if residual:
        place = _common_place(estimates)
        yield DailyCharge(line.key, residual, line.start, line.end, RESIDUAL, line, place, line.invoice_id)


def _of_day(estimate: DailyEstimate, line: InvoiceLine | None, invoice_id: str | None) -> DailyCharge:
    start = _midnight(estimate.day)
    return DailyCharge(estimate.key, estimate.amount, start, start + _DAY, ESTIMATE, line, estimate.place, invoice_id)


def _common(lines: Sequence[InvoiceLine]) -> InvoiceLine | None:
    """Merge `lines` into one; fields in which they differ are empty. None if there are no lines."""
    if len(lines) < 2:
        return lines[0] if lines else None
    first = lines[0]
    return replace(
        first,
        amount=exact_sum(line.amount for line in lines),
        product=first.product if len({line.product for line in lines}) == 1 else "",
        resource=first.resource if len({line.resource for line in lines}) == 1 else (),
        project=first.project if len({line.project for line in lines}) == 1 else None,
        start=min(line.start for line in lines),
        end=max(line.end for line in lines),
        quantity=None,
        unit=None,
    )


def _common_place(estimates: Sequence[DailyEstimate]) -> Place:
    parts = zip(*(one.place for one in estimates), strict=True)
    return tuple(values[0] if len(set(values)) == 1 else "" for values in parts)


def _estimate(key: Key, text: str, places: Sequence[Place]) -> DailyEstimate:
    day, place, amount = text.split(" ")
    return DailyEstimate(key, date.fromordinal(int(day)), Decimal(amount), places[int(place)])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _noon(day: date) -> datetime:
    return _midnight(day) + _NOON
