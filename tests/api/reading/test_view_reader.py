"""What ClickHouse reads for a statement over the views."""

from __future__ import annotations

import re

from optiinfra_api.reading.view_reader import WALLS
from optiinfra_assets.warehouse.warehouse import Warehouse


def test_no_more_granules_are_read_than_those_of_the_customers_current_generations(warehouse: Warehouse) -> None:
    """Without the optimizations of a plan, the primary key still serves the filter and the view."""
    run = warehouse.client.command
    run(
        "INSERT INTO cost_trends (customer_id, generation, billing_period, charge_date)"
        " SELECT 'c' || toString(number % 100), number % 50, '2026-10-01', '2026-10-01' FROM numbers(1000000)"
    )
    run(
        "INSERT INTO publications (customer_id, account_id, billing_period, generation)"
        " SELECT 'c' || toString(number % 100), 'main', '2026-10-01', number % 50 FROM numbers(1000)"
    )
    run("OPTIMIZE TABLE cost_trends FINAL")
    settings = {**WALLS, **warehouse.only("c7")}
    statement = "SELECT sum(billed_cost) FROM costs_daily WHERE charge_date > '2026-01-01'"
    said = str(run(f"EXPLAIN indexes = 1 {statement}", settings=settings))
    read, every = re.findall(r"Granules: (\d+)/(\d+)", said)[-1]
    assert int(read) <= 3
    assert int(every) > 100
    assert warehouse.client.query(f"SELECT count() FROM ({statement})", settings=settings).result_rows == [(1,)]
