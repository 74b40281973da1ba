"""Slices collected in a minute, through Dagster as `optiinfra up` runs it: ``python -m benchmarks.collect --accounts 1000``.

Starts the platform in a home of its own with so many accounts, each a folder with a FOCUS file of 100 line items of this month, all of
them collected. Then it changes a part of the files and does what the schedule does at a tick: it probes every account, queues what is due
and asks Dagster for runs. It prints, for each part, how long the tick took, how many runs it asked for, after how many seconds half and
all of the slices were published, slices a minute, and seconds of CPU of all processes of the platform a slice. The totals that readers
see are compared with the files. In the end it prints the same for the collector alone, in this process, without Dagster.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import CollectionRunRequest
from optiinfra_assets.embedded.preflight import free_port
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.ingestion.dagster_client import DagsterClient
from optiinfra_assets.ingestion.run import CollectionRun, Stores
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.schedules import RUNS_PER_TICK
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

LINES = 100
CUSTOMERS = 50
HEADER = (
    "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodStart,"
    "BillingPeriodEnd,ChargeCategory,ChargeClass,ChargeDescription,ChargePeriodStart,ChargePeriodEnd,InvoiceIssuerName,ServiceProviderName,"
    "ServiceCategory,ServiceName,RegionId,ResourceId"
)
PERIOD = BillingPeriod.of(datetime.now(UTC))


def write(folder: Path, version: int) -> Decimal:
    """Write the file of an account; return its total."""
    folder.mkdir(parents=True, exist_ok=True)
    start, end = f"{PERIOD.start:%Y-%m-%dT%H:%M:%SZ}", f"{PERIOD.end:%Y-%m-%dT%H:%M:%SZ}"
    rows = []
    total = Decimal(0)
    for number in range(LINES):
        amount = Decimal(number + version).scaleb(-2)
        total += amount
        day = f"{PERIOD}-{number % 28 + 1:02d}"
        values = [*[str(amount)] * 4, "1", "", "USD", start, end, "Usage", "", f"charge {number}"]
        values += [f"{day}T00:00:00Z", f"{day}T01:00:00Z", "Example", "Example", "Compute"]
        rows.append(",".join([*values, f"service {number % 9}", f"region {number % 4}", f"machine-{number % 40}"]))
    (folder / "costs.csv").write_text("\n".join([HEADER, *rows]))
    return total


@contextmanager
def platform(home: Path) -> Iterator[tuple[Settings, psutil.Process]]:
    """Run `optiinfra up` in `home`; yields its settings and its process."""
    ports = {f"OPTIINFRA_{name}_PORT": str(free_port("127.0.0.1")) for name in ("CLICKHOUSE", "DAGSTER", "API")}
    os.environ["OPTIINFRA_HOME"] = str(home)
    environment = {**os.environ, **ports}
    with (home.parent / "up.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "optiinfra_assets.cli", "up"], env=environment, stdout=log, stderr=log
        )
        try:
            while not (home / "runtime.json").exists():
                assert process.poll() is None, (home.parent / "up.log").read_text()
                time.sleep(0.2)
            yield Settings(), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def cpu_seconds(process: psutil.Process) -> float:
    """CPU of a process and of all below it, also of those that have ended."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def connect(settings: Settings, metadata: Metadata, folders: Sequence[Path]) -> list[Account]:
    """Store an account for each folder. Dagster gets the partitions first, so that its sensor takes none of them for new."""
    accounts = [
        Account(f"c{number % CUSTOMERS}.a{number}", f"c{number % CUSTOMERS}", "focus", {"location": str(folder)})
        for number, folder in enumerate(folders)
    ]
    with DagsterClient(settings) as dagster:
        repository = dagster.repository("focus")
        for account in accounts:
            dagster.add_partition(repository, "focus_accounts", account.account_id)
    for number in range(CUSTOMERS):
        metadata.customers.add(f"c{number}")
    with metadata.transaction():
        for account in accounts:
            metadata.accounts.add(account)
    return accounts


