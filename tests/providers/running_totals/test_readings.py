"""Differences of readings: every row sum is that of the newest reading or of the invoice, whatever happened in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.running_totals.readings import (
    AccruedAmount,
    ClosingInvoice,
    Key,
    MeasuredAmounts,
    Reading,
    accrue,
    billed_in,
    daily,
    summed,
    total,
)

MARCH = BillingPeriod(2026, 3)
APRIL = BillingPeriod(2026, 4)
SECOND = timedelta(seconds=1)
WEB: Key = ("web",)
DISK: Key = ("disk",)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of March 2026; day 32 is the 1st of April."""
    return MARCH.start + timedelta(days=day - 1, hours=hour, minutes=minute)


def reading(taken_at: datetime, **costs: str) -> Reading:
    return Reading(taken_at, {(name,): MeasuredAmounts(Decimal(cost)) for name, cost in costs.items()})


def bill(issued_at: datetime, **costs: str) -> ClosingInvoice:
    return ClosingInvoice(f"invoice at {issued_at}", issued_at, reading(issued_at, **costs).lines)


def shown(rows: Iterable[AccruedAmount]) -> list[tuple[str, datetime, datetime, str, bool]]:
    return [(row.key[0], row.start, row.end, str(row.measure.cost), row.is_residual) for row in rows]


def by_key(rows: Iterable[tuple[Key, MeasuredAmounts]]) -> dict[Key, MeasuredAmounts]:
    return {key: measure for key, measure in summed(rows).items() if measure}


def measured(rows: Iterable[AccruedAmount]) -> list[tuple[Key, MeasuredAmounts]]:
    return [(row.key, row.measure) for row in rows]


def test_rows_are_the_differences_between_the_first_readings_of_days() -> None:
    rows = accrue(
        MARCH,
        [
            reading(at(1, 0, 15), web="0.1"),
            reading(at(1, 12), web="5"),
            reading(at(2, 0, 1), web="10"),
            reading(at(2, 6), web="12"),
            reading(at(3, 0, 2), web="21"),
            reading(at(3, 15), web="27.5"),
        ],
        [],
    )
    assert shown(rows) == [
        ("web", at(1), at(2, 0, 1), "10", False),
        ("web", at(2, 0, 1), at(3, 0, 2), "11", False),
        ("web", at(3, 0, 2), at(3, 15), "6.5", False),
    ]


def test_a_missing_day_makes_one_longer_row() -> None:
    rows = accrue(MARCH, [reading(at(2), web="10"), reading(at(5), web="40")], [])
    assert shown(rows) == [("web", at(1), at(2), "10", False), ("web", at(2), at(5), "30", False)]


def test_the_first_row_begins_with_the_line_if_the_provider_says_when() -> None:
    begun = {WEB: at(4, 7), DISK: at(9)}
    first = Reading(at(6), {WEB: MeasuredAmounts(Decimal(3)), DISK: MeasuredAmounts(Decimal(1))}, begun)
    rows = accrue(MARCH, [first], [])
    assert [(row.key, row.start) for row in rows] == [(WEB, at(4, 7)), (DISK, at(1))], (
        "a line cannot begin after it was read"
    )


def test_a_line_that_falls_or_vanishes_without_an_invoice_is_corrected() -> None:
    rows = accrue(MARCH, [reading(at(2), web="10", disk="4"), reading(at(3), web="7"), reading(at(4), web="9")], [])
    assert shown(rows)[2:] == [
        ("web", at(2), at(3), "-3", False),
        ("disk", at(2), at(3), "-4", False),
        ("web", at(3), at(4), "2", False),
    ]


def test_an_invoice_within_the_month_resets_every_line() -> None:
    readings = [reading(at(9), web="80"), reading(at(10), web="90"), reading(at(11), web="6")]
    middle = bill(at(10, 12), web="95")
    rows = accrue(MARCH, readings, [middle])
    assert shown(rows) == [
        ("web", at(1), at(9), "80", False),
        ("web", at(9), at(10), "10", False),
        ("web", at(10), at(10, 12), "5", True),
        ("web", at(10, 12), at(11), "6", False),
    ]
    assert [row.invoice_id for row in rows] == [middle.invoice_id] * 3 + [None]


