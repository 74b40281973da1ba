"""What it takes to forecast, judge and look at the budgets of a customer after a publication: ``python -m benchmarks.refresh``.

Without ``--home``: fresh engines with one customer of 3,000 series (account x service), each in four sub accounts, whose days are in the
derived tables alone; there is no line item. Each of 100 series has a step. Printed are, for the first refresh, which judges 62 days, and
for one after a publication of a further day of all accounts: seconds, those of CPU (of this process, and with ClickHouse), and the most
memory of this process so far. On a machine that others use too, the seconds of CPU are what counts.

With ``--home`` of a running demonstration: the same of its customers, as if nothing had been judged, and then with what is known.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psutil

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.ingestion.finding_anomalies import find_anomalies
from optiinfra_assets.ingestion.forecasting import forecast_costs
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.notifications.budget_standings import BudgetStandings
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

CUSTOMER = "large"
ACCOUNTS = 10
DAYS = 426
TODAY = date(2026, 11, 20)
FIRST = TODAY - timedelta(days=DAYS)
BUDGETS = 10
CHARGES = """
INSERT INTO cost_by_charge
WITH
    number % {days:UInt32} AS day, intDiv(number, {days:UInt32}) AS series, series % {accounts:UInt32} AS account,
    intDiv(series, {accounts:UInt32}) % {services:UInt32} AS service, {first:Date} + day AS charged,
    toDecimal128(
        (5 + service % 97) * (0.95 + cityHash64(number) % 1000 / 10000) * if(toDayOfWeek(charged) > 5, 0.6, 1)
        * if(service % 30 = 7 AND day > {days:UInt32} - 20, 3, 1), 18
    ) AS cost
SELECT
    {customer:String}, 'aws', concat({customer:String}, '.', toString(account)),
    {generation:UInt64} + account * 100 + dateDiff('month', {first:Date}, charged), toStartOfMonth(charged), charged,
    concat('sub ', toString(intDiv(series, {accounts:UInt32} * {services:UInt32}))), concat('service ', toString(service)), 'here',
    'Usage', '', 'Usage-Based', '', 'USD', cost, cost, cost, cost, 0, 0, 100
FROM numbers({days:UInt64} * {accounts:UInt64} * {services:UInt64} * 4)
WHERE charged >= {since:Date} AND charged < {until:Date}
"""
SKUS = """
INSERT INTO cost_by_sku
SELECT
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category,
    charge_class, charge_frequency, concat('sku ', toString(sku)), 'Hours', billed_cost, 0, billing_currency, billed_cost / 3,
    effective_cost / 3, list_cost / 3, contracted_cost / 3, 0, 0, 30
FROM cost_by_charge ARRAY JOIN [1, 2, 3] AS sku
WHERE customer_id = {customer:String} AND generation >= {generation:UInt64} AND charge_date >= greatest({since:Date}, {first:Date} + 300)
"""
RESOURCES = """
INSERT INTO cost_by_resource_sku
SELECT
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category,
    charge_class, charge_frequency, sku_id, pricing_unit, concat(sku_id, ' ', sub_account_id, ' ', toString(number)),
    map('team', toString(number % 7)), pricing_quantity, 0, billing_currency, billed_cost / 3, effective_cost / 3, list_cost / 3,
    contracted_cost / 3, 0, 0, 10
FROM cost_by_sku ARRAY JOIN range(3) AS number
WHERE customer_id = {customer:String} AND generation >= {generation:UInt64} AND charge_date >= greatest({since:Date}, {first:Date} + 300)
"""
PUBLICATIONS = """
INSERT INTO publications
SELECT
    customer_id, provider, account_id, billing_period, generation, {at:DateTime64(6)}, sum(line_items), ['USD'], [sum(billed_cost)],
    [sum(effective_cost)], [sum(list_cost)], [sum(contracted_cost)], min(charge_date), max(charge_date), '', '', '[]', 0, 0,
    toDateTime(max(charge_date), 'UTC') + toIntervalDay(1), false, true, 'benchmark'
