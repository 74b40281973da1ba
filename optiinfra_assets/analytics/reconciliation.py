"""Compares the line items of a month with its invoices: sums of charges and an `InvoiceStatement` in, `Reconciliation` objects out.

The rule of FOCUS 1.4 (InvoiceDetail): sums may differ by MAX(100 x subunit, sqrt(rows) x 0.5 x subunit) of the currency. That is what
rounding can do. Rounding does not move, so a month whose costs move after it was reconciled, while no invoice does, is a mismatch however
little it is; and it does not leave most amounts equal to the last digit, see `rounding`. A difference is looked for first by what changed
since the month was reconciled, then by what invoices state apart, and last by days that stand out; each `Gap` says which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from statistics import median
from typing import Final

from optiinfra_assets.analytics.rounding import Neighbours
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum, plain
from optiinfra_assets.domain.invoices import OPEN, Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.domain.reconciliations import (
    Agreement,
    ChargeGroup,
    Gap,
    Reconciliation,
    ReconciliationStatus,
    subunit,
)

SETTLING: Final = timedelta(days=31)
"""How long after the end of a month a difference is provisional, if the source does not say that its costs are final."""
MOST_GAPS: Final = 50
"""Most gaps of one comparison that are kept."""

BY_CHANGE: Final = "changed since the month was reconciled"
BY_ID: Final = "no line item is on this invoice"
BY_STATEMENT: Final = "stated apart on the invoices"
BY_OUTLIER: Final = "the day that stands out by this amount"
LEAST_SCORE: Final = 9.0
"""A day stands out if the gap is so much likelier on it than on none (see `_likeliest`): three standard deviations."""
UNKNOWN: Final = "the invoices state no more than this"

_ROOTS: Final = Context(prec=40, rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class MonthState:
    """What decides a status beside the amounts.

    Attributes:
        now: UTC instant of the comparison.
        is_final: the source will not change the costs any more.
        agreed: when each (issuer, currency) was reconciled last; missing if never.
    """

    period: BillingPeriod
    now: datetime
    is_final: bool
    agreed: Mapping[tuple[str, str], Agreement]


def tolerance(line_items: int, currency: str) -> Decimal:
    """Return up to which difference FOCUS 1.4 takes two sums for equal."""
    unit = subunit(currency)
    return max(100 * unit, _ROOTS.multiply(_ROOTS.sqrt(Decimal(line_items)), unit / 2))


def doubted(
    found: Reconciliation,
    charges: Sequence[ChargeGroup],
    invoices: Sequence[Invoice],
    not_in_costs: frozenset[str],
    months: Neighbours,
    month: MonthState,
) -> Reconciliation:
    """Return a comparison; one whose difference is within the tolerance, but is not of rounding, is a mismatch.

    Args:
        found: a comparison with its gaps.
        charges: the sums of its line items by day.
        invoices: what it is compared with.
        not_in_costs: charge categories of the invoices that no line item has.
        months: the other closed months of the same account, issuer and currency.
        month: what decides the status.
    """
    if found.status is not ReconciliationStatus.RECONCILED or not found.difference:
        return found
    if months.rule_out_rounding(found.difference, found.line_items, found.currency):
        why = f"the invoices of {len(months.exact)} other months are equal to the costs to the last digit"
    else:
        parts = _compared_parts(charges, [one for one in invoices if not one.is_voided], not_in_costs)
        others = Neighbours.of((one.stated, one.difference) for one in parts)
        others.inexact = max(0, others.inexact - 1)
        if not any(others.rule_out_rounding(one.difference, one.line_items, found.currency) for one in parts):
            return found
        why = f"{len(others.exact)} other parts of the invoices are equal to the costs to the last digit"
    if not month.is_final and month.now < month.period.end + SETTLING:
        return replace(found, status=ReconciliationStatus.PROVISIONAL, reason="the costs are not final yet")
    return replace(found, status=ReconciliationStatus.MISMATCH, reason=f"the difference is no rounding: {why}")


def reconcile(
    charges: Iterable[ChargeGroup], statement: InvoiceStatement | None, month: MonthState
) -> list[Reconciliation]:
    """Compare a month, one comparison for each issuer and currency of its line items or invoices, in their order.

    Args:
        charges: sums of all of its line items.
        statement: what is stated of its invoices, None if nobody was asked yet.
        month: what decides the status.
    """
    ours: dict[tuple[str, str], list[ChargeGroup]] = defaultdict(list)
    for one in charges:
        ours[one.issuer, one.currency].append(one)
    said = statement or InvoiceStatement(not_stated="the invoices were not read yet")
    stated = assigned(said.invoices, ours)
    return [
        _compared(key, ours.get(key, []), stated.get(key, []), said, month)
        for key in sorted(ours.keys() | stated.keys())
    ]


def assigned(
    invoices: Iterable[Invoice], ours: Mapping[tuple[str, str], Sequence[ChargeGroup]]
) -> dict[tuple[str, str], list[Invoice]]:
    """Return the invoices by (issuer, currency) of the line items that they bill.

    Sources spell an issuer in more than one way. So line items that have the id of an invoice decide, then the name without regard to
    case, then that there is only one issuer; else the invoice stands alone.
    """
    by_id: dict[str, set[str]] = defaultdict(set)
    issuers = {issuer for issuer, _ in ours}
    for (issuer, _), groups in ours.items():
        for group in groups:
            by_id[group.invoice_id].add(issuer)
    folded = {issuer.casefold(): issuer for issuer in issuers}
    found: dict[tuple[str, str], list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        known = by_id.get(invoice.invoice_id, set())
        same = folded.get(invoice.issuer.casefold())
        only = next(iter(issuers)) if len(issuers) == 1 else invoice.issuer
        issuer = next(iter(known)) if len(known) == 1 else same or only
        found[issuer, invoice.currency].append(invoice)
    return found


def _compared(
    key: tuple[str, str],
    charges: Sequence[ChargeGroup],
    invoices: Sequence[Invoice],
    said: InvoiceStatement,
    month: MonthState,
) -> Reconciliation:
    issuer, currency = key
    ours = exact_sum(one.amount for one in charges)
    rows = sum(one.line_items for one in charges)
    loose = [one for one in charges if not one.invoice_id]
    stated = exact_sum(one.counted for one in invoices) if invoices else None
    apart = exact_sum(_outside(one, said.not_in_costs) for one in invoices)
    found = Reconciliation(
        issuer=issuer,
        currency=currency,
        ours=ours,
        stated=stated,
        not_in_costs=apart,
        difference=None if stated is None else exact_difference(ours, exact_difference(stated, apart)),
        tolerance=tolerance(rows, currency),
        line_items=rows,
        unassigned=sum(one.line_items for one in loose),
        unassigned_cost=exact_sum(one.amount for one in loose),
        invoice_ids=tuple(sorted(one.invoice_id for one in invoices)),
        status=ReconciliationStatus.OPEN,
        reason="",
    )
    return _judged(found, invoices, said, month)


def _outside(invoice: Invoice, categories: frozenset[str]) -> Decimal:
    parts = {} if invoice.is_voided else invoice.by_category()
    return exact_sum(amount for category, amount in parts.items() if category in categories)


def _judged(
    found: Reconciliation, invoices: Sequence[Invoice], said: InvoiceStatement, month: MonthState
) -> Reconciliation:
    status = ReconciliationStatus
    if month.now < month.period.end:
        return replace(found, status=status.OPEN, reason="the month is not over")
    if found.difference is None:
        waits = not said.not_stated and month.now < month.period.end + SETTLING
        return replace(
            found,
            status=status.PROVISIONAL if waits else status.NOT_STATED,
            reason=said.not_stated or "no invoice of this month is stated" + (" yet" if waits else ""),
        )
    if any(one.status == OPEN for one in invoices):
        return replace(found, status=status.PROVISIONAL, reason="an invoice is still open")
    moved = _moved(found, month.agreed.get((found.issuer, found.currency)))
    if moved is not None:
        reason = (
            f"the costs moved by {plain(moved)} {found.currency} since the month was reconciled, and no invoice did"
        )
        return replace(found, status=status.MISMATCH, reason=reason, moved=moved)
    if abs_of(found.difference) <= found.tolerance:
        exact = "costs and invoices are equal" if not found.difference else "the difference is within the tolerance"
        return replace(found, status=status.RECONCILED, reason=exact)
    if not month.is_final and month.now < month.period.end + SETTLING:
        return replace(found, status=status.PROVISIONAL, reason="the costs are not final yet")
    return replace(found, status=status.MISMATCH, reason="the difference is larger than rounding can be")


def _moved(found: Reconciliation, agreed: Agreement | None) -> Decimal | None:
    """By how much the costs moved away from unchanged invoices, None if they did not."""
    if agreed is None or found.difference is None or agreed.compared_with != found.compared_with:
        return None
    before = exact_difference(agreed.ours, agreed.compared_with)
    moved = exact_difference(found.ours, agreed.ours)
    return moved if abs_of(found.difference) > abs_of(before) else None


def located(
    found: Reconciliation,
    charges: Sequence[ChargeGroup],
    invoices: Sequence[Invoice],
    not_in_costs: frozenset[str],
    before: Sequence[ChargeGroup] | None,
) -> Reconciliation:
    """Return a comparison with its gaps.

    Args:
        found: a comparison with a difference.
        charges: the sums of its line items by day.
        invoices: what it is compared with.
        not_in_costs: charge categories of the invoices that no line item has.
        before: the sums by day as they were when it was reconciled last; None if they are not kept, or the invoices changed since.
    """
    assert found.difference is not None  # noqa: S101 - only a comparison with a difference is looked into
    gaps = _changes(charges, before) if before is not None else []
    gaps = gaps or _not_loaded(charges, invoices, not_in_costs, found.difference)
    if not gaps:
        counted = [one for one in invoices if not one.is_voided]
        stated = _by_statement(charges, counted, not_in_costs, found.difference)
        gaps = [_pinned(one, charges) for one in stated]
    gaps.sort(key=lambda one: (-abs_of(one.amount), one.charge_category, one.service, one.day or date.min))
    return replace(found, gaps=tuple(gaps[:MOST_GAPS]))


def _not_loaded(
    charges: Sequence[ChargeGroup], invoices: Sequence[Invoice], not_in_costs: frozenset[str], difference: Decimal
) -> list[Gap]:
    """Return what invoices bill of which there is no line item, if that is the whole difference; none if line items have no invoice ids."""
    known = {one.invoice_id for one in charges} - {""}
    gaps = []
    for invoice in invoices:
        if not known or invoice.is_voided or invoice.invoice_id in known:
            continue
        parts = [part for part in invoice.parts if part.charge_category not in not_in_costs]
        rest = exact_difference(invoice.total, exact_sum(part.amount for part in invoice.parts))
        parts += [InvoicePart("", rest)] if rest else []
        gaps += [
            Gap(part.charge_category, part.service, None, part.amount.copy_negate(), invoice.invoice_id, BY_ID)
            for part in parts
        ]
    return gaps if exact_sum(one.amount for one in gaps) == difference else []


def _changes(charges: Sequence[ChargeGroup], before: Sequence[ChargeGroup]) -> list[Gap]:
    sums: dict[tuple[str, str, date | None], list[Decimal]] = defaultdict(list)
    for one in charges:
        sums[one.charge_category, one.service, one.day].append(one.amount)
    for one in before:
        sums[one.charge_category, one.service, one.day].append(one.amount.copy_negate())
    totals = ((key, exact_sum(amounts)) for key, amounts in sums.items())
    return [Gap(*key, amount, found_by=BY_CHANGE) for key, amount in totals if amount]


def _by_statement(
    charges: Sequence[ChargeGroup], invoices: Sequence[Invoice], not_in_costs: frozenset[str], difference: Decimal
) -> list[Gap]:
    """Return the gaps by what the invoices state apart, and one for what they leave unexplained.

    A charge category is compared by service if all of its stated parts have one, and not at all if no part of it is stated while some
    invoice has parts that do not add up to its total.
    """
    parts = _compared_parts(charges, invoices, not_in_costs)
    gaps = [
        Gap(one.charge_category, one.service, None, one.difference, found_by=BY_STATEMENT)
        for one in parts
        if one.difference
    ]
    rest = exact_difference(difference, exact_sum(one.amount for one in gaps))
    return [*gaps, Gap("", "", None, rest, found_by=UNKNOWN)] if rest else gaps


@dataclass(frozen=True, slots=True)
class _Part:
    """What the invoices state apart, and by how much the line items differ."""

    charge_category: str
    service: str
    stated: Decimal
    difference: Decimal
    line_items: int


def _compared_parts(
    charges: Sequence[ChargeGroup], invoices: Sequence[Invoice], not_in_costs: frozenset[str]
) -> list[_Part]:
    """Compare by charge category what invoices state apart, and by service within it; see `_by_statement` for which."""
    parts = [part for invoice in invoices for part in invoice.parts if part.charge_category not in not_in_costs]
    if not parts:
        return []
    is_whole = all(exact_sum(part.amount for part in one.parts) == one.total for one in invoices)
    by_service = {part.charge_category for part in parts} - {part.charge_category for part in parts if not part.service}
    known = {part.charge_category for part in parts}
    stated: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    ours: dict[tuple[str, str], list[ChargeGroup]] = defaultdict(list)
    for part in parts:
        stated[part.charge_category, part.service if part.charge_category in by_service else ""].append(part.amount)
    for one in charges:
        if one.charge_category in known or is_whole:
            ours[one.charge_category, one.service if one.charge_category in by_service else ""].append(one)
    compared = []
    for key in {**stated, **ours}:
        total, costs = exact_sum(stated[key]), exact_sum(one.amount for one in ours[key])
        rows = sum(one.line_items for one in ours[key])
        compared.append(_Part(*key, total, exact_difference(costs, total), rows))
    return compared


def _pinned(gap: Gap, charges: Sequence[ChargeGroup]) -> Gap:
    """Return a gap with the service and the day that stand out by its amount, if exactly one does best and well enough."""
    of = [
        one
        for one in charges
        if gap.charge_category in ("", one.charge_category) and gap.service in ("", one.service) and one.day
    ]
    series: dict[tuple[str, str], dict[date, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
    for one in of:
        assert one.day is not None  # noqa: S101 - chosen above
        series[one.charge_category, one.service][one.day].append(one.amount)
    days = sorted({one.day for one in of if one.day})
    best: tuple[float, str, str, date] | None = None
    for (category, service), sums in series.items():
        score, day = _likeliest({day: exact_sum(sums.get(day, ())) for day in days}, gap.amount)
        if best is None or score > best[0]:
            best = (score, category, service, day)
    if best is None or best[0] < LEAST_SCORE:
        return gap
    _, category, service, day = best
    how = gap.found_by if gap.service else BY_OUTLIER
    return Gap(category, service, day, gap.amount, gap.invoice_id, how)


def _likeliest(values: Mapping[date, Decimal], gap: Decimal) -> tuple[float, date]:
    """Return the day of a series on which the gap is likeliest, and how much likelier it is there than no gap, as twice the logarithm.

    That is of normally distributed deviations from the usual costs of the day; their scale is robust, and 1 % of a usual day at least.
    """
    beyond = {day: float(amount - _usual(values, day)) for day, amount in values.items()}
    level = abs(float(median(values.values())))
    scale = max(1.4826 * median(map(abs, beyond.values())), level / 100, abs(float(gap)) / 1000, 1e-9)
    rests = {day: (more, abs(more - float(gap))) for day, more in beyond.items()}
    most = max(4 * scale, abs(float(gap)) / 4)
    fits = [((more / scale) ** 2 - (rest / scale) ** 2, day) for day, (more, rest) in rests.items() if rest <= most]
    return max(fits, default=(0.0, date.min))


def _usual(values: Mapping[date, Decimal], day: date) -> Decimal:
    """Return what a day usually costs: the median of the same weekday within the month, or of all days if it has too few."""
    same = [amount for other, amount in values.items() if other != day and other.weekday() == day.weekday()]
    others = [amount for other, amount in values.items() if other != day]
    return median(same if len(same) >= 3 else others or [Decimal(0)])


def abs_of(amount: Decimal) -> Decimal:
    """Return an amount without its sign, to the last digit."""
    return amount.copy_abs()
