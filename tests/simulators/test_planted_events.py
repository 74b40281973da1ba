"""What happens in the sample customers' histories is found where it was planted, on every day of a month, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from optiinfra_assets.analytics.customer_anomalies import HISTORY_DAYS, first_changed, judge_days
from optiinfra_assets.analytics.usage_series import UsageSeries
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.focus_files import generator
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS, Bill, Change
from optiinfra_assets.simulators.sample_clouds import STEP_DAY, make_cloud, sample_clouds

WITH_FILES = [customer for customer in CUSTOMERS if customer.bills]
PLANTED = {
    ("Amazon Simple Storage Service", "LEAK"),
    ("Amazon Relational Database Service", "RISE"),
    ("Amazon Redshift", "RISE"),
    ("Google Kubernetes Engine", "RISE"),
    ("Azure Kubernetes Service", "NEW"),
    ("Azure Media Services", "RISE"),
}


def rows_of(bill: Bill, today: date) -> Iterator[dict[str, Any]]:
    """All usage of a bill in the files that are written on a day."""
    for index in range(generator.MONTHS):
        period = BillingPeriod.of(today).shift(index - generator.MONTHS + 1)
        rows = generator._month(bill, period, index, today, generator.SEED)
        yield from (row for row in rows if "ConsumedQuantity" in row)


def found(costs: dict[str, dict[date, Decimal]], today: date) -> dict[tuple[str, str], date]:
    """The anomalies of the services of an account whose last final day is the day before: the first day of each."""
    start = today - timedelta(days=HISTORY_DAYS)
    rows = [
        {
            "charge_category": "Usage",
            "charge_frequency": "Usage-Based",
            "charge_class": "",
            "service_name": service,
            "provider": "simulated",
            "account_id": "one",
            "billing_currency": "USD",
            "days": [(day - start).days for day in days],
            "amounts": np.array([float(cost) for cost in days.values()]),
        }
        for service, days in costs.items()
    ]
    usage = UsageSeries.of_rows(rows, start, {"one": today - timedelta(days=1)}, HISTORY_DAYS + 1)
    events = judge_days("customer", usage, first_changed(usage, {}), [], []).events
    return {(usage.keys[one.series].service, one.kind.name): min(one.days) for one in events}


@pytest.mark.parametrize("today", [date(2026, 12, 1), date(2027, 1, 2), date(2027, 2, 15), date(2027, 3, 31)])
def test_what_was_planted_in_files_is_found_and_nothing_else(today: date) -> None:
    events: dict[tuple[str, str], date] = {}
    spike = BillingPeriod.of(today).shift(-1).start.date() + timedelta(days=19)
    for customer in WITH_FILES:
        for bill in customer.bills:
            costs: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
            for row in rows_of(bill, today):
                costs[row["ServiceName"]][row["ChargePeriodStart"].date()] += row["BilledCost"]
            of_bill = found(costs, today)
            own = {first for (service, _), first in of_bill.items() if not service}
            assert own == ({spike} if bill.spike and bill.spike.months_ago == 1 else set()), "or it hides its services"
            events |= of_bill
    assert {event for event in events if event[0]} == PLANTED
    planted = {change.service: change.first_day(BillingPeriod.of(today)) for change in changes()}
    for (service, kind), first in events.items():
        if service in planted and kind == "RISE":
            assert timedelta(0) <= first - planted[service] <= timedelta(days=3)


def changes() -> list[Change]:
    return [change for customer in WITH_FILES for bill in customer.bills for change in bill.changes]


def test_a_price_moves_without_the_usage_and_a_tag_is_lost_on_its_day() -> None:
    today = date(2027, 1, 31)
    newest = BillingPeriod.of(today)
    price, tag = (
        next(one for one in changes() if which(one))
        for which in (lambda one: one.price != 100, lambda one: one.lost_tag)
    )
    seen = set()
    for row in rows_of(CUSTOMERS[0].bills[0], today):
        day = row["ChargePeriodStart"].date()
        if row["ServiceName"] == price.service:
            is_later = day >= price.first_day(newest)
            assert row["ListUnitPrice"] == Decimal("0.58") * (price.price if is_later else 100) / 100
            assert row["ListCost"] == row["ListUnitPrice"] * row["ConsumedQuantity"]
            assert 22 <= row["ConsumedQuantity"] <= 26
        if row["ServiceName"] == tag.service:
            assert (tag.lost_tag in row["Tags"]) == (day < tag.first_day(newest))
            assert row["Tags"]["environment"] == "prod"
            seen.add(day)
    assert tag.first_day(newest) in seen


@pytest.mark.parametrize("today", [date(2026, 12, 1), date(2027, 3, 31)])
def test_customers_without_files_have_a_step_at_their_clouds_from_the_day_on(today: date) -> None:
    newest, now = BillingPeriod.of(today), datetime.combine(today, time(12), UTC)
    step = newest.shift(-1).start.date().replace(day=STEP_DAY)
    of_files = {customer.customer_id for customer in WITH_FILES}
    seen: list[tuple[str, bool]] = []
    for sample in sample_clouds():
        cloud = make_cloud(sample, newest, lambda: now)
        days: dict[date, Decimal] = defaultdict(Decimal)
        for charge in (one for period in cloud.world.periods() for one in cloud.world.charges(period)):
            if charge.resource and charge.resource.resource_id == "orders" and not charge.is_correction:
                days[charge.day] += charge.quantity
        ratio = days[step] / days[step - timedelta(days=1)]
        has_step = cloud.tells_days and sample.customer_id not in of_files
        assert (ratio > 2) == has_step
        assert (("orders", "RISE") in found({"orders": days}, today)) == has_step
        seen.append((sample.customer_id, has_step))
    assert all((one.customer_id, True) in seen for one in CUSTOMERS if not one.bills)
