"""What one tick of the schedule takes: ``python -m benchmarks.ticks``.

1. Accounts probed in a minute: real sockets to one simulated cloud, whose process takes one of the two cores.
2. A tick over ``--accounts`` accounts of which 1 % changed: probes of a source that answers after 20 ms, the state of all of them in
   PostgreSQL, run requests for what changed. And the next tick, with nothing changed.
3. Runs in a quarter of an hour: how long a run of one small slice takes in its own process, and how many of them two places in the queue
   get done between two ticks.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel

from benchmarks.engines import stores
from benchmarks.providers import served
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.ingestion.probe_pool import probe_all
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.schedules import RUNS_PER_TICK
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, utc_now
from optiinfra_assets.simulators import SIMULATORS

BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PERIOD = BillingPeriod.of(BEGIN)


class NoCredential(BaseModel):
    """No field is needed."""


class Slow(Provider):
    """Answers after 20 ms; accounts in `changed` return another token than before."""

    name: ClassVar[str] = "slow"
    title: ClassVar[str] = "A source that takes its time"
    credential_model: ClassVar[type[BaseModel]] = NoCredential
    capabilities: ClassVar[Capabilities] = Capabilities("day", 13)

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        raise NotImplementedError

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        meter = context.meter()
        meter.count()
        context.sleep(0.02)
        return Probe({PERIOD: self.changed.get(account.account_id, "same")}, meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        raise NotImplementedError


def probed_in_a_minute(name: str) -> None:
    """Measure how many accounts of one cloud are probed with real requests; each account makes as many requests as in production."""
    accounts = 600
    with served(name, "", 0) as cloud:
        every = [
            Account(f"demo.{number}", "demo", name, cloud["settings"], cloud["secrets"]) for number in range(accounts)
        ]
        kept = {account.account_id: MemorySnapshots() for account in every}

        def opened(account: Account) -> tuple[Account, ProviderContext]:
            return account, ProviderContext(utc_now, kept[account.account_id])

        for label in ("first probes", "probes after that"):
            begun = time.perf_counter()
            answers = list(probe_all(every, PROVIDERS, {}, opened, budget=600))
            seconds = time.perf_counter() - begun
            errors = {one.error for one in answers if one.error}
            assert not errors, errors
            requests = sum(one.requests for one in answers)
            print(
                f"{name}: {label}: {60 * accounts / seconds:,.0f} accounts/min, {requests / accounts:.1f} requests each",
                flush=True,
            )


def ticks(metadata: Metadata, accounts: int) -> None:
    """Measure ticks over many accounts."""
    provider = Slow()
    metadata.customers.add("demo")
    with metadata.transaction():
        for number in range(accounts):
            metadata.accounts.add(Account(f"demo.{number:05}", "demo", "slow"))
    print(f"{accounts:,} accounts added", flush=True)
    _tick(metadata, provider, 0, "the first tick, everything is new")
    metadata.collections.close("canceled", None, task_id="schedule-0")
    with metadata.transaction():
        for state in metadata.slices.states():
            metadata.slices.record_collection(state.slice, "same", BEGIN)
    _tick(metadata, provider, 2, "nothing changed")
    provider.changed = {f"demo.{number:05}": "other" for number in range(0, accounts, 100)}
    _tick(metadata, provider, 3, "1 % changed")
    _tick(metadata, provider, 4, "the same again, not yet collected")


def _tick(metadata: Metadata, provider: Provider, number: int, label: str) -> None:
    now = BEGIN + timedelta(minutes=15 * number)
    begun = time.perf_counter()
    tick = find_due(
        metadata,
        {"slow": provider},
        now=now,
        task_id=f"schedule-{number}",
        trigger="schedule",
        max_runs=RUNS_PER_TICK,
        budget=25,
    )
    seconds = time.perf_counter() - begun
    print(f"{label}: {seconds:.1f} s, {tick.noticed}, {len(tick.requests)} runs requested", flush=True)


def runs() -> None:
    """Measure one run: a process that loads the code location and collects a small slice; most of its time is its start."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import optiinfra_assets.definitions"], check=True)
        times.append(time.perf_counter() - begun)
    print(f"start of a run's process, best of 5: {min(times):.1f} s", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=sorted(SIMULATORS), default=sorted(SIMULATORS))
    arguments = parser.parse_args()
    for name in arguments.only:
        probed_in_a_minute(name)
    with stores() as (_, _, metadata):
        ticks(metadata, arguments.accounts)
    runs()


if __name__ == "__main__":
    main()