FROM cost_by_charge
WHERE customer_id = {customer:String} AND generation >= {generation:UInt64}
GROUP BY customer_id, provider, account_id, billing_period, generation
"""


def publish(
    warehouse: Warehouse, metadata: Metadata, generation: int, since: date, until: date, services: int, at: datetime
) -> None:
    """Publish the days of [since, until) of all accounts, a generation for each month, from the number `generation` on."""
    values = {
        "customer": CUSTOMER,
        "accounts": ACCOUNTS,
        "services": services,
        "days": DAYS,
        "first": FIRST,
        "since": since,
        "until": until,
        "generation": generation,
        "at": at,
    }
    for statement in (CHARGES, SKUS, RESOURCES, PUBLICATIONS):
        warehouse.client.command(statement, parameters=values)
    last = generation + (ACCOUNTS - 1) * 100 + 99
    reached = datetime(until.year, until.month, until.day, tzinfo=UTC)
    for number in range(ACCOUNTS):
        slice_ = Slice(CUSTOMER, "aws", f"{CUSTOMER}.{number}", BillingPeriod.of(until - timedelta(days=1)))
        metadata.slices.record_collection(slice_, str(generation), at, generation=last, reached=reached)


def cpu_seconds(of: psutil.Process) -> float:
    """CPU that a process has used so far."""
    used = of.cpu_times()
    return float(used.user + used.system)


def refresh(metadata: Metadata, warehouse: Warehouse, customer_id: str, now: datetime) -> dict[str, float]:
    """Seconds that forecasts, anomalies and budgets of a customer take."""

    def budgets() -> None:
        made = metadata.forecasts.newest(now, customer_id=customer_id)
        if made is None:
            raise RuntimeError("there is no forecast")
        standings = BudgetStandings(metadata, lambda: warehouse, customer_id, made, now)
        for one in metadata.budgets.find(customer_id=customer_id):
            period = one.budget.period(now.date())
            if period is not None:
                standings.standing(one.budget, period)

    steps: dict[str, Callable[[], object]] = {
        "forecasts": lambda: forecast_costs(metadata, warehouse, customer_id, now, 95),
        "anomalies": lambda: find_anomalies(metadata, warehouse, customer_id, now, 95),
        "budgets": budgets,
    }
    found = {}
    for name, step in steps.items():
        begun = time.perf_counter()
        step()
        found[name] = time.perf_counter() - begun
    return found


def show(what: str, measured: Callable[[], dict[str, float]]) -> None:
    """Measure, and print one line."""
    here = psutil.Process()
    processes = [here, *here.children(recursive=True)]
    before = [cpu_seconds(one) for one in processes]
    found = measured()
    used = [cpu_seconds(one) - past for one, past in zip(processes, before, strict=True)]
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found.items())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = f"CPU {used[0]:.2f} here, {sum(used):.2f} in all"
    print(f"{what}: {sum(found.values()):.2f} s ({parts}); {cpu}; at most {most:.0f} MB so far", flush=True)


def large(series: int) -> None:
    """Measure one customer with so many series."""
    services = series // ACCOUNTS
    with stores() as (_, warehouse, metadata):
        metadata.customers.add(CUSTOMER)
        for number in range(ACCOUNTS):
            metadata.accounts.add(Account(f"{CUSTOMER}.{number}", CUSTOMER, "aws", {}))
        principal = Principal("benchmark", "benchmark", CUSTOMER, "operator")
        now = datetime(TODAY.year, TODAY.month, TODAY.day, 6, tzinfo=UTC)
        for number in range(BUDGETS):
            filters = ({"account": [f"{CUSTOMER}.{number}"]},) if number else ()
            budget = Budget(f"budget {number}", Cadence.MONTHLY, Decimal(100_000), "USD", filters=filters)
            metadata.budgets.save(budget, customer_id=CUSTOMER, principal=principal, now=now)
        before = TODAY - timedelta(days=1)
        publish(warehouse, metadata, 1, FIRST, before, services, now - timedelta(days=1))
        earlier = now - timedelta(hours=12)
        show(f"{series} series, for the first time", lambda: refresh(metadata, warehouse, CUSTOMER, earlier))
        publish(warehouse, metadata, 10_001, TODAY.replace(day=1), TODAY, services, now)
        show(f"{series} series, after a publication", lambda: refresh(metadata, warehouse, CUSTOMER, now))


def demonstration(home: Path) -> None:
    """Measure the customers of a running demonstration."""
    settings = Settings(home=home)
    with closing(Metadata.connect(settings)) as metadata, closing(Warehouse.connect(settings)) as warehouse:
        known = metadata.anomalies.expectations
        for what, expectations in (("for the first time", lambda *_, **__: {}), ("after a publication", known)):
            metadata.anomalies.expectations = expectations  # type: ignore[method-assign]
            show(f"the demonstration's customers, {what}", lambda: together(metadata, warehouse))


def together(metadata: Metadata, warehouse: Warehouse) -> dict[str, float]:
    """Seconds of all customers."""
    found = [refresh(metadata, warehouse, one.customer_id, datetime.now(UTC)) for one in metadata.customers.find()]
    return {name: sum(one[name] for one in found) for name in found[0]}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=3000, help="of account and service (default: %(default)s)")
    parser.add_argument("--home", type=Path, help="folder of a running demonstration")
    asked = parser.parse_args()
    if asked.home is None:
        large(asked.series)
    else:
        demonstration(asked.home)


if __name__ == "__main__":
    main()
