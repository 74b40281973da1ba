"""kill -9 of a run that collects sixty slices, more than are read at once: each is old or new, and the next run completes the work."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.synchronize import Event
from pathlib import Path

from loopback import HANG
from machine import FORKING
from orchestrated import Files

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.ingestion.run import CollectionRun, Stores
from optiinfra_assets.ingestion.slice_attempt import SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

OCTOBER = BillingPeriod(2026, 10)
ACCOUNTS = [f"acme.{number}" for number in range(60)]
KILLS = max(2, int(os.environ.get("OPTIINFRA_TEST_KILLS", "4")) // 4)


def slices(accounts: Sequence[Account]) -> list[Slice]:
    return [Slice.of(one, OCTOBER) for one in accounts]


def collect(settings: Settings, accounts: Sequence[Account], name: str, begun: Event | None = None) -> bool:
    """Collect all accounts by one run; whether all of it went well. `begun` is set when the first slice is about to be read."""
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    stores = Stores(warehouse, metadata, logging.getLogger("collector"))
    work = list(zip(accounts, slices(accounts), strict=True))
    if begun is not None:
        begun.set()
    results = list(CollectionRun(name, "schedule", name).collect(PROVIDERS["focus"], work, stores))
    warehouse.close()
    metadata.close()
    return all(isinstance(one, SliceResult) for one in results)


def totals(warehouse: Warehouse, accounts: Sequence[Account]) -> dict[str, Decimal]:
    """What readers see of each account; every table of its generation says the same."""
    current = warehouse.currents(slices(accounts))
    found = {}
    stated = {one.generation: one.totals["USD"].billed_cost for one in current.values()}
    for table in ("raw_costs", *derived_tables()):
        rows = warehouse.client.query(
            f"SELECT generation, sum(billed_cost) FROM {table} WHERE generation IN {tuple(stated)} GROUP BY generation"
        ).result_rows
        assert dict(rows) == stated, table
    for slice_, one in current.items():
        found[slice_.account_id] = stated[one.generation]
    return found


def test_each_slice_is_old_or_new(settings: Settings, warehouse: Warehouse, metadata: Metadata, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    random_ = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    metadata.customers.add("acme")
    folders = {account_id: Files(tmp_path / account_id) for account_id in ACCOUNTS}
    accounts = [
        metadata.accounts.add(Account(account_id, "acme", "focus", {"location": str(files.path)}))
        for account_id, files in folders.items()
    ]

    def write(version: int) -> dict[str, Decimal]:
        for number, files in enumerate(folders.values()):
            files.write("october", "2026-10", [str(number + 1), str(version)])
        return {account_id: files.total("2026-10") for account_id, files in folders.items()}

    old = write(0)
    for account in accounts:
        metadata.slices.record_probe(account.account_id, {OCTOBER: "seen"}, datetime(2026, 11, 1, tzinfo=UTC))
    since = time.monotonic()
    assert collect(settings, accounts, "first")
    seconds = time.monotonic() - since
    assert totals(warehouse, accounts) == old
    hits = 0
    for number in range(1, KILLS + 1):
        new, begun = write(number), FORKING.Event()
        process = FORKING.Process(target=collect, args=(settings, accounts, f"killed-{number}", begun))
        process.start()
        assert begun.wait(HANG)
        process.join(random_.uniform(0.1, 0.9) * seconds)
        hits += process.is_alive()
        process.kill()
        process.join()
        seen = totals(warehouse, accounts)
        assert seen.keys() == old.keys()
        assert all(seen[one] in (old[one], new[one]) for one in ACCOUNTS)
        assert collect(settings, accounts, f"after-{number}")
        assert totals(warehouse, accounts) == new
        old = new
    assert hits, "every run had ended before it was to be killed"
