"""What every provider that reads invoices owes: they are whole, and the line items of each closed month add up to them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from life import AnyLife, Item, at, billed
from ways import FEBRUARY, JANUARY, Way, other_life, small, ways

from optiinfra_assets.analytics.reconciliation import MonthState, located, reconcile
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.domain.reconciliations import ChargeGroup, Reconciliation, ReconciliationStatus
from optiinfra_assets.providers.base import InvoiceSource
from optiinfra_assets.simulators.invoices import LateRefund
from optiinfra_assets.simulators.server.faults import break_down
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent

STATING = [way for way in ways() if way.values[0].name != "gcp"]
"""Ways in which invoices are stated."""


def stated(life: AnyLife, period: BillingPeriod) -> InvoiceStatement:
    """What the provider reads of the invoices of a month."""
    assert isinstance(life.provider, InvoiceSource)
    return life.provider.invoices(life.account, period, life.context)


def grouped(items: list[Item]) -> list[ChargeGroup]:
    """Line items as sums by what a comparison needs."""
    sums: dict[Any, list[Decimal]] = defaultdict(list)
    for one in items:
        day = one["charge_period_start"].date()
        invoice_id = one["invoice_id"] or ""
        issued = (one["invoice_issuer_name"], one["billing_currency"], invoice_id)
        sums[*issued, one["charge_category"], one["service_name"], day].append(one["billed_cost"])
    return [ChargeGroup(*(*key, exact_sum(some), len(some))) for key, some in sums.items()]


def compared(life: AnyLife, period: BillingPeriod) -> tuple[list[Reconciliation], InvoiceStatement]:
    """The comparisons of a month, as of the clock."""
    statement = stated(life, period)
    month = MonthState(period, life.clock.now, life.collections[period].is_final, {})
    return reconcile(grouped(life.items[period]), statement, month), statement


@pytest.mark.parametrize("way", STATING)
def test_every_closed_month_of_four_months_is_reconciled_without_a_difference(way: Way) -> None:
    """Purchases, credits, refunds, taxes and late charges are on one invoice or on several; the last invoice closes the month."""
    year = Scenario.load("busy_year")
    refund = ScenarioEvent(EventKind.REFUND, date(2026, 1, 9), posted_on=date(2026, 1, 11), amount=Decimal(30))
    life = other_life(way, replace(year, events=(*year.events, refund)), at(1, 1))
    if hasattr(life.cloud, "taxes_apart"):
        life.cloud.taxes_apart = True
    months = [BillingPeriod(2025, 11).shift(number) for number in range(4)]
    kinds = set()
    with life.cloud:
        for month in months:
            life.go(*(month.start + timedelta(days=day, hours=13) for day in (2, 20)))
        life.go(*(months[-1].end + timedelta(days=day, hours=12) for day in (3, 7, 19)))
        for month in months:
            (found,), statement = compared(life, month)
            assert (found.difference, found.status) == (Decimal(0), ReconciliationStatus.RECONCILED), month
            assert found.ours == billed(life.items[month])
            kinds |= {"credit memo" for one in statement.invoices if one.total < 0}
            kinds |= {"tax alone" for one in statement.invoices if one.tax == one.total != 0}
            kinds |= {"several" for _ in statement.invoices[1:]}
        current = BillingPeriod.of(life.clock.now)
        assert stated(life, current).invoices == ()
    if hasattr(life.cloud, "taxes_apart"):
        assert kinds == {"credit memo", "tax alone", "several"}


@pytest.mark.parametrize("way", [one for one in STATING if one.values[0].name in ("aws", "azure")])
def test_a_late_refund_is_a_difference_and_is_named(way: Way) -> None:
    """It is on a credit memo that comes after the month was closed, and the costs lack it."""
    life = other_life(way, small(), at(1, 5))
    assert hasattr(life.cloud, "late_refunds")
    life.cloud.late_refunds.append(LateRefund(JANUARY, at(3, 20), Decimal(1250)))
    with life.cloud:
        life.go(at(2, 20, 12), at(3, 9, 12))
        (before,), _ = compared(life, JANUARY)
        life.go(at(3, 21, 12))
        (found,), statement = compared(life, JANUARY)
    assert before.status is ReconciliationStatus.RECONCILED
    assert (found.status, found.difference) == (ReconciliationStatus.MISMATCH, Decimal(1250))
    gaps = located(found, grouped(life.items[JANUARY]), statement.invoices, statement.not_in_costs, None).gaps
    assert exact_sum(one.amount for one in gaps) == Decimal(1250)
    memo = next(one for one in statement.invoices if one.total == Decimal(-1250))
    assert memo.corrects
    if any(one["invoice_id"] for one in life.items[JANUARY]):
        assert [one.invoice_id for one in gaps] == [memo.invoice_id]


def test_parts_that_could_not_be_read_whole_are_not_kept() -> None:
    """The summary of an invoice has its tax: while it cannot be read, the total stands, and the tax is stated the next time."""
    (way,) = (one.values[0] for one in ways() if one.values[0].name == "digitalocean")
    life = other_life(way, small(tax_rate=Decimal("0.2")), at(3, 10, 12))
    with life.cloud:
        life.tick()
        life.cloud.fail(break_down, times=100, pattern="/summary")
        (lacking,) = stated(life, JANUARY).invoices
        life.cloud.recover()
        (whole,) = stated(life, JANUARY).invoices
    assert lacking.total == whole.total
    assert (lacking.tax, bool(whole.tax)) == (None, True)


@pytest.mark.parametrize("way", STATING)
def test_a_refused_credential_is_said(way: Way) -> None:
    life = other_life(way, small(), at(3, 10, 12))
    with life.cloud:
        life.tick()
        life.cloud.refuses_credential = True
        with pytest.raises(CredentialRejected):
            stated(life, FEBRUARY)


@pytest.mark.parametrize("way", [one for one in ways() if one.values[0].name in ("vultr", "linode", "digitalocean")])
def test_items_of_an_invoice_are_read_once(way: Way) -> None:
    """Invoices do not change: what they state by service is kept, and the list alone is asked for again."""
    life = other_life(way, small(), at(3, 10, 12))
    with life.cloud:
        life.tick()
        first = stated(life, JANUARY)
        life.cloud.asked.clear()
        assert stated(life, JANUARY) == first
        assert not [
            one.path
            for one in life.cloud.asked
            if one.path.endswith(("/items", "/summary", first.invoices[0].invoice_id))
        ]
    (invoice,) = first.invoices
    assert {part.service for part in invoice.parts} >= {"Tax"} or len(invoice.parts) >= 2
    assert exact_sum(part.amount for part in invoice.parts) == invoice.total
