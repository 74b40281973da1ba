"""What retention costs: ``python -m benchmarks.retention``, an account that is published every day for 95 days beside its thirteen months.

Each generation of a month holds its days so far. The newest `--restated` days differ from the generation before; older days are the same,
line by line. Prints bytes and rows of the line items and of all derived tables against the newest generations alone: as they are kept,
as thinning leaves them (`OPTIINFRA_RETENTION_DAILY_DAYS`), in tables whose key ends with the generation, so that equal lines of successive
generations lie side by side, and with each day of equal content stored once. Then what reading the newest generation takes in each layout,
what removing the superseded ones takes, and what resolving takes before and after publications of removed generations are archived.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from benchmarks.engines import stores
from benchmarks.storage import milliseconds
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.settings import project_file
from optiinfra_assets.warehouse.lineage import slice_history
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

LAST = date(2026, 11, 30)
MONTHS = 13
TABLES = ("raw_costs", *derived_tables())
LINES = """
INSERT INTO raw_costs (customer_id, provider, account_id, billing_period, generation, line_number, source, is_estimated,
    billed_cost, billing_account_id, billing_currency, billing_period_start, billing_period_end, charge_category, charge_class,
    charge_description, charge_frequency, charge_period_start, charge_period_end, consumed_quantity, consumed_unit, contracted_cost,
    effective_cost, invoice_issuer_name, list_cost, list_unit_price, pricing_category, pricing_quantity, pricing_unit, region_id,
    resource_id, resource_name, resource_type, service_category, service_name, service_provider_name, sku_id, sub_account_id, tags)
WITH
    toDate({period:String}) AS month,
    intDiv(number, {lines:UInt32}) AS day,
    number % {lines:UInt32} AS line,
    month + day AS charged,
    {days:UInt32} - day <= {restated:UInt32} AS is_new,
    cityHash64(line, charged, is_new ? {generation:UInt64} : 0) AS drawn,
    cityHash64(line % {resources:UInt32}, 'resource') AS resource,
    toDecimal128(drawn % 10000000, 18) / 1000000 AS cost
SELECT 'large', 'aws', 'large.aws', month, {generation:UInt64}, number, 'export', false,
    cost, '111122223333', 'USD', month, addMonths(month, 1), if(line % 40 = 0, 'Purchase', 'Usage'), NULL,
    concat('Charge of SKU ', toString(line % 300)), 'Usage-Based', charged, charged + 1,
    toDecimal128(drawn % 24000, 18) / 1000, 'Hours', cost,
    cost, 'AWS', cost * 2, toDecimal128(resource % 100000, 18) / 10000, 'Standard', toDecimal128(drawn % 24000, 18) / 1000, 'Hours',
    concat('region-', toString(resource % 12)), concat('arn:aws:ec2:instance/i-', hex(resource)),
    concat('machine-', toString(resource % 90000)),
    'Instance', 'Compute', concat('Service ', toString(resource % 30)), 'AWS', concat('SKU', toString(line % 300)),
    concat('sub-', toString(resource % 15)),
    map('team', concat('team-', toString(resource % 25)), 'env', if(resource % 3 = 0, 'prod', 'dev'))
