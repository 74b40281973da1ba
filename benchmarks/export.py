"""Exports of millions of line items: rows per second and the peak memory of the API, beside the bare engine over HTTP.

``python -m benchmarks.export --rows 5000000`` fills ``benchmarks/data/export-<rows>`` once (one customer, 4 accounts, 13 months), starts
the embedded engines and the API on loopback, and downloads every line item as CSV, as CSV packed with gzip, and as Parquet, throwing
it away. *bare* is the same statement with the same settings sent straight to the engine by clickhouse-connect.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import psutil

from benchmarks import dataset
from benchmarks.serving import running
from optiinfra_api.reading import stream as exporter
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import FILE_SETTINGS
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

CUSTOMER = "acme"
ACCOUNTS = 4
RESOURCES = 40_000
START, END = "2025-01-01", "2027-01-01"
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """One download: `size` in bytes; peak memory in bytes and CPU seconds of the process that answered."""

    seconds: float
    size: int
    peak: int = 0
    cpu: float = 0.0


def make(folder: Path, rows: int) -> None:
    """Fill a warehouse with `rows` line items of one customer, unless it exists. Exports of line items need one derived table."""
    if (folder / "complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "clickhouse"))
    Warehouse(client).migrate()
    derived = {"cost_by_day": sql_files.read("clickhouse", "derived", "cost_by_day.sql")}
    dataset.fill(client, derived, _slices(rows))
    client.close()
    (folder / "complete").touch()


def _slices(rows: int) -> list[dataset.BenchSlice]:
    found: list[dataset.BenchSlice] = []
    for month in range(dataset.MONTHS):
        for number in range(ACCOUNTS):
            provider = dataset.PROVIDERS[number]
            found.append(
                dataset.BenchSlice(
                    customer_id=CUSTOMER,
                    provider=provider,
                    account_id=f"{CUSTOMER}.{provider}",
                    billing_period=dataset.FIRST_PERIOD.shift(month).start.date(),
                    generation=len(found) + 1,
                    line_items=rows // (dataset.MONTHS * ACCOUNTS),
                    resources=RESOURCES // ACCOUNTS,
                )
            )
    return found


def ours(url: str, pid: int, token: str, form: ExportFormat, encoding: str, what: str = "line-items") -> Run:
    """Download through the API: the export `what`, every line item of it."""
    process = psutil.Process(pid)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # reset the peak so far
    before = sum(process.cpu_times()[:2])
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": encoding}
    begin = time.perf_counter()
    connection.request("GET", f"/export/{what}.{form.value}?{urlencode({'start': START, 'end': END})}", headers=headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    size = sum(len(chunk) for chunk in iter(lambda: response.read(CHUNK), b""))
    seconds = time.perf_counter() - begin
    connection.close()
    return Run(seconds, size, _peak(pid), sum(process.cpu_times()[:2]) - before)


def _peak(pid: int) -> int:
    """Peak resident memory since its last reset, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def bare(settings: Settings, rows: int, form: ExportFormat) -> Run:
    """Download the same statement from ClickHouse."""
    warehouse = Warehouse.connect(settings)
    slices = _slices(rows)
    bound: dict[str, Any] = {
        **CostQuery(date.fromisoformat(START), date.fromisoformat(END), None).parameters(),
        "customer_id": CUSTOMER,
        "generations": [one.generation for one in slices],
        "first_period": slices[0].billing_period,
        "last_period": slices[-1].billing_period,
    }
    text = sql_files.read("clickhouse", "exports", "line_items.sql")
    chosen = FILE_SETTINGS | QueryLimits.of_exports(settings).settings()
    begin = time.perf_counter()
    stream = warehouse.client.raw_stream(text, parameters=bound, settings=chosen, fmt=exporter.FORMATS[form])
    size = sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK), b""))
    seconds = time.perf_counter() - begin
    warehouse.close()
    return Run(seconds, size)


def viewer(settings: Settings) -> str:
    """Add the customer, and return a token of it."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    metadata.customers.add(CUSTOMER)
    token = metadata.tokens.issue("benchmark", CUSTOMER, "viewer").plaintext
    metadata.close()
    return token


def measure(url: str, settings: Settings, pid: int, rows: int) -> None:
    """Print a line for each format."""
    token = viewer(settings)
    print(f"load average {os.getloadavg()[0]:.1f} before")
    heads = ("", "MB", "bare rows/s", "our rows/s", "ratio", "our CPU s", "our peak MB")
    print(f"{heads[0]:<12}" + "".join(f"{head:>13}" for head in heads[1:]))
    for name, form, encoding in (
        ("CSV", ExportFormat.CSV, "identity"),
        ("CSV, gzip", ExportFormat.CSV, "gzip"),
        ("Parquet", ExportFormat.PARQUET, "identity"),
    ):
        # Alternate, because the load of the machine changes: the faster run of each counts.
        pairs = [(bare(settings, rows, form), ours(url, pid, token, form, encoding)) for _ in range(2)]
        straight, through = (min(runs, key=lambda run: run.seconds) for runs in zip(*pairs, strict=True))
        assert encoding == "gzip" or straight.size == through.size, (straight.size, through.size)
        figures = (
            f"{through.size / 1e6:,.0f}",
            f"{rows / straight.seconds:,.0f}",
            f"{rows / through.seconds:,.0f}",
            f"{straight.seconds / through.seconds:.2f}",
            f"{through.cpu:.1f}",
            f"{through.peak / 1e6:,.0f}",
        )
        print(f"{name:<12}" + "".join(f"{figure:>13}" for figure in figures), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} after")


def filled(rows: int) -> tuple[Path, int]:
    """Fill the data set of about `rows` line items if it does not exist; return its folder, and how many it has."""
    rows = rows // (dataset.MONTHS * ACCOUNTS) * (dataset.MONTHS * ACCOUNTS)
    folder = dataset.DATA / f"export-{rows}"
    make(folder, rows)
    return folder, rows


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="line items (default: %(default)s)")
    folder, rows = filled(parser.parse_args().rows)
    with running(folder) as (url, settings, pid):
        measure(url, settings, pid, rows)


if __name__ == "__main__":
    main()
