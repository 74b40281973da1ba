"""How fast each cloud's line items come from its simulator to published: ``python -m benchmarks.providers --rows 100000``.

The simulated cloud is a process of its own, so that its work does not count as ours, though it takes one of the cores. One closed month
of about ``--rows`` line items is collected, loaded, derived, verified and published by the code that runs in production. Shares are of
the wall time: a sampler looks every few milliseconds at what the reading thread does: waiting for and in the vendor's client ("SDK"), or
making line items of it ("mapping"); insert, hash, derive, verify and publish are timed by the collection itself. Reading and inserting
overlap, so the shares of SDK and mapping are of the time that reading took.

``--rows 2000000`` is what the memory limit of 300 MB is checked with; it stops if one is over.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.warehouse import Warehouse

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
JANUARY = BillingPeriod(2026, 1)
MAX_MB = 300
SAMPLE_SECONDS = 0.003
MAPPING = re.compile(r"optiinfra_assets/(line_items|providers)/(?!http\.py|retrying\.py|paging\.py)")
CLIENTS = re.compile(r"site-packages/(httpx|httpcore|boto|s3transfer|google|azure|msal|requests|urllib3|anyio)")


def scenario() -> Scenario:
    """A machine and a disk; the other line items are the extra items of the simulator."""
    web = ScenarioResource("web", "web (simulated)", "compute", "standard-2", "fra", "main", Decimal("0.10"))
    disk = ScenarioResource("disk", "disk (simulated)", "storage", "object", "fra", "main", Decimal("0.03"))
    return Scenario("bench", date(2025, 12, 1), (web, disk))


def serve(name: str, mode: str, rows: int) -> None:
    """Serve the simulated cloud until standard input ends."""
    cloud = SIMULATORS[name].make(scenario(), SimulatedClock(NOW), secret="bench", mode=mode)  # noqa: S106 - nobody's
    with cloud:
        cloud.extra_items = rows
        amount = str(cloud.invoice_amount(JANUARY))
        said = {"settings": cloud.settings(), "secrets": cloud.secrets(), "amount": amount}
        print(json.dumps(said), flush=True)
        sys.stdin.read()


@contextmanager
def served(name: str, mode: str, rows: int) -> Iterator[dict[str, Any]]:
    """Run the simulated cloud in a process of its own; yields what it printed about itself."""
    command = [sys.executable, "-m", "benchmarks.providers", "--serve", name, mode, str(rows)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate("")


class Sampler:
    """Samples what the thread that reads line items is doing, a few hundred times a second."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._thread: int | None = None
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Sampler:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()

    def watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield `batches` and sample the thread that reads them."""
        while True:
            self._thread = threading.get_ident()
            batch = next(batches, None)
            self._thread = None
            if batch is None:
                return
            yield batch

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            thread = self._thread
            frame = sys._current_frames().get(thread) if thread is not None else None
            if frame is not None:
                self.counts[self._doing(frame)] += 1

    @staticmethod
    def _doing(frame: FrameType | None) -> str:
        while frame is not None:
            path = frame.f_code.co_filename
            if CLIENTS.search(path):
                return "sdk"
            if MAPPING.search(path):
                return "mapping"
            frame = frame.f_back
        return "other"


class Watched(Provider):
    """A provider whose reading is sampled."""

    def __init__(self, inner: Provider, sampler: Sampler) -> None:
        self._inner = inner
        self._sampler = sampler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        return self._inner.discover(account, context)

    def probe(self, *asked: Any) -> Any:
        return self._inner.probe(*asked)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        collection = self._inner.collect(account, billing_period, context)
        collection.batches = self._sampler.watched(collection.batches)
        return collection


def measure(name: str, mode: str, rows: int, warehouse: Warehouse, metadata: Metadata) -> None:
    """Measure one cloud and print its line of the table."""
    account_id = f"demo.{name}-{mode or 'plain'}"
    metadata.customers.add("demo")
    with served(name, mode, rows) as cloud, Sampler() as sampler:
        account = Account(account_id, "demo", name, cloud["settings"], is_simulated=True)
        metadata.accounts.add(account)
        account = Account(account_id, "demo", name, cloud["settings"], cloud["secrets"], is_simulated=True)
        begun = time.perf_counter()
        result = collect_slice(
            Watched(PROVIDERS[name], sampler),
            account,
            JANUARY,
            warehouse=warehouse,
            metadata=metadata,
            run_id="bench",
            log=logging.getLogger("bench"),
        )
        seconds = time.perf_counter() - begun
    loaded = result.loaded
    assert loaded.totals["USD"].billed_cost == Decimal(cloud["amount"]), "a wrong answer is not worth measuring"
    looked = max(1, sum(sampler.counts.values()))
    shares = [f"{100 * sampler.counts[what] / looked:>8.0f}%" for what in ("sdk", "mapping")]
    timed = [f"{100 * result.seconds.get(what, 0) / seconds:>9.0f}%" for what in STAGES]
    print(
        f"{f'{name} {mode}'.strip():<26}{loaded.line_items:>10,}{seconds:>8.1f}{loaded.line_items / seconds:>11,.0f}"
        + "".join(shares)
        + "".join(timed),
        flush=True,
    )


STAGES = ("read", "insert", "derive", "verify", "publish")


def child(name: str, mode: str, rows: int) -> None:
    """Only read a slice, and print the peak memory of this process in MB and the number of line items."""
    from optiinfra_assets.providers.context import transient_context

    with served(name, mode, rows) as cloud:
        account = Account("demo.bench", "demo", name, cloud["settings"], cloud["secrets"], is_simulated=True)
        collection = PROVIDERS[name].collect(account, JANUARY, transient_context())
        count = sum(batch.num_rows for batch in collection.batches)
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps([int(peak[1]) / 1024, count]))


def memory(name: str, mode: str, rows: int) -> None:
    """Measure the memory of one cloud and print its line of the table."""
    command = [sys.executable, "-m", "benchmarks.providers", "--child", name, mode, str(rows)]
    begun = time.perf_counter()
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    peak, count = json.loads(answer)
    print(
        f"{f'{name} {mode}'.strip():<26}{count:>10,}{time.perf_counter() - begun:>8.1f}{peak:>11.0f} MB",
        flush=True,
    )
    assert peak < MAX_MB, f"{name}: {peak:.0f} MB for one slice"


def main() -> None:
    """Measure every cloud in each of its modes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=sorted(SIMULATORS), default=sorted(SIMULATORS))
    parser.add_argument("--memory", action="store_true", help="Measure peak memory of reading only.")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve or arguments.child:
        name, mode, rows = arguments.serve or arguments.child
        (serve if arguments.serve else child)(name, mode, int(rows))
        return
    modes = [(name, mode) for name in arguments.only for mode in SIMULATORS[name].modes]
    if arguments.memory:
        for name, mode in modes:
            memory(name, mode, arguments.rows)
        return
    names = ("SDK", "mapping"), STAGES
    print(
        f"{'cloud':<26}{'items':>10}{'s':>8}{'items/s':>11}"
        + "".join(f"{name:>9}" for name in names[0])
        + "".join(f"{name:>10}" for name in names[1])
    )
    with stores() as (_, warehouse, metadata):
        for name, mode in modes:
            measure(name, mode, arguments.rows, warehouse, metadata)


if __name__ == "__main__":
    main()