def test_the_invoice_closes_the_month_with_a_residual_by_line() -> None:
    readings = [reading(at(31), web="10", disk="4"), reading(at(31, 23), web="12", disk="4")]
    rows = accrue(MARCH, readings, [bill(at(32, 0, 30), web="12.5", disk="4", tax="3")])
    assert shown(rows)[2:] == [
        ("web", at(31), at(31, 23), "2", False),
        ("web", at(31, 23), at(32), "0.5", True),
        ("tax", at(31, 23), at(32), "3", True),
    ]
    assert [row.was_read for row in rows if row.is_residual] == [True, False]


def test_after_the_end_of_an_invoiced_month_only_the_reading_that_closes_its_last_day_counts() -> None:
    readings = [reading(at(31), web="10"), reading(at(32, 0, 5), web="11"), reading(at(33), web="17")]
    closing = bill(at(34), web="11.2")
    assert shown(accrue(MARCH, readings, []))[-1] == ("web", at(32, 0, 5), at(33), "6", False)
    assert shown(accrue(MARCH, readings, [closing]))[1:] == [
        ("web", at(31), at(32, 0, 5), "1", False),
        ("web", at(31), at(32), "0.2", True),
    ]


def test_an_invoice_without_any_reading_is_its_lines() -> None:
    rows = accrue(MARCH, [], [bill(at(32), web="31", disk="0.01")])
    assert shown(rows) == [("web", at(1), at(32), "31", True), ("disk", at(1), at(32), "0.01", True)]
    assert not any(row.was_read for row in rows)


def test_a_reading_at_the_very_start_makes_a_row_of_one_second() -> None:
    rows = accrue(MARCH, [reading(at(1), web="2")], [])
    assert shown(rows) == [("web", at(1), at(1) + SECOND, "2", False)]


def test_lines_of_equal_key_are_summed_and_quantities_go_along() -> None:
    before = summed(
        [
            (WEB, MeasuredAmounts(Decimal(1), Decimal(10), Decimal(2))),
            (WEB, MeasuredAmounts(Decimal(2), Decimal(20), Decimal(3))),
        ]
    )
    assert before == {WEB: MeasuredAmounts(Decimal(3), Decimal(30), Decimal(5))}
    after = {WEB: MeasuredAmounts(Decimal(3), Decimal(54), Decimal(9))}
    rows = accrue(MARCH, [Reading(at(2), before), Reading(at(3), after)], [])
    assert rows[1].measure == MeasuredAmounts(Decimal(0), Decimal(24), Decimal(4)), "free hours after a cap still show"


def test_every_digit_counts() -> None:
    low, high = Decimal("0.000000000000000001"), Decimal("12345678901234567890.123456789012345678")
    first, second = ({WEB: MeasuredAmounts(cost)} for cost in (low, high))
    rows = accrue(MARCH, [Reading(at(2), first), Reading(at(3), second)], [])
    assert rows[1].measure.cost == Decimal("12345678901234567890.123456789012345677")
    assert total(second) == high


moments = st.integers(0, 33 * 96).map(lambda quarter: MARCH.start + timedelta(minutes=15 * quarter))
within = st.integers(1, 31 * 96 - 1).map(lambda quarter: MARCH.start + timedelta(minutes=15 * quarter))
costs = st.decimals(min_value=-(10**20) + 1, max_value=10**20 - 1, places=18)
lines = st.dictionaries(
    st.sampled_from([WEB, DISK, ("net",), ("tax",)]), st.builds(MeasuredAmounts, costs, costs), max_size=4
)
histories = st.lists(moments, max_size=40, unique=True).flatmap(
    lambda times: st.lists(lines, min_size=len(times), max_size=len(times)).map(
        lambda all_lines: [Reading(time, some) for time, some in zip(sorted(times), all_lines, strict=True)]
    )
)
bills_within = st.lists(st.tuples(within, lines), max_size=3).map(
    lambda pairs: [ClosingInvoice(str(number), issued, some) for number, (issued, some) in enumerate(pairs)]
)
closings = st.tuples(st.integers(0, 500), lines).map(
    lambda said: ClosingInvoice("last", MARCH.end + timedelta(minutes=said[0]), said[1])
)


@given(histories)
def test_open_month_the_rows_are_the_newest_reading(readings: list[Reading]) -> None:
    rows = accrue(MARCH, readings, [])
    newest = readings[-1].lines if readings else {}
    assert by_key(measured(rows)) == by_key(newest.items())