FROM numbers({days:UInt64} * {lines:UInt64})
"""
PUBLISHED = ("customer_id", "provider", "account_id", "billing_period", "generation", "published_at", "line_items")


def fill(warehouse: Warehouse, asked: argparse.Namespace) -> None:
    """Publish thirteen whole months, then each day of the last ones again, as the cloud told it in the morning after."""
    first = LAST - timedelta(days=asked.days - 1)
    published: list[tuple[BillingPeriod, int, datetime]] = []
    for back in reversed(range(MONTHS)):
        period = BillingPeriod.of(LAST).shift(-back)
        close = period.shift(1).start.date() - timedelta(days=1)
        if close < first:
            published.append((period, close.day, datetime(close.year, close.month, close.day, 6, tzinfo=UTC)))
    for number in range(asked.days):
        day = first + timedelta(days=number)
        published.append((BillingPeriod.of(day), day.day, datetime(day.year, day.month, day.day, 6, tzinfo=UTC)))
    for generation, (period, days, at) in enumerate(published, start=1):
        values = {"period": str(period.start.date()), "generation": generation, "days": days}
        sizes = {"lines": asked.lines, "restated": asked.restated, "resources": asked.resources}
        warehouse.client.command(LINES, parameters={**values, **sizes})
        warehouse.derive({generation: Slice("large", "aws", "large.aws", period)})
        row = ["large", "aws", "large.aws", period.start.date(), generation, at, days * asked.lines]
        warehouse.client.insert("publications", [row], column_names=PUBLISHED)


def sizes(client: Client, suffix: str = "") -> dict[str, tuple[int, int]]:
    """Rows and bytes of each table, after all merges."""
    found = {}
    for table in TABLES:
        client.command(f"OPTIMIZE TABLE {table}{suffix} FINAL")
        row = client.query(
            "SELECT sum(rows), sum(data_compressed_bytes) FROM system.parts "
            f"WHERE active AND database = currentDatabase() AND table = '{table}{suffix}'"
        ).result_rows[0]
        found[table] = (int(row[0]), int(row[1]))
    return found


def create(client: Client, suffix: str, *, is_generation_last: bool) -> None:
    """Create a twin of each table, on request with the generation at the end of its key."""
    for file in sorted(project_file("sql", "clickhouse", "migrations").glob("*.sql")):
        table = file.stem[5:]
        if table not in TABLES:
            continue
        text = file.read_text().replace(f"EXISTS {table}\n", f"EXISTS {table}{suffix}\n")
        if is_generation_last:
            text, count = re.subn(
                r"ORDER BY \(customer_id, generation, (.*)\)", r"ORDER BY (customer_id, \1, generation)", text
            )
            assert count == 1, table
        client.command(text)


NEWEST = "(SELECT max(generation) FROM publications GROUP BY customer_id, account_id, billing_period)"


def shared_days(client: Client, suffix: str) -> None:
    """Fill twins in which each day of a slice is stored once for each content; newest generations stay whole."""
    for table in TABLES:
        names = client.query(f"SELECT * FROM {table} LIMIT 0").column_names
        content = ", ".join(name for name in names if name not in ("generation", "tags", "x_columns"))
        day = next(name for name in ("charge_date", "charge_month", "charge_period_start") if name in names)
        client.command(
            f"INSERT INTO {table}{suffix} SELECT * FROM {table} WHERE generation IN {NEWEST} OR (billing_period, {day}, generation) IN ("
            f"SELECT billing_period, day, min(generation) FROM (SELECT billing_period, {day} AS day, generation, "
            f"groupBitXor(cityHash64({content})) AS content FROM {table} WHERE generation NOT IN {NEWEST} "
            "GROUP BY billing_period, day, generation) GROUP BY billing_period, day, content)"
        )


def read(client: Client, suffix: str) -> str:
    """Median milliseconds of two questions about the newest generation of the last two months."""
    newest = sorted(row[0] for row in client.query(NEWEST[1:-1]).result_rows)[-2:]
    questions = {
        "newest 100 line items": f"SELECT * FROM raw_costs{suffix} WHERE customer_id = 'large' AND generation IN {newest} "
        "ORDER BY charge_period_start DESC, generation, line_number LIMIT 100",
        "trend by service": f"SELECT charge_date, service_name, sum(billed_cost) FROM cost_trends{suffix} "
        f"WHERE customer_id = 'large' AND generation IN {newest} GROUP BY charge_date, service_name",
        "top resources": f"SELECT resource_id, sum(billed_cost) AS cost FROM cost_by_resource{suffix} "
        f"WHERE customer_id = 'large' AND generation IN {newest} GROUP BY resource_id ORDER BY cost DESC LIMIT 100",
    }
    said = []
    for name, statement in questions.items():
        taken = milliseconds(lambda text=statement: client.raw_query(text, fmt="Native"), 9)  # type: ignore[misc]
        said.append(f"{name} {taken:.1f} ms")
    return ", ".join(said)


def shown(name: str, found: dict[str, tuple[int, int]], base: dict[str, tuple[int, int]]) -> None:
    """Print one line: bytes and their ratio to those of the newest generations, of line items, derived tables and both."""
    figures = []
    for tables in (TABLES[:1], TABLES[1:], TABLES):
        bytes_, alone = (sum(one[table][1] for table in tables) for one in (found, base))
        figures.append(f"{bytes_ / 1e6:9.1f} MB {bytes_ / alone:5.2f} x")
    print(f"{name:34s}{sum(rows for rows, _ in found.values()):12,}", *figures, flush=True)


def thin(warehouse: Warehouse, base: dict[str, tuple[int, int]], asked: argparse.Namespace) -> None:
    """Apply retention as its settings say, the shorter ones last."""
    now = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)
    for daily in (asked.days, *asked.daily):
        begun = time.perf_counter()
        for hours in (0, 1):
            at = now + timedelta(hours=hours)
            gone = warehouse.collect_garbage(at, asked.days, (), daily_days=daily)
        taken = time.perf_counter() - begun
        shown(f"each of {daily} days, then weeks", sizes(warehouse.client), base)
        print(f"    removed {gone.removed} generations, {gone.rows:,} rows in {taken:.1f} s")


def archive(warehouse: Warehouse, asked: argparse.Namespace) -> None:
    """Publish a customer's slices every hour of the days, and resolve before and after garbage collection."""
    now = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)
    warehouse.client.command(
        "INSERT INTO publications (customer_id, provider, account_id, billing_period, generation, published_at, "
        "first_charge_date, last_charge_date, sources) SELECT 'many', 'aws', concat('many.', toString(number % {slices:UInt32})), "
        "'2026-11-01', 1000000 + number, {now:DateTime64(6)} - toIntervalHour({hours:UInt32} - intDiv(number, {slices:UInt32})), "
        "'2026-11-01', '2026-11-30', '[]' FROM numbers({hours:UInt64} * {slices:UInt64})",
        parameters={"slices": asked.slices, "hours": asked.days * 24, "now": now},
    )
    for hours in (0, 1, 2):
        _resolving(warehouse, f"{hours} runs of garbage collection", now)
        begun = time.perf_counter()
        done = warehouse.collect_garbage(now + timedelta(hours=hours), asked.days, ())
        print(f"    {done} in {time.perf_counter() - begun:.1f} s")
    _resolving(warehouse, "3 runs of garbage collection", now)


