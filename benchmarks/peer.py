"""DuckDB over the same tables behind a minimal Starlette endpoint: what `benchmarks.queries` compares with, as a process of its own.

It runs in an interpreter that has duckdb, starlette and uvicorn; the project depends on none of duckdb. For example:

    python -m venv /tmp/peer && /tmp/peer/bin/pip install duckdb starlette uvicorn
    python -m benchmarks.queries --rows 20000000 --peer /tmp/peer/bin/python

The tables are those that ClickHouse exported to Parquet, ordered by customer, in a database file that is made once. The endpoint checks no
token, no limit and no generation, and plans each statement once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

DAYS = "customer_id = $customer AND charge_date >= $start AND charge_date < $end"
SERIES = """
WITH buckets AS (
    SELECT billing_currency, {group} AS part, {bucket} AS bucket, sum(CAST({cost} AS DECIMAL(38, 18))) AS amount, {items} AS items
    FROM {table} WHERE {where} GROUP BY ALL
)
SELECT
    part, billing_currency, list(bucket ORDER BY bucket) AS dates, list(CAST(amount AS VARCHAR) ORDER BY bucket) AS amounts,
    CAST(sum(amount) AS VARCHAR) AS total, CAST(sum(items) AS BIGINT) AS line_items
FROM buckets GROUP BY ALL ORDER BY billing_currency, sum(amount) DESC, part
"""
RESOURCES = """
WITH page AS (
    SELECT
        account_id, resource_id, billing_currency, sum(billed_cost) AS amount, CAST(sum(line_items) AS BIGINT) AS line_items,
        max(resource_name) AS name, max(resource_type) AS type, list(DISTINCT service_name) AS services
    FROM cost_by_resource
    WHERE customer_id = $customer AND charge_month >= $start AND charge_month < $end
    GROUP BY ALL
)
SELECT * REPLACE (CAST(amount AS VARCHAR) AS amount) FROM page
ORDER BY billing_currency, page.amount DESC, account_id, resource_id LIMIT 100
"""
LINE_ITEMS = """
SELECT charge_period_start, CAST(billed_cost AS VARCHAR) AS cost, billing_currency, service_name, resource_id, tags, generation, line_number
FROM raw_costs
WHERE customer_id = $customer AND charge_period_start >= $start AND charge_period_start < $end
ORDER BY charge_period_start DESC, generation, line_number LIMIT {first}
"""
TABLES = {
    "cost_by_day": "*",
    "cost_by_service": "*",
    "cost_by_type": "*",
    "cost_trends": "*",
    "cost_by_resource": "*",
    "raw_costs": "customer_id, account_id, generation, line_number, charge_period_start, billed_cost, billing_currency, service_name, "
    "resource_id, tags",
}
"""What is exported of each table."""


def _series(table: str, group: str = "''", bucket: str = "charge_date") -> str:
    return SERIES.format(
        group=group, bucket=bucket, cost="billed_cost", items="sum(line_items)", table=table, where=DAYS
    )


TOTAL = _series("cost_by_day", bucket="DATE '1970-01-01'")
STATEMENTS = {
    "totalCost, 30 days": TOTAL,
    "totalCost, 365 days": TOTAL,
    "costTrends, 30 days": _series("cost_by_day"),
    "costTrends, 365 days": _series("cost_by_day"),
    "costTrends, 30 days by service": _series("cost_by_service", "service_name"),
    "costTrends, 365 days by service": _series("cost_by_service", "service_name"),
    "costTrends, 365 days by region": _series("cost_trends", "region_id"),
    "costTrends, 12 months by sub account": _series(
        "cost_trends", "sub_account_id", "date_trunc('month', charge_date)"
    ),
    "costTrends, 30 days by a tag": SERIES.format(
        group="tags['team']",
        bucket="CAST(charge_period_start AS DATE)",
        cost="billed_cost",
        items="count(*)",
        table="raw_costs",
        where=DAYS.replace("charge_date", "charge_period_start"),
    ),
    "costsByResource, top 100 of 30 days": RESOURCES,
    "costsByResource, top 100 of 365 days": RESOURCES,
    "costsByType, 365 days": _series(
        "cost_by_type",
        "(charge_category, charge_class, charge_frequency, pricing_category)",
        "DATE '1970-01-01'",
    ),
    "costMetrics, newest 100 of 30 days": LINE_ITEMS.format(first=100),
    "costMetrics, newest 1000 of 30 days": LINE_ITEMS.format(first=1000),
}
"""The statement for each query of `benchmarks.queries` that is compared."""


def make(database: Path, exported: Path) -> None:
    """Make the database file from the Parquet files in `exported`, unless it exists."""
    import duckdb

    if database.exists():
        return
    partial = database.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    connection = duckdb.connect(str(partial))
    connection.execute("SET preserve_insertion_order = true")
    for table in TABLES:
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet('{exported / table}.parquet')")
    connection.close()
    partial.rename(database)


def application(database: Path) -> Any:
    """Answers ``POST /`` with ``{"query", "customer", "start", "end"}``."""
    import duckdb
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    connection = duckdb.connect(str(database), read_only=True)

    async def answer(request: Request) -> Response:
        asked = json.loads(await request.body())
        found = connection.execute(
            STATEMENTS[asked["query"]], {name: asked[name] for name in ("customer", "start", "end")}
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return Response(json.dumps({"data": rows}, default=str), media_type="application/json")

    async def alive(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/", answer, methods=["POST"]), Route("/healthz", alive)])


def main() -> None:
    """Serve until SIGTERM."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True, help="the file of DuckDB; made if it does not exist")
    parser.add_argument("--exported", type=Path, required=True, help="folder with a Parquet file for each table")
    options = parser.parse_args()
    make(options.database, options.exported)
    uvicorn.run(
        application(options.database), port=options.port, access_log=False, log_level="warning", timeout_keep_alive=600
    )


if __name__ == "__main__":
    main()
