"""A billing month of a cloud that estimates each line of a bill day by day, and invoices each line once, whole.

Neither picture has it all: the estimates know the days, the invoice knows what is owed and the resource. So, line by line::

    what the invoice says of a line  =  its estimates, day by day  +  one residual row that shows by how much they were wrong

Rules, and what each of them is for:

- A line is known by the texts that both pictures have of it (`Key`). Where several resources have the same texts nobody can tell whose a
  day was: these lines stand as invoiced, each whole with its resource, and their estimates go.
- An estimate of a line that no invoice has stays while the month is open. The last invoice is the last word on it, and it goes.
- An invoice within the month takes the days that lie (by their noon) before the end it states for the line; the others are still open.
- Lines of the month so far that are not invoiced (a preview) only say what an estimate is for; they never count as cost.

The rows of an invoice therefore add up to its lines, whatever the estimates were.

Flow: `DailyEstimates.add` each estimate, then `offer` each line, which a line without estimates need not wait for; then read `charges`.
Estimates are held as text, about 15 bytes each: a month of 65,000 lines, 2 million estimates of them, takes 44 MB, and 114 MB with the
invoice's lines. Lines without estimates are not held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, RESIDUAL
from optiinfra_assets.providers.running_totals.readings import exact_sum

ESTIMATE: Final = "estimate of the day"

Key = tuple[str, ...]
"""The texts of a line that estimates and invoices have in common."""

Place = tuple[str, ...]
"""What an estimate says of a line besides, such as its region; each part may be empty."""

_DAY: Final = timedelta(days=1)
_NOON: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class DailyEstimate:
    """What one line costs on one day, as the cloud estimates it."""

    key: Key
    day: date
    amount: Decimal
    place: Place


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice, or of the month so far.

    Attributes:
        resource: ids of what it is for, the preferred one first; empty if the cloud names none.
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        quantity: how long or how much, in `unit`, as stated; None if lines were added up.
        invoice_id: None of the month so far.
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
    """One row in the making.

    Attributes:
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        method: how it was found: `ESTIMATE`, `RESIDUAL` or `INVOICE_LINE`.
        line: what is known of the line from an invoice or a preview, None if nothing.
        place: parts in which the estimates it stands for differ are empty; empty altogether without estimates.
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
        is_closed: the last invoice of the month has come.
        count: estimates that were added.
        estimated: what they come to.
        last_day: the newest day of them, None if there are none.
        dropped: of them, how many gave way to an invoice; complete when `charges` has ended.
        dropped_amount: what those come to.
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
        """Hold one estimate."""
        place = self._places.setdefault(estimate.place, len(self._places))
        text = f"{estimate.day.toordinal()} {place} {estimate.amount:f}\n".encode()
        self._estimates.setdefault(estimate.key, bytearray()).extend(text)
        self.count += 1
        self.estimated = exact_sum((self.estimated, estimate.amount))
        self.last_day = max(self.last_day or estimate.day, estimate.day)

    def offer(self, line: InvoiceLine) -> DailyCharge | None:
        """Hold a line if there are estimates of it; an invoiced line without any is a charge of its own, which is given back."""
        if line.key in self._estimates:
            self._lines.setdefault(line.key, []).append(line)
            return None
        return None if line.invoice_id is None else whole(line)

    def charges(self) -> Iterator[DailyCharge]:
        """The charges of all lines that have estimates, in the order in which lines first came: all days, then all that invoices say.

        One kind after the other, because rows are written in batches of one kind.
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
        """The days of one resource, and what each invoice says beyond them."""
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
        """Lines that differ in their resource only: as invoiced."""
        yield from map(whole, invoiced)
        end = max(line.end for line in invoiced)
        self._drop(one for one in estimates if _noon(one.day) < end)
        yield from self._open([one for one in estimates if _noon(one.day) >= end], shown)

    def _open(self, estimates: Sequence[DailyEstimate], shown: Sequence[InvoiceLine]) -> Iterator[DailyCharge]:
        """Days that no invoice has: they stand while one may still come."""
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
    """A line as one charge, as stated."""
    return DailyCharge(line.key, line.amount, line.start, line.end, INVOICE_LINE, line, (), line.invoice_id)


def _bills(lines: Sequence[InvoiceLine]) -> list[list[InvoiceLine]]:
    """Lines by invoice, the one that ends first before the others."""
    by_invoice: dict[str, list[InvoiceLine]] = {}
    for line in lines:
        by_invoice.setdefault(line.invoice_id or "", []).append(line)
    named = sorted(by_invoice.items(), key=lambda bill: (max(line.end for line in bill[1]), bill[0]))
    return [bill for _, bill in named]


def _trued_up(estimates: Sequence[DailyEstimate], lines: Sequence[InvoiceLine]) -> Iterator[DailyCharge]:
    """The estimates and the residual of a line of one invoice."""
    if not estimates:
        yield from map(whole, lines)
        return
    line = _common(lines) or lines[0]
    for one in estimates:
        yield _of_day(one, line, line.invoice_id)
    residual = exact_sum([*(line.amount for line in lines), *(-one.amount for one in estimates)])
    if residual:
        place = _common_place(estimates)
        yield DailyCharge(line.key, residual, line.start, line.end, RESIDUAL, line, place, line.invoice_id)


def _of_day(estimate: DailyEstimate, line: InvoiceLine | None, invoice_id: str | None) -> DailyCharge:
    start = _midnight(estimate.day)
    return DailyCharge(estimate.key, estimate.amount, start, start + _DAY, ESTIMATE, line, estimate.place, invoice_id)


def _common(lines: Sequence[InvoiceLine]) -> InvoiceLine | None:
    """What can be said of all `lines` together; what they differ in is left out."""
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