def _resolving(warehouse: Warehouse, name: str, now: datetime) -> None:
    count = sql_files.read("clickhouse", "queries", "publication_count.sql")
    questions: dict[str, Callable[[], Any]] = {
        "now": lambda: warehouse.resolve("many"),
        "asOf": lambda: warehouse.resolve("many", as_of=now.replace(hour=0) - timedelta(days=20, microseconds=1)),
        "count": lambda: warehouse.client.query(
            count, parameters={"customer_id": "many"}, settings=warehouse.only("many")
        ),
        "history": lambda: slice_history(warehouse, Slice("many", "aws", "many.1", BillingPeriod(2026, 11)), 50),
    }
    said = [f"{what} {milliseconds(run, 9):.1f} ms" for what, run in questions.items()]
    rows = [
        warehouse.client.query(f"SELECT count() FROM {table}").result_rows[0][0]
        for table in ("publications", "archived_publications", "removed_generations")
    ]
    print(f"resolving, {name}: {', '.join(said)}; publications, archived, records of removal: {rows}", flush=True)


def compare(warehouse: Warehouse, asked: argparse.Namespace) -> None:
    """Print the figures of each layout."""
    client = warehouse.client
    begun = time.perf_counter()
    fill(warehouse, asked)
    print(f"filled in {time.perf_counter() - begun:.0f} s; parts of all tables before merges:", end=" ")
    print(
        client.query("SELECT count() FROM system.parts WHERE active AND database = currentDatabase()").result_rows[0][0]
    )
    create(client, "_newest", is_generation_last=False)
    create(client, "_key", is_generation_last=True)
    create(client, "_days", is_generation_last=False)
    for table in TABLES:
        client.command(f"INSERT INTO {table}_newest SELECT * FROM {table} WHERE generation IN {NEWEST}")
        client.command(f"INSERT INTO {table}_key SELECT * FROM {table}")
    shared_days(client, "_days")
    base = sizes(client, "_newest")
    kept = sizes(client)
    print(f"{'':34s}{'rows':>12s}    line items                derived tables            both")
    shown("newest generations only", base, base)
    shown("each day, as kept", kept, base)
    shown("each day, generation last in key", sizes(client, "_key"), base)
    shown("each day, equal days once", sizes(client, "_days"), base)
    for name, suffix in (("as kept", ""), ("newest only", "_newest"), ("generation last", "_key")):
        print(f"reading, {name}: {read(client, suffix)}", flush=True)
    for table in TABLES:
        for suffix in ("_newest", "_key", "_days"):
            client.command(f"DROP TABLE {table}{suffix}")
    thin(warehouse, base, asked)


def main() -> None:
    """Run it on fresh databases, and remove them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1000, help="line items a day")
    parser.add_argument("--resources", type=int, default=400, help="resources that they are of")
    parser.add_argument("--days", type=int, default=95, help="days for which a generation of each is kept")
    parser.add_argument("--restated", type=int, default=3, help="newest days that each generation tells anew")
    parser.add_argument(
        "--slices", type=int, default=100, help="slices published every hour, of which resolving is measured"
    )
    parser.add_argument("--daily", type=int, nargs="*", default=[35, 14, 7], help="days before thinning, falling")
    asked = parser.parse_args()
    with stores() as (_, warehouse, _):
        compare(warehouse, asked)
        archive(warehouse, asked)


if __name__ == "__main__":
    main()
