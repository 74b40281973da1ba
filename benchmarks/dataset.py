"""A warehouse of N line items, made inside the engine: 200 customers (the largest 13 %), 4 providers, 13 months, 500,000 resources.

``python -m benchmarks.dataset --rows 50000000`` fills ``benchmarks/data/<rows>/clickhouse`` and prints how long each step took.
The derived tables are filled by the product's own SQL, a month of all customers at a time instead of a generation at a time:
5,200 generations one by one would measure the start of 30,000 statements.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect

from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

DATA = Path(__file__).parent / "data"
CUSTOMERS = 200
PROVIDERS = ("aws", "gcp", "azure", "vultr")
FIRST_PERIOD = BillingPeriod(2025, 11)
MONTHS = 13
RESOURCES = 500_000
PUBLISHED_AT = datetime(2026, 12, 1, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BenchSlice:
    """One slice of the generated data: its account, its generation, and its number of line items."""

    customer_id: str
    provider: str
    account_id: str
    billing_period: date
    generation: int
    line_items: int
    resources: int


def shares() -> list[float]:
    """Each customer's share of all line items, largest first; the exponent makes the first share 13 %."""
    weights = [1 / (rank + 1.9) ** 1.12 for rank in range(CUSTOMERS)]
    return [weight / sum(weights) for weight in weights]


def slices(rows: int) -> list[BenchSlice]:
    """All slices of a data set of about `rows` line items. The largest ten customers have 4 accounts, others 2."""
    found: list[BenchSlice] = []
    for month in range(MONTHS):
        period = FIRST_PERIOD.shift(month).start.date()
        for rank, share in enumerate(shares()):
            accounts = 4 if rank < 10 else 2
            for number in range(accounts):
                provider = PROVIDERS[(rank + number) % len(PROVIDERS)]
                customer = f"customer-{rank:03d}"
                found.append(
                    BenchSlice(
                        customer_id=customer,
                        provider=provider,
                        account_id=f"{customer}.{provider}",
                        billing_period=period,
                        generation=len(found) + 1,
                        line_items=max(1, round(rows * share / MONTHS / accounts)),
                        resources=max(1, round(RESOURCES * share / accounts)),
                    )
                )
    return found


SLICES_TABLE = """
CREATE TABLE bench_slices
(
    customer_id String, provider String, account_id String, billing_period Date,
    generation UInt64, line_items UInt64, resources UInt64
)
ENGINE = Memory
"""

# Every attribute is computed from hashes of the resource and of the line, so each run makes the same rows.
# A resource has one service, region, sub account and type; a sub account uses ten services in two regions, so that days aggregate
# as they do in real bills. Charges have six fraction digits.
RAW = """
INSERT INTO raw_costs
(
    customer_id, provider, account_id, billing_period, generation, line_number, source, is_estimated,
    billed_cost, effective_cost, list_cost, contracted_cost, billing_account_id, billing_account_name, billing_currency,
    billing_period_start, billing_period_end, charge_category, charge_description, charge_frequency,
    charge_period_start, charge_period_end, consumed_quantity, consumed_unit, invoice_issuer_name, pricing_category,
    pricing_quantity, pricing_unit, region_id, region_name, resource_id, resource_name, resource_type, service_category,
    service_name, service_provider_name, sku_id, sub_account_id, sub_account_name, tags
)
WITH
    cityHash64(generation, line) AS hash,
    cityHash64(account_id, intDiv(hash % resources * (hash % 7 + 1), 7)) AS resource,
    resource % if(resources > 2000, 12, 4) AS account_number,
    (account_number * 5 + intDiv(resource, 12) % 10) % 37 AS service_number,
    (account_number + intDiv(resource, 120) % 2) % 11 AS region_number,
    multiIf(hash % 1000 < 970, 'Usage', hash % 1000 < 980, 'Tax', hash % 1000 < 990, 'Credit', hash % 1000 < 996, 'Purchase', 'Adjustment')
        AS category,
    toDecimal128(toDecimal64(exp(toFloat64(cityHash64(hash, 'cost') % 12000) / 1000 - 6), 6), 18) AS magnitude,
    if(category = 'Credit', -magnitude, magnitude) AS cost,
    toDateTime(billing_period, 'UTC') + toIntervalDay(cityHash64(hash, 'day') % toDayOfMonth(toLastDayOfMonth(billing_period))) AS day
SELECT
    customer_id, provider, account_id, billing_period, generation, line AS line_number, 'export', false,
    cost, cost * 9 / 10, if(hash % 10 = 0, NULL, cost * 11 / 10), cost, account_id, account_id, 'USD',
    toDateTime(billing_period, 'UTC'), toDateTime(billing_period, 'UTC') + toIntervalMonth(1), category,
    concat('Charge of service ', toString(service_number)), 'Usage-Based',
    day, day + toIntervalDay(1), toDecimal128(hash % 1000, 18), 'Hours', 'Issuer', 'Standard',
    toDecimal128(hash % 1000, 18), 'Hours', concat('region-', toString(region_number)), concat('Region ', toString(region_number)),
    if(category IN ('Tax', 'Credit', 'Adjustment'), NULL, concat('res-', lower(hex(resource)))),
    if(category IN ('Tax', 'Credit', 'Adjustment'), NULL, concat('name-', toString(resource % 100000))),
    concat('type-', toString(service_number % 9)), concat('Category ', toString(service_number % 6)),
    concat('Service ', leftPad(toString(service_number), 2, '0')), provider, concat('sku-', toString(resource % 700)),
    concat(account_id, '-', toString(account_number)), concat('Sub account ', toString(account_number)),
    map('team', concat('team-', toString(resource % 25)), 'env', if(resource % 3 = 0, 'prod', 'dev'))
FROM bench_slices
ARRAY JOIN range(line_items) AS line
WHERE billing_period = {billing_period:Date}
"""

