"""Reconciliation as a rule: what is equal, what is not, and that it names where a line was lost, doubled or changed."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.analytics.reconciliation import (
    MonthState,
    doubted,
    located,
    reconcile,
    tolerance,
)
from optiinfra_assets.analytics.rounding import Neighbours
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.invoices import OPEN, VOIDED, Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.domain.reconciliations import (
    Agreement,
    ChargeGroup,
    Reconciliation,
    ReconciliationStatus,
    read_gaps,
    written_gaps,
)

MONTH = BillingPeriod(2026, 9)
LATER = datetime(2026, 11, 20, tzinfo=UTC)
SERVICES = {"Compute": "41.07", "Database": "23.13", "Object Storage": "7.519", "Network": "3.3"}


def group(
    amount: str | Decimal,
    *,
    category: str = "Usage",
    service: str = "Compute",
    day: int = 1,
    invoice_id: str = "",
    issuer: str = "Cloud Inc.",
    currency: str = "USD",
) -> ChargeGroup:
    """One line item."""
    on = date(2026, 9, day)
    return ChargeGroup(issuer, currency, invoice_id, category, service, on, Decimal(amount), 1)


def invoice(total: str | Decimal, *parts: InvoicePart, **changed: object) -> Invoice:
    """One invoice of the month."""
    made = Invoice(
        invoice_id="I-1", issuer="Cloud Inc.", billing_period=MONTH, currency="USD", total=Decimal(total), parts=parts
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def state(now: datetime = LATER, *, is_final: bool = True, **agreed: Agreement) -> MonthState:
    """The state of the month; `agreed` by currency, of the one issuer."""
    return MonthState(MONTH, now, is_final, {("Cloud Inc.", currency): one for currency, one in agreed.items()})


def only(charges: list[ChargeGroup], statement: InvoiceStatement | None, month: MonthState) -> Reconciliation:
    """The one comparison of a month."""
    (found,) = reconcile(charges, statement, month)
    return found


def of(*invoices: Invoice) -> InvoiceStatement:
    """A statement of these invoices."""
    return InvoiceStatement(tuple(invoices))


@pytest.mark.parametrize(
    ("rows", "currency", "expected"),
    [(0, "USD", "1"), (40_000, "USD", "1"), (1_000_000, "EUR", "5"), (1, "JPY", "100"), (250_000, "KWD", "0.25")],
)
def test_tolerance_is_that_of_focus(rows: int, currency: str, expected: str) -> None:
    """MAX(100 x subunit, sqrt(rows) x 0.5 x subunit)."""
    assert tolerance(rows, currency) == Decimal(expected)


@pytest.mark.parametrize(
    ("statement", "month", "status"),
    [
        (of(invoice("10")), state(datetime(2026, 9, 30, 23, tzinfo=UTC)), "open"),
        (of(invoice("10")), state(), "reconciled"),
        (of(invoice("11")), state(), "reconciled"),
        (of(invoice("11.01")), state(), "mismatch"),
        (of(invoice("12")), state(datetime(2026, 10, 3, tzinfo=UTC), is_final=False), "provisional"),
        (of(invoice("12")), state(datetime(2026, 11, 3, tzinfo=UTC), is_final=False), "mismatch"),
        (of(invoice("10", status=OPEN)), state(), "provisional"),
        (of(), state(datetime(2026, 10, 3, tzinfo=UTC)), "provisional"),
        (of(), state(), "not stated"),
        (None, state(), "not stated"),
        (InvoiceStatement(not_stated="no API"), state(datetime(2026, 10, 3, tzinfo=UTC)), "not stated"),
        (of(invoice("10"), invoice("7", invoice_id="I-2", status=VOIDED)), state(), "reconciled"),
        (of(invoice("10.5"), invoice("-0.5", invoice_id="C-1", corrects="I-1")), state(), "reconciled"),
        (of(invoice("10"), invoice("-4", invoice_id="C-1", corrects="I-1")), state(), "mismatch"),
    ],
)
def test_status(statement: InvoiceStatement | None, month: MonthState, status: str) -> None:
    """Nothing but agreement is shown as reconciled; a credit memo counts, a voided invoice does not."""
    assert only([group("4"), group("6", day=2)], statement, month).status == status


def test_what_costs_never_have_is_no_difference() -> None:
    """A source whose line items are before tax is compared without it, also with an invoice of nothing but tax."""
    taxed = invoice("11.9", InvoicePart("Usage", Decimal(10)), InvoicePart("Tax", Decimal("1.9")))
    alone = invoice("3", InvoicePart("Tax", Decimal(3)), invoice_id="T-1")
    found = only([group("10")], replace(of(taxed, alone), not_in_costs=frozenset({"Tax"})), state())
    assert (found.difference, found.not_in_costs, found.stated) == (Decimal(0), Decimal("4.9"), Decimal("14.9"))
    assert found.status is ReconciliationStatus.RECONCILED


def test_an_invoice_of_nothing_states_its_parts_all_the_same() -> None:
    """Credits may take all of it off, tax too; only one that is voided states nothing."""
    paid = (InvoicePart("Usage", Decimal(100)), InvoicePart("Credit", Decimal(-119)), InvoicePart("Tax", Decimal(19)))
    statement = InvoiceStatement((invoice("0", *paid),), not_in_costs=frozenset({"Tax"}))
    costs = [group("100"), group("-119", category="Credit", service="Credits")]
    found = only(costs, statement, state())
    assert (found.status, found.difference, found.not_in_costs) == ("reconciled", 0, 19)
    voided = InvoiceStatement((invoice("0", *paid, status=VOIDED),), not_in_costs=frozenset({"Tax"}))
    assert only(costs, voided, state()).difference == -19


def test_a_gap_in_what_an_invoice_of_nothing_bills_is_named() -> None:
    """Beside another invoice, and where no line item has its id."""
    nothing = invoice("0", InvoicePart("Usage", Decimal(100)), InvoicePart("Credit", Decimal(-100)), invoice_id="I-2")
    other = invoice("50", InvoicePart("Usage", Decimal(50)))
    costs = [group("150"), group("-90", category="Credit", service="Credits")]
    found = only(costs, of(other, nothing), state())
    named = located(found, costs, [other, nothing], frozenset(), None).gaps
    assert [(one.charge_category, one.amount) for one in named] == [("Credit", 10)]


def test_issuers_and_currencies_are_compared_apart() -> None:
    """A seller of a marketplace has invoices of its own; an issuer is recognized by invoice ids, and without regard to case."""
    charges = [
        group("10", issuer="Cloud Inc.", invoice_id="I-1"),
        group("5", issuer="Seller", currency="EUR"),
        group("2", issuer="Seller"),
    ]
    statement = of(invoice("10", issuer="CLOUD, INC"), invoice("5", issuer="SELLER", currency="EUR", invoice_id="S-1"))
    found = {(one.issuer, one.currency): one.status.value for one in reconcile(charges, statement, state())}
    assert found == {
        ("Cloud Inc.", "USD"): "reconciled",
        ("Seller", "EUR"): "reconciled",
        ("Seller", "USD"): "not stated",
    }


def test_a_closed_month_that_moves_is_a_mismatch_however_little() -> None:
    """Rounding does not move. It ends when the costs move back, or when the invoices explain it."""
    agreed = Agreement(Decimal(10), Decimal(10))
    moved = only([group("10.02")], of(invoice("10")), state(USD=agreed))
    assert (moved.status, moved.moved) == (ReconciliationStatus.MISMATCH, Decimal("0.02"))
    assert "moved by 0.02 USD" in moved.reason
    assert only([group("10")], of(invoice("10")), state(USD=agreed)).status is ReconciliationStatus.RECONCILED
    assert only([group("10.02")], of(invoice("10.02")), state(USD=agreed)).status is ReconciliationStatus.RECONCILED


def test_an_invoice_without_line_items_is_named() -> None:
    """A refund that the costs lack is on an invoice of its own."""
    charges = [group("10", invoice_id="I-1")]
    refund = invoice("-4", InvoicePart("Credit", Decimal(-4)), invoice_id="C-1")
    statement = of(invoice("10"), refund)
    found = located(only(charges, statement, state()), charges, statement.invoices, frozenset(), None)
    assert [(one.charge_category, one.amount, one.invoice_id) for one in found.gaps] == [("Credit", Decimal(4), "C-1")]
    assert read_gaps(written_gaps(found.gaps)) == found.gaps


def lines(seed: int) -> list[ChargeGroup]:
    """The line items of a month: every service every day, on two resources, less at weekends; tax and a purchase."""
    chance = random.Random(seed)  # noqa: S311 - draws test data
    made = []
    for day in range(1, 31):
        rest = Decimal("0.6") if date(2026, 9, day).weekday() >= 5 else Decimal(1)
        for service, amount in SERVICES.items():
            for share in (Decimal("0.7"), Decimal("0.3")):
                noise = Decimal(chance.randint(960, 1040)) / 1000
                made.append(group(Decimal(amount) * share * rest * noise, service=service, day=day))
    taxes = exact_sum(one.amount for one in made) / 5
    return [*made, group("900", category="Purchase", service="Compute"), group(taxes, category="Tax", service="Tax")]


def stated_by(charges: list[ChargeGroup], how: str) -> InvoiceStatement:
    """An invoice of these line items that states parts by service, by charge category, or nothing but its total."""
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for one in charges:
        sums[one.charge_category, one.service if how == "service" else ""].append(one.amount)
    parts = [InvoicePart(category, exact_sum(amounts), service) for (category, service), amounts in sums.items()]
    return of(invoice(exact_sum(one.amount for one in charges), *(parts if how != "total" else ())))


def faulty(charges: list[ChargeGroup], chance: random.Random) -> tuple[ChargeGroup, list[ChargeGroup]]:
    """Drop, double or change one line item."""
    number = chance.randrange(len(charges))
    line, others = charges[number], charges[:number] + charges[number + 1 :]
    changed = replace(line, amount=line.amount * Decimal(chance.choice(["0.5", "1.5", "2.5", "-1"])))
    return line, others + chance.choice([[], [line, line], [changed]])


@pytest.mark.parametrize(
    ("how", "has_before", "least"),
    [
        ("service", False, 1.0),
        ("category", True, 1.0),
        ("total", True, 1.0),
        ("category", False, 0.95),
        ("total", False, 0.80),
    ],
)
def test_a_lost_doubled_or_changed_line_is_found(how: str, has_before: bool, least: float) -> None:
    """1,000 faults, each in a month of its own: the month is a mismatch, and the largest gap names charge category and service.

    The month was reconciled before. `has_before` is whether its line items of then are still kept: without them the
    invoice has to tell where the gap is, and the day that stands out if it tells no service.
    """
    chance = random.Random(7)  # noqa: S311 - draws test data
    named = at_day = 0
    months = [lines(seed) for seed in range(10)]
    for number in range(1000):
        charges = months[number % len(months)]
        line, wrong = faulty(charges, chance)
        total = exact_sum(one.amount for one in charges)
        statement = stated_by(charges, how)
        found = only(wrong, statement, state(USD=Agreement(total, total)))
        assert found.status is ReconciliationStatus.MISMATCH
        gap = located(found, wrong, statement.invoices, frozenset(), charges if has_before else None).gaps[0]
        assert gap.amount == found.difference
        named += (gap.charge_category, gap.service) == (line.charge_category, line.service)
        at_day += gap.day == line.day
    assert named >= least * 1000, f"{named} named, {at_day} with the day"
    assert not has_before or at_day == 1000


def judged(charges: list[ChargeGroup], statement: InvoiceStatement, months: Neighbours | None = None) -> Reconciliation:
    """A month that was never reconciled, compared to the end."""
    found = only(charges, statement, state())
    found = located(found, charges, statement.invoices, frozenset(), None) if found.difference else found
    return doubted(found, charges, statement.invoices, frozenset(), months or Neighbours(), state())


def test_a_lost_fraction_of_a_cent_is_found_in_a_month_that_never_agreed() -> None:
    """100 lines of less than the tolerance, each lost by the first load: other services are equal to the last digit, so it is no rounding.

    The same where the invoice has nothing but its total, but other months are equal.
    """
    chance = random.Random(11)  # noqa: S311 - draws test data
    others = Neighbours.of((Decimal(f"{number}.123456"), Decimal(0)) for number in range(1, 4))
    months = [lines(seed) for seed in range(5)]
    for number in range(100):
        charges = months[number % len(months)]
        whole = [*charges, group(Decimal(chance.randint(1, 10**6)).scaleb(-7), service=chance.choice([*SERVICES]))]
        for how, known in (("service", None), ("total", others)):
            assert judged(whole, stated_by(whole, how), known).status is ReconciliationStatus.RECONCILED
            found = judged(charges, stated_by(whole, how), known)
            assert found.status is ReconciliationStatus.MISMATCH
            assert found.reason.startswith("the difference is no rounding: ")
            assert how == "total" or found.gaps[0].service == whole[-1].service
        assert judged(charges, stated_by(whole, "total")).status is ReconciliationStatus.RECONCILED


@given(seed=st.integers(0, 10**6), how=st.sampled_from(["service", "category", "total"]))
def test_an_invoice_that_rounds_is_never_doubted(seed: int, how: str) -> None:
    """Its parts are rounded to cents, and other months are within a cent, some of them equal by luck."""
    charges = lines(seed)
    (exact,) = stated_by(charges, how).invoices
    cent = Decimal("0.01")
    parts = [replace(part, amount=part.amount.quantize(cent)) for part in exact.parts]
    total = exact_sum(one.amount for one in parts) if parts else exact.total.quantize(cent)
    months = Neighbours.of((Decimal(number + 1), cent * (number % 2)) for number in range(12))
    statement = of(invoice(total, *parts))
    assert judged(charges, statement, months).status is ReconciliationStatus.RECONCILED


@given(
    amounts=st.lists(st.decimals(-(10**9), 10**9, places=12, allow_nan=False), min_size=1, max_size=30),
    beyond=st.decimals(-(10**6), 10**6, places=12, allow_nan=False),
)
def test_gaps_add_up_to_the_difference(amounts: list[Decimal], beyond: Decimal) -> None:
    """To the last digit, whichever way they are found."""
    charges = [group(one, service=f"S{n % 4}", day=n % 30 + 1) for n, one in enumerate(amounts)]
    total = exact_sum((*amounts, beyond))
    for parts in ((), (InvoicePart("Usage", total),), (InvoicePart("Usage", Decimal(1), "S0"),)):
        statement = of(invoice(total, *parts))
        found = only(charges, statement, state())
        assert found.difference == beyond.copy_negate()
        if found.difference:
            gaps = located(found, charges, statement.invoices, frozenset(), None).gaps
            assert exact_sum(one.amount for one in gaps) == found.difference


def test_days_do_not_matter_beyond_the_month() -> None:
    """A charge of the day before belongs to the month that bills it."""
    charges = [replace(group("3"), day=date(2026, 8, 31)), group("4")]
    assert only(charges, of(invoice("7")), state(LATER + timedelta(days=400))).difference == 0
