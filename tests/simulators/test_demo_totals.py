"""What the demo compares its answer with, also where an hour, a month or a year ends while it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from optiinfra_assets import demo
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS, SampleCustomer
from optiinfra_assets.simulators.sample_clouds import make_cloud, sample_clouds

MOMENT = timedelta(seconds=20)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def clouds_of(customer: SampleCustomer, newest: BillingPeriod, at: datetime) -> list[SimulatedAccount]:
    mine = [one for one in sample_clouds() if one.customer_id == customer.customer_id]
    return [make_cloud(sample, newest, lambda: at) for sample in mine]


def billed(cloud: SimulatedAccount, months: list[BillingPeriod]) -> Decimal:
    return sum((cloud.amount(month) for month in months), Decimal(0))


@pytest.mark.parametrize("end", [NOON, NEW_YEAR], ids=["hour", "year"])
def test_clouds_may_be_read_on_both_sides_of_an_end(tmp_path: Path, end: datetime) -> None:
    """All before it, all after it, and each of them alone after it."""
    months = demo.months_of(end - MOMENT)
    moved: set[Decimal] = set()
    for customer in CUSTOMERS:
        demo.data_folder(tmp_path, customer.customer_id).mkdir(parents=True)
        totals = demo.possible_totals(tmp_path, customer, months, (end - MOMENT, end + MOMENT))["USD"]
        before = [billed(one, months) for one in clouds_of(customer, months[-1], end - MOMENT)]
        after = [billed(one, months) for one in clouds_of(customer, months[-1], end + MOMENT)]
        assert len(before) > 1, "or nothing could be read on both sides"
        assert {sum(before), sum(after)} <= set(totals)
        assert totals[-1] == sum(after)
        for number, amount in enumerate(after):
            mixed = [*before[:number], amount, *before[number + 1 :]]
            assert sum(mixed) in totals
            moved |= {sum(mixed)} - {sum(before), sum(after)}
    assert moved or end == NEW_YEAR, "some customer has two clouds that charge by the hour"


def test_a_demo_over_the_end_of_a_year_is_about_the_months_it_began_with() -> None:
    months = demo.months_of(NEW_YEAR - MOMENT)
    assert (months[0], months[-1], len(months)) == (BillingPeriod(2025, 12), BillingPeriod(2026, 12), 13)
    assert '{start: "2025-12-01", end: "2027-01-01"}' in demo._query(months)
    (service,) = {demo.clouds(Path("/nowhere"), NEW_YEAR - MOMENT).command}
    assert service[-2:] == ("--newest", "2026-12")
    for at in (NEW_YEAR - MOMENT, NEW_YEAR + MOMENT):
        for customer in CUSTOMERS:
            for cloud in clouds_of(customer, months[-1], at):
                assert cloud.world.periods()[0] == months[0]
                assert all(cloud.amount(month) > 0 for month in months)