PUBLICATIONS = """
INSERT INTO publications
SELECT
    customer_id, provider, account_id, billing_period, generation, {published_at:DateTime64(6)}, sum(line_items), [billing_currency],
    [sum(billed_cost)], [sum(effective_cost)], [sum(list_cost)], [sum(contracted_cost)], min(charge_date), max(charge_date),
    toString(generation), toString(generation), '[]', 0, 0, toDateTime(max(charge_date), 'UTC') + toIntervalDay(1), true, true, 'benchmark'
FROM cost_by_day
GROUP BY customer_id, provider, account_id, billing_period, generation, billing_currency
"""

ONE_GENERATION = "WHERE customer_id IN {customers:Array(String)} AND generation IN {generations:Array(UInt64)}"


def make(rows: int) -> None:
    """Make the data set of `rows` in ``benchmarks/data/<rows>/clickhouse``, unless it exists."""
    folder = DATA / str(rows)
    if (folder / "complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "clickhouse"))
    warehouse = Warehouse(client)
    warehouse.migrate()
    derived = {table: sql_files.read("clickhouse", "derived", f"{table}.sql") for table in derived_tables()}
    fill(client, derived, slices(rows))
    warehouse.close()
    (folder / "complete").touch()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    start = time.perf_counter()
    yield
    print(f"{what:<40} {time.perf_counter() - start:8.1f} s", flush=True)


def fill(client: Any, derived_sql: dict[str, str], all_slices: list[BenchSlice]) -> None:
    """Fill the migrated, empty database behind `client` (a clickhouse-connect client).

    Args:
        derived_sql: the product's SELECT of each derived table, by table name.
        all_slices: the slices to make.
    """
    client.command(SLICES_TABLE)
    columns = list(BenchSlice.__dataclass_fields__)
    client.insert(
        "bench_slices",
        [[getattr(item, column) for column in columns] for item in all_slices],
        column_names=columns,
    )
    periods = sorted({item.billing_period for item in all_slices})
    with timed(f"raw_costs, {sum(item.line_items for item in all_slices):,} line items"):
        for period in periods:
            client.command(RAW, parameters={"billing_period": period})
    for table, select in derived_sql.items():
        with timed(table):
            for period in periods:
                client.command(by_month(table, select), parameters={"billing_period": period})
    client.command(PUBLICATIONS, parameters={"published_at": PUBLISHED_AT})
    client.command("DROP TABLE bench_slices")


def by_month(table: str, select: str) -> str:
    """Widen the product's statement for one generation to all generations of one billing period."""
    assert select.count(ONE_GENERATION) == 1, f"{table}: its SQL does not select one generation the usual way"
    return f"INSERT INTO {table}\n" + select.replace(ONE_GENERATION, "WHERE billing_period = {billing_period:Date}")


def main() -> None:
    """Make the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="line items (default: %(default)s)")
    make(parser.parse_args().rows)


if __name__ == "__main__":
    main()
