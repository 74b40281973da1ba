"""Measures the cost of the databases' own limit of a reader to one customer.

``python -m benchmarks.isolation`` starts the embedded databases in a temporary folder, fills `CUSTOMERS` customers, and
runs each read alternately with and without the mechanism, so that other load on the machine affects both alike. Times are milliseconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.engines import LOGIN, clickhouse_url
from optiinfra_assets.embedded.postgres import __main__ as postgres
from optiinfra_assets.embedded.preflight import free_port
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

CUSTOMERS = 200
ROWS = 10_000_000
PAIRS = 400

FILL = f"""
INSERT INTO cost_by_service (customer_id, generation, billing_period, charge_date, service_name, billing_currency, billed_cost)
SELECT 'customer-' || toString(number % {CUSTOMERS}), intDiv(number, {CUSTOMERS}) % 300,
    toDate('2026-01-01') + number % 330, toDate('2026-01-01') + number % 330, 'service-' || toString(number % 40), 'USD', number
FROM numbers({ROWS})"""
READ = """
SELECT charge_date, service_name, sum(billed_cost) FROM cost_by_service
WHERE customer_id = 'customer-7' AND generation IN [1, 2, 3, 4, 5, 6] AND charge_date >= '2026-11-01' GROUP BY ALL"""
COUNT = "SELECT count() FROM publications WHERE customer_id = 'customer-7'"


def _show(what: str, without: Callable[[], object], within: Callable[[], object]) -> None:
    """Print both medians, and the median of the differences of adjacent runs."""
    for _ in range(20):
        without(), within()
    times = [(_timed(without), _timed(within)) for _ in range(PAIRS)]
    plain, bound = (statistics.median(column) for column in zip(*times, strict=True))
    difference = statistics.median(second - first for first, second in times)
    print(f"{what:<44} without {plain:6.2f}   with {bound:6.2f}   difference {difference:5.2f}")


def _timed(read: Callable[[], object]) -> float:
    begin = time.perf_counter()
    read()
    return (time.perf_counter() - begin) * 1000


def clickhouse(warehouse: Warehouse) -> None:
    """Measure a narrow read and the smallest one, with the filter on every table and without."""
    warehouse.client.command(FILL)
    settings = warehouse.only("customer-7")
    for what, statement in (
        ("ClickHouse, two months by service", READ),
        ("ClickHouse, count of publications", COUNT),
    ):

        def plain(statement: str = statement) -> object:
            return warehouse.client.raw_query(statement, fmt="JSONEachRow")

        def bound(statement: str = statement) -> object:
            return warehouse.client.raw_query(statement, fmt="JSONEachRow", settings=settings)

        assert sorted(plain().splitlines()) == sorted(bound().splitlines())  # type: ignore[attr-defined]
        _show(what, plain, bound)


def postgresql(metadata: Metadata) -> None:
    """Measure the smallest read, in the role of one customer and as the owner."""
    metadata.customers.add("customer-7")

    def plain() -> object:
        return metadata.customers.get("customer-7")

    def bound() -> object:
        with metadata.of_customer("customer-7"):
            return plain()

    _show("PostgreSQL, one row", plain, bound)


def main() -> None:
    """Start the databases, measure, and stop them."""
    with tempfile.TemporaryDirectory(prefix="optiinfra-isolation-") as folder:
        port, home = free_port("127.0.0.1"), Path(folder)
        command = [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse", "--port", str(port)]
        process = subprocess.Popen([*command, "--path", str(home / "clickhouse")], env={**os.environ, **LOGIN})
        try:
            while process.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/ping")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            url = postgres.start(home / "postgres")
            settings = Settings(home=home, postgres_url=url, clickhouse_url=clickhouse_url(port))
            warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
            warehouse.migrate()
            metadata.migrate()
            clickhouse(warehouse)
            postgresql(metadata)
            warehouse.close()
            metadata.close()
        finally:
            postgres.stop(home / "postgres")
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
