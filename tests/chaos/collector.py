"""Processes to be killed or stopped: one collects every period of a folder, as a run of the schedule does; one collects garbage."""

from __future__ import annotations

import logging
import sys
import uuid
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event

from optiinfra_assets.domain.accounts import Account, Slice
from optiinfra_assets.ingestion.run import CollectionRun, SliceFailure, SliceSkipped, Stores
from optiinfra_assets.ingestion.slice_attempt import SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

Ended = SliceResult | SliceFailure | SliceSkipped


def collected(stores: Stores, account: Account) -> list[Ended]:
    """Collect what the folder of `account` has now, in a run of its own."""
    provider, run_id = PROVIDERS[account.provider], uuid.uuid4().hex
    tokens = provider.probe(account, {}).tokens
    stores.metadata.slices.record_probe(account.account_id, tokens, stores.clock())
    work = [(account, Slice.of(account, period)) for period in tokens]
    return list(CollectionRun(f"task-{run_id}", "schedule", run_id).collect(provider, work, stores))


def collect(settings: Settings, account: Account, begins: Event) -> None:
    """Do so in this process; `begins` is set before the first look. The exit code is 0 once every period is collected."""
    stores = Stores(Warehouse.connect(settings), Metadata.connect(settings), logging.getLogger("collector"))
    begins.set()
    sys.exit(not all(isinstance(one, SliceResult) for one in collected(stores, account)))


def collect_garbage(settings: Settings, begins: Event) -> None:
    """Collect garbage again and again, with a clock two days ahead, so that every attempt that is not alive is old enough to go."""
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    begins.set()
    while True:
        live = metadata.slices.live_generations(timedelta(0))
        warehouse.collect_garbage(datetime.now(UTC) + timedelta(days=2), 95, live)
