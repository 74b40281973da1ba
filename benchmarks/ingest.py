"""How fast FOCUS files reach ``raw_costs``, beside the engine alone reading the same file: ``python benchmarks/ingest.py --rows 5000000``.

Writes one FOCUS 1.2 month under ``benchmarks/data/`` once (Parquet with decimals, Parquet with doubles, CSV), starts an embedded
ClickHouse on a fresh directory, and for each file measures

- bare: ``INSERT INTO raw_costs SELECT <casts> FROM file(...)`` inside the engine, and
- ours: provider ``collect`` -> `load`, in a process of its own whose peak memory is read from the kernel (VmHWM).

Both write the same columns, tags and extra columns as maps included, and both answers are compared to the last digit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import clickhouse_connect
import psutil
from clickhouse_connect.driver.client import Client

from benchmarks.engines import LOGIN, clickhouse_url
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.focus import STORED, V1_2
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import project_file
from optiinfra_assets.warehouse.loading import load

DATA = Path(__file__).parent / "data"
PERIOD = BillingPeriod(2026, 10)
FILES = {"parquet": "decimals.parquet", "doubles": "doubles.parquet", "csv": "text.csv"}
DECIMALS = tuple(column.name for column in STORED if column.kind == "decimal" and column.since <= V1_2)


@dataclass
class Result:
    """The result of one measured way."""

    rows: int
    seconds: float
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


def source(rows: int) -> str:
    """A month of one payer: 200 sub accounts, 60 services, 3,000 SKUs, 25 regions, 200,000 resources, hourly charges."""
    return f"""
    WITH number AS n, cityHash64(n) AS h, h % 200000 AS resource, cityHash64(resource) AS rh, rh % 3000 AS sku,
        rh % 60 AS service, rh % 25 AS region, rh % 200 AS sub,
        toDateTime('2026-10-01 00:00:00', 'UTC') + 3600 * (n % 744) AS start,
        toDecimal128(sipHash64(n) % 1000000000000, 10) / 10000000000 AS quantity,
        toDecimal128((sku * 37 % 9973) / 10000 + 0.0001, 4) AS price,
        h % 5 = 0 AS committed
    SELECT
        if(rh % 20 = 0, concat('zone-', toString(region)), NULL) AS AvailabilityZone,
        toDecimal128(if(committed, toDecimal128(0, 15), quantity * price * toDecimal128(0.9, 1)), 12) AS BilledCost,
        '210987654321' AS BillingAccountId, 'Example Corporation' AS BillingAccountName, 'Payer' AS BillingAccountType,
        'USD' AS BillingCurrency, toDateTime('2026-11-01 00:00:00', 'UTC') AS BillingPeriodEnd,
        toDateTime('2026-10-01 00:00:00', 'UTC') AS BillingPeriodStart,
        CAST(NULL, 'Nullable(String)') AS CapacityReservationId, CAST(NULL, 'Nullable(String)') AS CapacityReservationStatus,
        if(h % 1000 = 0, 'Tax', 'Usage') AS ChargeCategory, CAST(NULL, 'Nullable(String)') AS ChargeClass,
        concat('$', toString(price), ' per hour of instance type ', toString(sku), ' in region-', toString(region)) AS ChargeDescription,
        'Usage-Based' AS ChargeFrequency, start + 3600 AS ChargePeriodEnd, start AS ChargePeriodStart,
        if(committed, 'Spend', NULL) AS CommitmentDiscountCategory,
        if(committed, concat('arn:example:savings:', toString(sub)), NULL) AS CommitmentDiscountId,
        if(committed, concat('plan-', toString(sub)), NULL) AS CommitmentDiscountName,
        if(committed, quantity, NULL) AS CommitmentDiscountQuantity,
        if(committed, 'Used', NULL) AS CommitmentDiscountStatus, if(committed, 'Savings plan', NULL) AS CommitmentDiscountType,
        if(committed, 'Hours', NULL) AS CommitmentDiscountUnit, quantity AS ConsumedQuantity, 'Hours' AS ConsumedUnit,
        toDecimal128(quantity * price, 12) AS ContractedCost, price AS ContractedUnitPrice,
        toDecimal128(quantity * price * if(committed, toDecimal128(0.7, 1), toDecimal128(0.9, 1)), 12) AS EffectiveCost,
        concat('INV-2026-10-', toString(sub % 3)) AS InvoiceId, 'Example Cloud' AS InvoiceIssuerName,
        toDecimal128(quantity * price, 12) AS ListCost, price AS ListUnitPrice,
        if(committed, 'Committed', 'Standard') AS PricingCategory, 'USD' AS PricingCurrency,
        price AS PricingCurrencyContractedUnitPrice, toDecimal128(quantity * price, 12) AS PricingCurrencyEffectiveCost,
        price AS PricingCurrencyListUnitPrice, quantity AS PricingQuantity, 'Hours' AS PricingUnit,
        'Example Cloud' AS ProviderName, 'Example Cloud' AS PublisherName,
        concat('region-', toString(region)) AS RegionId, concat('Region ', toString(region)) AS RegionName,
        concat('arn:example:compute:region-', toString(region), ':', toString(100000000000 + sub), ':instance/i-', hex(rh)) AS ResourceId,
        concat('web-', toString(resource)) AS ResourceName, 'Instance' AS ResourceType,
        ['Compute', 'Storage', 'Networking', 'Databases'][1 + service % 4] AS ServiceCategory,
        concat('Example Service ', toString(service)) AS ServiceName,
        ['Virtual Machines', 'Object Storage', 'Network Connectivity', 'Relational Databases'][1 + service % 4] AS ServiceSubcategory,
        concat('SKU', toString(sku)) AS SkuId, concat('Usage:', toString(sku % 300)) AS SkuMeter,
        concat('{{"InstanceType":"m', toString(sku % 40), '.large","CoreCount":', toString(sku % 96), ',"OperatingSystem":"Linux"}}')
            AS SkuPriceDetails,
        concat('SKU', toString(sku), '.JRTCKXETXF') AS SkuPriceId, toString(100000000000 + sub) AS SubAccountId,
        concat('team-', toString(sub)) AS SubAccountName, 'Account' AS SubAccountType,
        concat('{{"team":"team-', toString(sub), '","environment":"', ['prod', 'staging', 'dev'][1 + rh % 3], '","owner":"user',
            toString(resource % 5000), '@example.com","cost-center":"', toString(1000 + sub % 50), '"}}') AS Tags,
        concat('Usage', toString(sku % 300)) AS x_UsageType, concat('Run', toString(sku % 20)) AS x_Operation
    FROM numbers({rows})"""


def casts(kind: str) -> str:
    """SQL expressions that compute the columns of ``raw_costs`` from the columns of the file."""
    place = "'demo', 'focus', 'demo.bench', toDate('2026-10-01'), 1, rowNumberInAllBlocks(), 'focus file', false"
    columns = []
    for column in STORED:
        if column.name in ("ServiceProviderName", "HostProviderName"):
            columns.append("ProviderName")
        elif column.since > V1_2:
            columns.append("NULL")
        elif column.name == "Tags":
            columns.append("JSONExtract(assumeNotNull(Tags), 'Map(String, Nullable(String))')")
        elif column.kind == "decimal" and kind == "doubles":
            columns.append(f"toDecimal128(toString({column.name}), 18)")
        else:
            columns.append(column.name)
    extras = "x_ProviderName', ProviderName, 'x_PublisherName', PublisherName, 'x_UsageType', x_UsageType, 'x_Operation', x_Operation"
    return f"{place}, {', '.join(columns)}, CAST(map('{extras}), 'Map(String, String)')"


def reader(kind: str, path: Path) -> str:
    """The table function that reads a file; CSV is read directly into the types of the table."""
    if kind != "csv":
        return f"file('{path}', Parquet)"
    types = {"decimal": "Nullable(Decimal(38, 18))", "date/time": "DateTime('UTC')"}
    with path.open() as file:
        names = [name.strip('"') for name in file.readline().strip().split(",")]
    kinds = {column.name: types.get(column.kind, "Nullable(String)") for column in STORED}
    structure = ", ".join(f"{name} {kinds.get(name, 'String')}" for name in names).replace("'", "\\'")
    return f"file('{path}', CSVWithNames, '{structure}')"


def generate(client: Client, kind: str, rows: int) -> Path:
    """Return the file of one kind; write it if it does not exist."""
    path = DATA / f"{rows}" / kind / FILES[kind]
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    select = f"SELECT * FROM ({source(rows)})"
    if kind == "doubles":
        select = (
            f"SELECT * REPLACE ({', '.join(f'toFloat64({name}) AS {name}' for name in DECIMALS)}) FROM ({source(rows)})"
        )
    if kind == "csv":
        times = [column.name for column in STORED if column.kind == "date/time"]
        select = (
            "SELECT * REPLACE ("
            + ", ".join(f"formatDateTime({name}, '%Y-%m-%dT%H:%i:%SZ') AS {name}" for name in times)
            + f") FROM ({source(rows)})"
        )
    print(f"writing {path} ...", flush=True)
    client.command(
        f"INSERT INTO FUNCTION file('{half}', {'CSVWithNames' if kind == 'csv' else 'Parquet'}) {select}",
        settings={
            "format_csv_null_representation": "",
            "output_format_parquet_row_group_size": 1_000_000,
            "max_insert_threads": 1,
        },
    )
    half.rename(path)
    return path


@contextmanager
def engine(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start an embedded ClickHouse on a fresh directory; yields its URL and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "optiinfra_assets.embedded.clickhouse",
        "--path",
        str(folder),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, env={**os.environ, **LOGIN})
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        yield clickhouse_url(port), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def fresh_table(client: Client) -> None:
    """Create an empty ``raw_costs``; dropping the old one also ends its merges."""
    client.command("DROP TABLE IF EXISTS raw_costs SYNC")
    client.command(project_file("sql", "clickhouse", "migrations", "0001_raw_costs.sql").read_text())


def used(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def bare(client: Client, process: psutil.Process, kind: str, path: Path, rows: int) -> Result:
    """Measure ClickHouse alone."""
    fresh_table(client)
    settings = {"date_time_input_format": "best_effort", "input_format_parquet_allow_missing_columns": 1}
    begun, before = time.perf_counter(), used(process)
    client.command(f"INSERT INTO raw_costs SELECT {casts(kind)} FROM {reader(kind, path)}", settings=settings)
    return Result(rows, time.perf_counter() - begun, used(process) - before)


def ours(client: Client, process: psutil.Process, url: str, path: Path) -> Result:
    """Measure our provider and loader in a process of their own."""
    fresh_table(client)
    command = [sys.executable, __file__, "--child", url, str(path.parent)]
    before = used(process)
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    answer["cpu_seconds"] += used(process) - before
    return Result(**answer)


def child(url: str, folder: str) -> None:
    """Collect and load one folder; print rows, seconds and the peak memory of this process."""
    client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    account = Account("demo.bench", "demo", "focus", {"location": folder})
    begun, before = time.perf_counter(), used(psutil.Process())
    collection = PROVIDERS["focus"].collect(account, PERIOD)
    loaded = load(client, Slice.of(account, PERIOD), 1, collection.batches)
    seconds = time.perf_counter() - begun
    cpu_seconds = used(psutil.Process()) - before
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak is not None
    result = Result(loaded.line_items, seconds, cpu_seconds, int(peak[1]) / 1024)
    print(json.dumps(asdict(result)))


def content(client: Client) -> tuple[object, ...]:
    """Count, exact sums and a hash of every column except line_number, which both ways count in a different order."""
    return tuple(
        client.query(
            "SELECT count(), sum(billed_cost), sum(effective_cost), sum(list_cost), sum(contracted_cost), "
            "sum(cityHash64(* EXCEPT line_number)) FROM raw_costs"
        ).result_rows[0]
    )


def main() -> None:
    """Measure every kind and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--kinds", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument(
        "--repeat", type=int, default=1, help="Measure both ways so often, in turn; the best of each counts."
    )
    parser.add_argument("--child", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=DATA.parent))
    try:
        with engine(folder) as (url, process):
            client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False, send_receive_timeout=3600)
            measure(client, process, url, arguments.kinds, arguments.rows, arguments.repeat)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(client: Client, process: psutil.Process, url: str, kinds: list[str], rows: int, repeat: int) -> None:
    """Measure and print one line for each kind."""
    print(
        f"{'file':<10}{'size MB':>9}{'bare rows/s':>14}{'our rows/s':>14}{'ratio':>8}"
        f"{'bare CPU s':>12}{'our CPU s':>11}{'peak MB':>9}"
    )
    for kind in kinds:
        path = generate(client, kind, rows)
        alone, through = [], []
        for _ in range(repeat):
            alone.append(bare(client, process, kind, path, rows))
            expected = content(client)
            through.append(ours(client, process, url, path))
            assert content(client) == expected, "the two ways stored different line items"
            assert through[-1].rows == rows
        best, mine = (min(results, key=lambda result: result.seconds) for results in (alone, through))
        print(
            f"{kind:<10}{path.stat().st_size / 1e6:>9.0f}{rows / best.seconds:>14,.0f}{rows / mine.seconds:>14,.0f}"
            f"{best.seconds / mine.seconds:>8.2f}{best.cpu_seconds:>12.1f}{mine.cpu_seconds:>11.1f}"
            f"{max(result.peak_mb for result in through):>9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