def collect_here(accounts: Sequence[Account], warehouse: Warehouse, metadata: Metadata) -> float:
    """Collect all accounts in this process, without Dagster; return the seconds."""
    log = logging.getLogger("benchmark")
    run = CollectionRun(f"here-{uuid.uuid4().hex}", "cli", uuid.uuid4().hex)
    begun = time.perf_counter()
    results = run.collect(
        PROVIDERS["focus"], [(one, Slice.of(one, PERIOD)) for one in accounts], Stores(warehouse, metadata, log)
    )
    assert all(type(one).__name__ == "SliceResult" for one in results)
    return time.perf_counter() - begun


def tick(settings: Settings, metadata: Metadata) -> tuple[str, tuple[CollectionRunRequest, ...], float]:
    """Do what the schedule does at a tick; return its task, the runs it asked for, and its seconds."""
    begun = time.perf_counter()
    now = datetime.now(UTC)
    task = f"schedule-{now:%Y%m%dT%H%M%S.%fZ}"
    due = find_due(metadata, PROVIDERS, now=now, task_id=task, trigger="schedule", max_runs=RUNS_PER_TICK, budget=60)
    with DagsterClient(settings) as dagster:
        repository = dagster.repository("focus")
        for at in range(0, len(due.requests), 20):
            dagster.launch(repository, due.requests[at : at + 20])
    return task, due.requests, time.perf_counter() - begun


def published(metadata: Metadata, task: str, begun: float, number: int) -> Iterator[tuple[int, float]]:
    """Yield how many slices of a task are published and after how many seconds, until all are."""
    done = 0
    while done < number:
        time.sleep(0.25)
        rows = metadata.collections.history(task_id=task, first=None)
        assert not [row.error for row in rows if row.status == "failed"], "a slice failed"
        done = sum(row.status == "succeeded" for row in rows)
        yield done, time.perf_counter() - begun


def measure(accounts: int, part: int) -> None:
    """Change one account in `part`, and measure the tick after that."""
    with tempfile.TemporaryDirectory(prefix="oi-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        folders = [Path(folder) / "files" / str(number) for number in range(accounts)]
        totals = {one: write(one, 0) for one in folders}
        with platform(Path(folder) / "h") as (settings, process):
            metadata, warehouse = Metadata.connect(settings), Warehouse.connect(settings)
            connected = connect(settings, metadata, folders)
            tick_of_all = find_due(
                metadata, PROVIDERS, now=datetime.now(UTC), task_id="first", trigger="cli", max_runs=0, budget=60
            )
            assert not tick_of_all.requests
            cpu = cpu_seconds(process) + time.process_time()
            seconds = collect_here(connected, warehouse, metadata)
            used = cpu_seconds(process) + time.process_time() - cpu
            rate = 60 * accounts / seconds
            print(
                f"| the collector alone, all {accounts:,} | - | - | - | {seconds:.1f} | {rate:,.0f} | {used / accounts:.3f} |",
                flush=True,
            )
            changed = folders[::part]
            totals |= {one: write(one, 1) for one in changed}
            cpu, begun = cpu_seconds(process), time.perf_counter()
            task, requests, of_tick = tick(settings, metadata)
            times = list(published(metadata, task, begun, len(changed)))
            half = next(at for done, at in times if done >= len(changed) / 2)
            end = times[-1][1]
            used = cpu_seconds(process) - cpu
            print(
                f"| 1 of {part} of {accounts:,} through Dagster | {of_tick:.1f} | {len(requests)} | {half:.1f} | {end:.1f} | "
                f"{60 * len(changed) / end:,.0f} | {used / len(changed):.3f} |",
                flush=True,
            )
            current = warehouse.currents([Slice.of(one, PERIOD) for one in connected])
            for one, path in zip(connected, folders, strict=True):
                assert current[Slice.of(one, PERIOD)].totals["USD"].billed_cost == totals[path]
            metadata.close()
            warehouse.close()


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--part", type=int, nargs="+", default=[1], help="change one account of so many")
    arguments = parser.parse_args()
    heads = ("what", "tick, s", "runs", "half published, s", "all, s", "slices/min", "CPU s a slice")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for part in arguments.part:
        measure(arguments.accounts, part)


if __name__ == "__main__":
    main()
