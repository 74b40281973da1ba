"""Invoices put into months, and what completes or understands their lines: whatever is listed, nothing is lost, doubled or guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.providers.linode.item_labels import Label
from optiinfra_assets.providers.running_totals.focus_columns import charge_class
from optiinfra_assets.providers.running_totals.invoice_months import (
    ListedInvoice,
    invoices_of,
    lines_before,
    may_bill,
    month_begin,
)
from optiinfra_assets.providers.running_totals.month import ChargeLine, IssuedInvoice, completed
from optiinfra_assets.providers.running_totals.readings import MeasuredAmounts

MARCH = BillingPeriod(2026, 3)
MACHINES = ("Machines", re.compile("machine", re.I))
moments = st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of aware ones
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"]).map(ZoneInfo)
money = st.decimals(-1_000, 1_000, places=6)


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def placed(
    *issued: datetime, zone: str = "UTC", began: datetime | None = None, before: bool | None = True
) -> list[tuple[str, bool]]:
    """Month of each invoice, and whether it closes that month; of doubtful ones the lines say `before`."""
    listed = [ListedInvoice(str(number), one, Decimal(1)) for number, one in enumerate(issued)]
    found = {one.invoice_id: one for one in invoices_of(listed, ZoneInfo(zone), began, lambda *_: before)}
    return [(str(found[one.invoice_id].period), found[one.invoice_id].closes) for one in listed]


@pytest.mark.parametrize("before", [True, None])
def test_the_invoice_of_the_1st_closes_the_month_before_and_later_ones_are_of_their_own(
    before: bool | None,
) -> None:
    assert placed(at(3, 1, 1), at(3, 19), at(3, 31, 23), at(4, 1, 1), before=before) == [
        ("2026-02", True),
        ("2026-03", False),
        ("2026-03", False),
        ("2026-03", True),
    ]


@pytest.mark.parametrize(("before", "month"), [(True, ("2026-02", True)), (False, ("2026-03", False))])
@pytest.mark.parametrize("day", [1, 2, 7])
def test_where_the_date_does_not_tell_the_lines_do(before: bool, month: tuple[str, bool], day: int) -> None:
    assert placed(at(3, 1, 1), at(3, day, 12), before=before)[1] == month
    assert placed(at(3, day, 12), before=before) == [month], "the first of the month is no exception"


def test_where_the_lines_do_not_tell_the_first_invoice_closes_the_month_before() -> None:
    assert placed(at(3, 3, 1), at(3, 3, 12), at(3, 8), before=None) == [
        ("2026-02", True),
        ("2026-03", False),
        ("2026-03", False),
    ]


def test_an_account_has_no_month_before_it_began() -> None:
    assert placed(at(3, 1, 20), began=at(3, 1, 9), before=True) == [("2026-03", False)]


def test_months_end_in_their_zone() -> None:
    assert placed(at(3, 1, 3), zone="America/New_York") == [("2026-02", True)]
    assert placed(at(3, 1, 6), zone="America/New_York") == [("2026-02", True)]
    assert placed(at(2, 28, 16), zone="Asia/Tokyo") == [("2026-02", True)], "it is March there"
    assert month_begin(MARCH, ZoneInfo("America/New_York")) == at(3, 1, 5)


@given(st.lists(moments, max_size=30), zones, st.sampled_from([True, False, None]), st.one_of(st.none(), moments))
def test_every_invoice_comes_out_once_in_its_own_month_or_the_one_before(
    issued: list[datetime], zone: ZoneInfo, before: bool | None, began: datetime | None
) -> None:
    listed = [ListedInvoice(str(number), one, Decimal(number)) for number, one in enumerate(issued)]
    found = list(invoices_of(listed, zone, began, lambda *_: before))
    assert {(one.invoice_id, one.amount) for one in found} == {(one.invoice_id, one.amount) for one in listed}
    assert len(found) == len(listed)
    for one in found:
        local = issued[int(one.invoice_id)].astimezone(zone)
        month = BillingPeriod(local.year, local.month)
        assert one.period == month or (one.period == month.shift(-1) and local.day <= 7 and one.closes)
        assert abs(one.issued_at - issued[int(one.invoice_id)]) <= timedelta(hours=14)


@given(st.lists(moments, min_size=1, max_size=30), zones)
def test_months_do_not_depend_on_the_order_of_the_list(issued: list[datetime], zone: ZoneInfo) -> None:
    listed = [ListedInvoice(str(number), one, Decimal(number)) for number, one in enumerate(issued)]

    def months(some: list[ListedInvoice]) -> list[IssuedInvoice]:
        return list(invoices_of(some, zone, None, lambda *_: None))

    assert months(listed) == months(listed[::-1])


@pytest.mark.parametrize(
    ("zone", "spans", "before"),
    [
        ("UTC", [(at(2, 1), at(3, 1)), None], True),
        ("UTC", [(at(2, 1, 5), at(3, 1, 5))], True),
        ("UTC", [(at(3, 1), at(3, 1, 10))], False),
        ("UTC", [(at(3, 1), at(3, 1, 10)), None, (at(3, 2), at(3, 3))], False),
        ("UTC", [(at(2, 20), at(3, 2))], None),
        ("UTC", [(at(2, 20), at(3, 2)), (at(3, 1), at(3, 2))], None),
        ("UTC", [(at(2, 1), at(3, 1)), (at(3, 1), at(4, 1))], None),
        ("UTC", [None, None], None),
        ("UTC", [], None),
        ("America/New_York", [(at(3, 1, 3), at(3, 1, 5))], True),
        ("America/New_York", [(at(3, 1, 5), at(3, 1, 10))], False),
        ("Asia/Tokyo", [(at(2, 28, 15), at(2, 28, 20))], False),
    ],
)
def test_what_the_dates_of_lines_tell(
    zone: str, spans: list[tuple[datetime, datetime] | None], before: bool | None
) -> None:
    assert lines_before(spans, MARCH, ZoneInfo(zone)) is before


@given(moments, zones, st.sampled_from([True, False, None]))
@example(at(1, 31, 16), ZoneInfo("Asia/Tokyo"), False)
@example(at(2, 8, 4), ZoneInfo("America/New_York"), True)
def test_an_invoice_that_may_not_bill_a_month_does_not(
    issued_at: datetime, zone: ZoneInfo, before: bool | None
) -> None:
    (one,) = invoices_of([ListedInvoice("1", issued_at, Decimal(1))], zone, None, lambda *_: before)
    assert may_bill(issued_at, one.period, one.period)


@given(st.lists(money, max_size=20), money)
def test_completed_lines_add_up_to_the_amount(costs: list[Decimal], amount: Decimal) -> None:
    lines = [ChargeLine((str(number),), MeasuredAmounts(cost)) for number, cost in enumerate(costs)]
    found = list(completed(lines, amount, ("rest",)))
    assert exact_sum(line.measure.cost for line in found) == amount
    assert found[: len(lines)] == lines
    assert len(found) - len(lines) == (exact_sum(costs) != amount)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Machine 4GB - web (123)", Label("Machines", "Compute", "123", "web")),
        ("Machine 4GB - backup volume (123)", Label("Machines", "Compute", "123", "backup volume")),
        ("Backup Service - Machine 4GB - web (123)", Label("Backups", "Storage", "123", "web")),
        ("Storage Volume - a - b (7)", Label("Block Storage", "Storage", "7", "b")),
        ("Network Transfer Overage", Label("Network Transfer", "Networking")),
        ("NodeBalancer (77)", Label("Load Balancers", "Networking", "77", "NodeBalancer")),
        ("Object Storage Overage", Label("Object Storage", "Storage")),
        ("Support Plan (yearly)", Label("Support Plan", "Other")),
        ("Machine 123", Label("Machines", "Compute")),
        ("", Label("", "Other")),
    ],
)
def test_what_a_label_says(text: str, label: Label) -> None:
    assert Label.parse(text, MACHINES) == label


@given(st.text(max_size=200))
def test_any_label_is_understood_or_kept(text: str) -> None:
    label = Label.parse(text, MACHINES)
    assert label.category != "Other" or text.startswith(label.service)
    assert (label.resource_id is None) == (label.resource_name is None)


def test_only_what_is_given_back_for_an_earlier_month_is_a_correction() -> None:
    earlier = ("2026-02-10T00:00:00+00:00", "2026-02-11T00:00:00+00:00")
    given_back = ChargeLine((), MeasuredAmounts(Decimal(-1)), Decimal(0), *earlier)
    assert charge_class(given_back, MARCH.start) == "Correction"
    assert charge_class(given_back, at(2, 10, 12)) is None
    assert charge_class(ChargeLine((), MeasuredAmounts(Decimal(1)), Decimal(0), *earlier), MARCH.start) is None
    assert charge_class(ChargeLine((), MeasuredAmounts(Decimal(-1))), MARCH.start) is None
