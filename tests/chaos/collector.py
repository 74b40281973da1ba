"""A collector to be killed: collects every period of one folder, and ends with exit code 0 once all are collected."""

from __future__ import annotations

import logging
import uuid
from multiprocessing.synchronize import Event

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


def collect(settings: Settings, account: Account, begins: Event) -> None:
    """Collect what the folder of `account` has now; `begins` is set before the first look at it."""
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    provider = PROVIDERS[account.provider]
    begins.set()
    for billing_period in provider.probe(account, {}).tokens:
        collect_slice(
            provider,
            account,
            billing_period,
            warehouse=warehouse,
            metadata=metadata,
            run_id=uuid.uuid4().hex,
            log=logging.getLogger("collector"),
        )
