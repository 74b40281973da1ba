"""Slices collected in a minute, through Dagster as `optiinfra up` runs it: ``python -m benchmarks.collect --accounts 1000``.

Each account is a folder with a FOCUS file of 100 line items of this month. First the collector alone collects all of them, in this process
and without Dagster. Then the platform is started in a home of its own, and does what the schedule does at a tick, when all accounts are
new and when a part of the files has changed: it probes every account, queues what is due and asks Dagster for runs. For each this prints
how long the tick took, how many runs it asked for, after how many seconds half and all of the slices were published, slices a minute,
and seconds of CPU a slice, of all processes of the platform. In the end the totals that readers see are compared with the files.
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
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import CollectionRunRequest
from optiinfra_assets.embedded.preflight import free_port
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.ingestion.dagster_client import DagsterClient
from optiinfra_assets.ingestion.run import CollectionRun, Stores
from optiinfra_assets.ingestion.slice_attempt import SliceResult
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


def account_of(number: int, folder: Path) -> Account:
    """The account of a folder; customers have several."""
    customer_id = f"c{number % CUSTOMERS}"
    return Account(f"{customer_id}.a{number}", customer_id, "focus", {"location": str(folder)})


def connect(metadata: Metadata, folders: Sequence[Path]) -> list[Account]:
    """Store an account for each folder, as one that was probed, so that the sensor takes none for new."""
    for number in range(CUSTOMERS):
        metadata.customers.add(f"c{number}")
    with metadata.transaction():
        accounts = [metadata.accounts.add(account_of(number, folder)) for number, folder in enumerate(folders)]
        metadata.work_queue.record_probe_tries([one.account_id for one in accounts], datetime.now(UTC))
    return accounts


def collect_here(accounts: Sequence[Account], warehouse: Warehouse, metadata: Metadata) -> float:
    """Collect all accounts in this process, without Dagster; return the seconds."""
    log = logging.getLogger("benchmark")
    run = CollectionRun(f"here-{uuid.uuid4().hex}", "cli", uuid.uuid4().hex)
    begun = time.perf_counter()
    work = [(one, Slice.of(one, PERIOD)) for one in accounts]
    results = list(run.collect(PROVIDERS["focus"], work, Stores(warehouse, metadata, log)))
    failed = [one for one in results if not isinstance(one, SliceResult)]
    assert not failed, failed[:3]
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


def alone(folder: Path, accounts: int) -> None:
    """Measure the collector in this process, without Dagster, on databases of its own."""
    folders = [folder / str(number) for number in range(accounts)]
    for one in folders:
        write(one, 0)
    with stores() as (_, warehouse, metadata):
        connected = connect(metadata, folders)
        find_due(metadata, PROVIDERS, now=datetime.now(UTC), task_id="first", trigger="cli", max_runs=0, budget=60)
        us = psutil.Process()
        cpu = cpu_seconds(us)
        seconds = collect_here(connected, warehouse, metadata)
        used = cpu_seconds(us) - cpu
    print(
        f"| the collector alone, {accounts:,} | - | - | - | {seconds:.1f} | {60 * accounts / seconds:,.0f} | {used / accounts:.3f} |",
        flush=True,
    )


def through_dagster(folder: Path, accounts: int, parts: Sequence[int]) -> None:
    """Measure the tick at which all accounts are new, and for each of `parts` one at which one account in so many has changed."""
    folders = [folder / "files" / str(number) for number in range(accounts)]
    totals = {one: write(one, 0) for one in folders}
    with platform(folder / "h") as (settings, process):
        metadata, warehouse = Metadata.connect(settings), Warehouse.connect(settings)
        connected = connect(metadata, folders)
        one_tick(settings, metadata, process, f"all {accounts:,} are new", accounts)
        for version, part in enumerate(parts, 1):
            changed = folders[::part]
            totals |= {one: write(one, version) for one in changed}
            one_tick(settings, metadata, process, f"1 of {part} of {accounts:,} has changed", len(changed))
        current = warehouse.currents([Slice.of(one, PERIOD) for one in connected])
        for one, path in zip(connected, folders, strict=True):
            assert current[Slice.of(one, PERIOD)].totals["USD"].billed_cost == totals[path]
        metadata.close()
        warehouse.close()


def one_tick(settings: Settings, metadata: Metadata, process: psutil.Process, label: str, number: int) -> None:
    """Measure one tick at which so many slices are due, until all are published."""
    cpu, begun = cpu_seconds(process), time.perf_counter()
    task, requests, of_tick = tick(settings, metadata)
    times = list(published(metadata, task, begun, number))
    half = next(at for done, at in times if done >= number / 2)
    end, used = times[-1][1], cpu_seconds(process) - cpu
    print(
        f"| {label} | {of_tick:.1f} | {len(requests)} | {half:.1f} | {end:.1f} | {60 * number / end:,.0f} | {used / number:.3f} |",
        flush=True,
    )


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 10, 100], help="change one account of so many")
    arguments = parser.parse_args()
    heads = ("what", "tick, s", "runs", "half published, s", "all, s", "slices/min", "CPU s a slice")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    for measure in (alone, partial(through_dagster, parts=arguments.parts)):
        with tempfile.TemporaryDirectory(prefix="oi-", dir=memory if memory.is_dir() else None) as folder:
            measure(Path(folder), arguments.accounts)


if __name__ == "__main__":
    main()
