"""Invoiced lines told by their estimated days: whatever the estimates were, the rows of an invoice add up to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.digitalocean.daily_estimates import (
    ESTIMATE,
    DailyCharge,
    DailyEstimate,
    DailyEstimates,
    InvoiceLine,
)
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, RESIDUAL

JANUARY = BillingPeriod(2026, 1)
WEB, DISK = ("", "web"), ("", "disk")
NEAR = ("fra1", "sku-1", "")

amounts = st.decimals(min_value=-10_000, max_value=10_000, places=6)
keys = st.sampled_from([WEB, DISK, ("group", "web"), ("", "")])
estimates = st.lists(
    st.builds(
        DailyEstimate,
        keys,
        st.dates(date(2026, 1, 1), date(2026, 1, 31)),
        amounts,
        st.sampled_from([NEAR, ("nyc3", "sku-1", "")]),
    ),
    max_size=40,
)


@st.composite
def bill_lines(draw: st.DrawFn) -> list[InvoiceLine]:
    """Lines of a threshold invoice, of the invoice at the end, and of a preview."""

    def line(invoice_id: str | None) -> InvoiceLine:
        first = draw(st.integers(1, 20)) if invoice_id == "final" else 1
        last = draw(st.integers(first, 31)) if invoice_id != "early" else 12
        resource = draw(st.sampled_from([(), ("r-1",), ("r-2", "2")]))
        start = datetime(2026, 1, first, tzinfo=UTC)
        return a_line(
            draw(keys),
            draw(amounts),
            invoice_id,
            resource,
            start,
            datetime(2026, 1, last, tzinfo=UTC) + timedelta(hours=18),
        )

    ids = draw(st.lists(st.sampled_from(["early", "final", "final", None]), max_size=15))
    return [line(one) for one in ids]


def a_line(
    key: tuple[str, ...],
    amount: Decimal,
    invoice_id: str | None = "final",
    resource: tuple[str, ...] = ("r-1",),
    start: datetime = JANUARY.start,
    end: datetime = JANUARY.end,
) -> InvoiceLine:
    return InvoiceLine(key, amount, "Droplets", resource, "shop", start, end, Decimal(744), "Hours", invoice_id)


def charges_of(
    days: Sequence[DailyEstimate], lines: Sequence[InvoiceLine], *, is_closed: bool
) -> tuple[DailyEstimates, list[DailyCharge]]:
    held = DailyEstimates(JANUARY, is_closed)
    for estimate in days:
        held.add(estimate)
    at_once = [charge for line in lines if (charge := held.offer(line)) is not None]
    return held, at_once + list(held.charges())


def sums(charges: Sequence[DailyCharge]) -> dict[str | None, Decimal]:
    found: dict[str | None, Decimal] = defaultdict(Decimal)
    for charge in charges:
        found[charge.invoice_id] += charge.amount
    return found


@given(estimates, bill_lines())
def test_the_rows_of_a_closed_month_are_its_invoices(days: list[DailyEstimate], lines: list[InvoiceLine]) -> None:
    held, charges = charges_of(days, lines, is_closed=True)
    stated: dict[str | None, Decimal] = defaultdict(Decimal)
    for line in lines:
        stated[line.invoice_id] += line.amount
    stated.pop(None, None)
    found = sums(charges)
    assert {name: found[name] for name in stated} == stated
    assert found.keys() <= stated.keys(), "neither a preview nor an estimate is a cost of a month that is invoiced"
    told = [charge for charge in charges if charge.method == ESTIMATE]
    assert len(told) + held.dropped == len(days) == held.count
    assert sum((one.amount for one in told), held.dropped_amount) == held.estimated


@given(estimates, bill_lines())
def test_an_open_month_is_its_invoices_and_the_days_after_them(
    days: list[DailyEstimate], lines: list[InvoiceLine]
) -> None:
    _, charges = charges_of(days, lines, is_closed=False)
    stated: dict[str | None, Decimal] = defaultdict(Decimal)
    for line in lines:
        stated[line.invoice_id] += line.amount
    found = sums(charges)
    assert {name: found[name] for name in stated if name} == {name: stated[name] for name in stated if name}
    ends = defaultdict(lambda: JANUARY.start)
    for line in lines:
        if line.invoice_id:
            ends[line.key] = max(ends[line.key], line.end)
    later = [one.amount for one in days if datetime(one.day.year, 1, one.day.day, 12, tzinfo=UTC) >= ends[one.key]]
    assert found[None] == sum(later, Decimal(0))


@given(estimates, bill_lines(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_come_changes_no_row(
    days: list[DailyEstimate], lines: list[InvoiceLine], is_closed: bool, chance: object
) -> None:
    _, charges = charges_of(days, lines, is_closed=is_closed)
    chance.shuffle(days)  # type: ignore[attr-defined]
    _, again = charges_of(days, lines, is_closed=is_closed)
    assert Counter(map(repr, again)) == Counter(map(repr, charges))


@given(estimates)
def test_estimates_are_held_to_the_last_digit(days: list[DailyEstimate]) -> None:
    _, charges = charges_of(days, [], is_closed=False)
    assert Counter((one.key, one.start.date(), one.amount, one.place) for one in charges) == Counter(
        (one.key, one.day, one.amount, one.place) for one in days
    )


def test_a_residual_is_what_the_invoice_says_beyond_its_days() -> None:
    days = [DailyEstimate(WEB, date(2026, 1, day), Decimal("2.40"), NEAR) for day in (1, 2, 3)]
    _, charges = charges_of(days, [a_line(WEB, Decimal("7.50"))], is_closed=True)
    assert [(one.method, one.amount) for one in charges] == [(ESTIMATE, Decimal("2.40"))] * 3 + [
        (RESIDUAL, Decimal("0.30"))
    ]
    assert {(one.line.resource, one.place) for one in charges if one.line} == {(("r-1",), NEAR)}
    assert (charges[-1].start, charges[-1].end) == (JANUARY.start, JANUARY.end)


def test_estimates_that_are_right_have_no_residual() -> None:
    days = [DailyEstimate(WEB, date(2026, 1, 1), Decimal("2.40"), NEAR)]
    _, charges = charges_of(days, [a_line(WEB, Decimal("2.4"))], is_closed=True)
    assert [one.method for one in charges] == [ESTIMATE]


def test_resources_that_share_their_texts_stand_as_invoiced() -> None:
    days = [DailyEstimate(WEB, date(2026, 1, 1), Decimal(3), NEAR)] * 2
    lines = [a_line(WEB, Decimal(4)), a_line(WEB, Decimal(2), resource=("r-2",))]
    held, charges = charges_of(days, lines, is_closed=True)
    assert [(one.method, one.amount, one.line.resource) for one in charges if one.line] == [
        (INVOICE_LINE, 4, ("r-1",)),
        (INVOICE_LINE, 2, ("r-2",)),
    ]
    assert (held.dropped, held.dropped_amount) == (2, 6)


def test_a_preview_tells_whose_an_estimate_is_unless_it_could_be_two() -> None:
    days = [DailyEstimate(key, date(2026, 1, 1), Decimal(3), NEAR) for key in (WEB, DISK)]
    lines = [
        a_line(WEB, Decimal(99), None),
        a_line(DISK, Decimal(99), None),
        a_line(DISK, Decimal(99), None, ("r-2",)),
    ]
    _, charges = charges_of(days, lines, is_closed=False)
    assert [(one.amount, one.line and one.line.resource, one.line and one.line.product) for one in charges] == [
        (3, ("r-1",), "Droplets"),
        (3, (), "Droplets"),
    ]


def test_a_threshold_invoice_takes_the_days_before_its_noon() -> None:
    days = [DailyEstimate(WEB, date(2026, 1, day), Decimal(1), NEAR) for day in range(10, 15)]
    early = a_line(WEB, Decimal("2.75"), "early", end=datetime(2026, 1, 12, 18, tzinfo=UTC))
    _, charges = charges_of(days, [early], is_closed=False)
    assert sums(charges) == {"early": Decimal("2.75"), None: 2}
    last = a_line(WEB, Decimal("2.50"), "final", start=early.end)
    _, charges = charges_of(days, [last, early], is_closed=True)
    assert sums(charges) == {"early": Decimal("2.75"), "final": Decimal("2.50")}
    assert [one.amount for one in charges if one.method == RESIDUAL] == [Decimal("-0.25"), Decimal("0.50")]


def test_the_invoice_that_ends_first_takes_its_days_first_whatever_its_number() -> None:
    days = [DailyEstimate(WEB, date(2026, 1, day), Decimal(1), NEAR) for day in range(10, 15)]
    early = a_line(WEB, Decimal(3), "invoice-9", end=datetime(2026, 1, 12, 18, tzinfo=UTC))
    last = a_line(WEB, Decimal(2), "invoice-10", start=early.end)
    _, charges = charges_of(days, [early, last], is_closed=True)
    assert [(one.invoice_id, one.start.day) for one in charges] == [
        *(("invoice-9", day) for day in (10, 11, 12)),
        *(("invoice-10", day) for day in (13, 14)),
    ]