@given(histories, bills_within)
def test_open_month_with_invoices_the_rows_are_those_and_the_newest_reading(
    readings: list[Reading], bills: list[ClosingInvoice]
) -> None:
    rows = accrue(MARCH, readings, bills)
    expected = [line for one in bills for line in one.lines.items()]
    if readings and all(readings[-1].taken_at >= one.issued_at for one in bills):
        expected += readings[-1].lines.items()
    assert by_key(measured(rows)) == by_key(expected)


@given(histories, bills_within, closings)
def test_closed_month_the_rows_are_the_invoices(
    readings: list[Reading], bills: list[ClosingInvoice], last: ClosingInvoice
) -> None:
    rows = accrue(MARCH, readings, [*bills, last])
    for one in [*bills, last]:
        assert by_key((row.key, row.measure) for row in rows if row.invoice_id == one.invoice_id) == by_key(
            one.lines.items()
        )
    assert all(row.invoice_id for row in rows)


@given(histories, bills_within, st.none() | closings)
def test_readings_that_are_not_needed_can_be_forgotten(
    readings: list[Reading], bills: list[ClosingInvoice], last: ClosingInvoice | None
) -> None:
    """At every moment on the way, not only at the end: a store that forgets may do so after each new reading."""
    all_bills = [*bills, last] if last else bills
    kept: list[Reading] = []
    for one in readings:
        kept.append(one)
        kept = [kept[number] for number in daily(MARCH, [each.taken_at for each in kept])]
    assert accrue(MARCH, kept, all_bills) == accrue(MARCH, readings, all_bills)
    assert len(kept) <= 35


@given(histories, bills_within, st.none() | closings)
def test_each_line_is_covered_once(
    readings: list[Reading], bills: list[ClosingInvoice], last: ClosingInvoice | None
) -> None:
    """[t1, t2) of a line never overlap, save where an invoice has the last word on an instant already read."""
    rows = accrue(MARCH, readings, [*bills, last] if last else bills)
    assert all(row.start < row.end for row in rows)
    for key in {row.key for row in rows}:
        spans = [(row.start, row.end) for row in rows if row.key == key and not row.is_residual]
        assert spans == sorted(spans)
        assert all(before[1] <= after[0] + SECOND for before, after in pairwise(spans))
    boundaries = {MARCH.start, *(one.issued_at for one in bills), *(one.taken_at for one in readings)}
    ends = boundaries | {instant + SECOND for instant in boundaries}
    assert all(row.start in boundaries and row.end in ends for row in rows if not row.is_residual)


@given(histories, st.data())
def test_a_missing_reading_changes_no_sum(readings: list[Reading], data: st.DataObject) -> None:
    if len(readings) < 2:
        return
    missing = data.draw(st.integers(0, len(readings) - 2))
    fewer = readings[:missing] + readings[missing + 1 :]
    assert by_key(measured(accrue(MARCH, fewer, []))) == by_key(measured(accrue(MARCH, readings, [])))


@given(histories, bills_within, closings, st.randoms(use_true_random=False))
def test_same_snapshots_same_rows(
    readings: list[Reading], bills: list[ClosingInvoice], last: ClosingInvoice, random: object
) -> None:
    """In whichever order invoices are listed, and whatever decimal context the caller has."""
    shuffled: Sequence[ClosingInvoice] = [last, *reversed(bills)]
    with localcontext(prec=3):
        again = accrue(MARCH, readings, shuffled)
    by_instant = Counter(one.issued_at for one in bills)
    if max(by_instant.values(), default=1) == 1:
        assert again == accrue(MARCH, readings, [*bills, last])


def test_after_midnight_a_reading_is_of_the_old_month_until_the_total_is_reset() -> None:
    march = (MARCH, Decimal(100))
    assert billed_in(at(31, 23), Decimal(99), march, []) == MARCH
    assert billed_in(at(32, 0, 15), Decimal(100), march, []) == MARCH
    assert billed_in(at(34), Decimal(120), march, []) == MARCH, (
        "still not invoiced: counting it in April would count it twice"
    )
    assert billed_in(at(32, 0, 15), Decimal(0), march, []) == APRIL
    assert billed_in(at(32, 1), Decimal(130), march, [MARCH]) == APRIL
    assert billed_in(at(32, 1), Decimal(1), (APRIL, Decimal(5)), []) == APRIL
    assert billed_in(at(32, 1), Decimal(0), (MARCH, Decimal(0)), []) == APRIL
    assert billed_in(at(32, 1), Decimal(70), None, []) == APRIL
