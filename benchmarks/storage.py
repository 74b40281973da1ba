"""Keys and codecs of ``raw_costs``: what a line item takes, and how long the questions that read it directly take.

``python -m benchmarks.storage --url http://default:<password>@127.0.0.1:8124 --rows 50000000`` fills a database in a running engine
(``python -m optiinfra_assets.embedded.clickhouse --path DIR --port 8124``) with the line items that the largest customer has in a
data set of so many rows, copies them into one table for each variant, and prints the figures. The first variant is the product's.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from statistics import median
from typing import Any

from clickhouse_connect.driver.client import Client

from benchmarks import dataset
from optiinfra_assets.settings import Settings, project_file
from optiinfra_assets.warehouse.warehouse import Warehouse

DATABASE = "bench_storage"
CUSTOMER = "customer-000"
PRODUCT_KEY = "(customer_id, generation, charge_period_start, service_name, line_number)"

KEYS = {
    "service, time": "(customer_id, generation, service_name, charge_period_start, line_number)",
    "time, line": "(customer_id, generation, charge_period_start, line_number)",
    "service, resource, time": "(customer_id, generation, service_name, ifNull(resource_id, ''), charge_period_start, line_number)",
}
CODECS = {
    "money ZSTD(1)": lambda ddl: ddl.replace("GCD, ZSTD(1)", "ZSTD(1)"),
    "money ZSTD(3)": lambda ddl: ddl.replace("GCD, ZSTD(1)", "ZSTD(3)"),
    "money GCD, LZ4": lambda ddl: ddl.replace("GCD, ZSTD(1)", "GCD, LZ4"),
    "tags ZSTD(1)": lambda ddl: ddl.replace("ZSTD(3)", "ZSTD(1)"),
    "all LZ4": lambda ddl: re.sub(r"ZSTD\(\d\)", "LZ4", ddl),
}

OF_THE_CUSTOMER = "customer_id = {customer_id:String} AND generation IN {generations:Array(UInt64)}"
QUESTIONS = {
    "newest 100": "SELECT * FROM {0} WHERE {1} ORDER BY charge_period_start DESC, generation, line_number LIMIT 100",
    "of a service": "SELECT * FROM {0} WHERE {1} AND service_name = 'Service 05' "
    "ORDER BY charge_period_start DESC, generation, line_number LIMIT 100",
    "of a tag": "SELECT * FROM {0} WHERE {1} AND tags['team'] = 'team-3' "
    "ORDER BY charge_period_start DESC, generation, line_number LIMIT 100",
    "days by tag": "SELECT toDate(charge_period_start) AS day, tags['team'] AS team, sum(billed_cost) "
    "FROM {0} WHERE {1} GROUP BY day, team",
    "week by resource": "SELECT resource_id, sum(billed_cost) AS cost FROM {0} WHERE {1} "
    "AND charge_period_start >= '2026-10-10 00:00:00' AND charge_period_start < '2026-10-17 00:00:00' "
    "GROUP BY resource_id ORDER BY cost DESC LIMIT 100",
}


def variants() -> Iterator[tuple[str, str]]:
    """Yield name and CREATE TABLE of each variant; each differs from the product's in one thing."""
    product = project_file("sql", "clickhouse", "migrations", "0001_raw_costs.sql").read_text()
    assert PRODUCT_KEY in product, "the product's key is another one by now"
    yield "product", product
    for name, key in KEYS.items():
        yield f"key {name}", product.replace(PRODUCT_KEY, key)
    for name, change in CODECS.items():
        changed = change(product)
        assert changed != product, name
        yield name, changed


@contextmanager
def database(url: str) -> Iterator[Warehouse]:
    """Create a migrated database of our own and drop it at the end."""
    server = Warehouse.connect(Settings(clickhouse_url=url))
    server.client.command(f"CREATE DATABASE {DATABASE}")
    try:
        warehouse = Warehouse.connect(Settings(clickhouse_url=url), database=DATABASE)
        warehouse.migrate()
        yield warehouse
    finally:
        server.client.command(f"DROP DATABASE {DATABASE}")


def fill(client: Client, rows: int) -> dict[str, Any]:
    """Make the line items of the largest customer; returns the parameters of every query."""
    mine = [one for one in dataset.slices(rows) if one.customer_id == CUSTOMER]
    client.command(dataset.SLICES_TABLE)
    columns = list(dataset.BenchSlice.__dataclass_fields__)
    client.insert("bench_slices", [[getattr(one, name) for name in columns] for one in mine], column_names=columns)
    for period in sorted({one.billing_period for one in mine}):
        client.command(dataset.RAW, parameters={"billing_period": period})
    return {"customer_id": CUSTOMER, "generations": [one.generation for one in mine]}


def milliseconds(run: Callable[[], Any], times: int) -> float:
    """Median time of `run`."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append((time.perf_counter() - begun) * 1e3)
    return median(taken)


def measure(client: Client, name: str, ddl: str, values: dict[str, Any], times: int) -> None:
    """Print one line: bytes a line item, seconds to copy, milliseconds of each query."""
    client.command(re.sub(r"EXISTS raw_costs$", "EXISTS variant", ddl, flags=re.MULTILINE))
    begun = time.perf_counter()
    client.command("INSERT INTO variant SELECT * FROM raw_costs")
    copied = time.perf_counter() - begun
    client.command("OPTIMIZE TABLE variant FINAL")
    size = client.query(
        "SELECT sum(data_compressed_bytes) / sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'variant'"
    ).result_rows[0][0]
    figures = []
    for statement in QUESTIONS.values():
        text = statement.replace("{0}", "variant").replace("{1}", OF_THE_CUSTOMER)
        figures.append(milliseconds(lambda text=text: client.raw_query(text, parameters=values, fmt="Native"), times))
    print(f"{name:<28}{size:8.1f} B{copied:8.1f} s" + "".join(f"{one:16.0f}" for one in figures), flush=True)
    client.command("DROP TABLE variant")


def resolve(warehouse: Warehouse, slices: int, times: int) -> float:
    """Median milliseconds to resolve a customer with `slices` slices, each published eight times."""
    customer = f"resolve-{slices}"
    names = ["customer_id", "provider", "account_id", "billing_period", "generation", "published_at"]
    names += ["first_charge_date", "last_charge_date"]
    periods = [dataset.FIRST_PERIOD.shift(month).start for month in range(dataset.MONTHS)]
    rows = []
    for generation in range(slices * 8):
        account, month = divmod(generation % slices, dataset.MONTHS)
        day: date = periods[month].date()
        rows.append(
            [
                customer,
                "aws",
                f"{customer}.{account}",
                day,
                generation,
                periods[-1].replace(microsecond=generation),
                day,
                day,
            ]
        )
    warehouse.client.insert("publications", rows, column_names=names)
    assert len(warehouse.resolve(customer).generations) == slices
    return milliseconds(lambda: warehouse.resolve(customer), times)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--times", type=int, default=9)
    arguments = parser.parse_args()
    with database(arguments.url) as warehouse:
        for slices in (52, 1_000):
            print(f"resolve {slices} slices: {resolve(warehouse, slices, 100):.1f} ms")
        values = fill(warehouse.client, arguments.rows)
        lines = warehouse.client.query("SELECT count() FROM raw_costs").result_rows[0][0]
        print(
            f"{lines:,} line items of one customer, a year of four accounts; milliseconds are medians of {arguments.times}"
        )
        print(" " * 28 + "      size    copy" + "".join(f"{name:>16}" for name in QUESTIONS))
        for name, ddl in variants():
            measure(warehouse.client, name, ddl, values, arguments.times)


if __name__ == "__main__":
    main()
