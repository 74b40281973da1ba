"""A collector to be killed: collects every period of one folder again and again, until it ends or is ended.

Run as ``python collector.py ACCOUNT_ID LOCATION``, with the addresses of both databases in the environment. Prints one
line when it begins and exits 0 once every period of the folder is collected.
"""

from __future__ import annotations

import logging
import sys
import uuid

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


def main(account_id: str, location: str) -> None:
    """Collect what the folder has now."""
    settings = Settings()
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    provider = PROVIDERS["focus"]
    account = Account(account_id, account_id.split(".")[0], "focus", {"location": location})
    print("begins", flush=True)  # noqa: T201 - the test waits for this line before it kills
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


if __name__ == "__main__":
    main(*sys.argv[1:])
