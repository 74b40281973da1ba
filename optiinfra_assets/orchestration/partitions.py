"""The partitions of every cost asset: account x billing period, one definition per provider.

A Dagster partition is one slice, which providers restate and we publish; its key is ``<account>|<YYYY-MM>``. Accounts are dynamic
partitions (each row of ``optiinfra.accounts`` becomes a key when it is first seen), so loading the definitions reads no database.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import dagster as dg

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.run_scope import FIRST_PERIOD


@cache
def slices(provider: str) -> dg.MultiPartitionsDefinition:
    """The partitions of one provider. They include the current month from its first day: providers report it while it runs."""
    return dg.MultiPartitionsDefinition(
        {
            "account": dg.DynamicPartitionsDefinition(name=accounts(provider)),
            "period": dg.MonthlyPartitionsDefinition(start_date=str(FIRST_PERIOD), fmt="%Y-%m", end_offset=1),
        }
    )


def accounts(provider: str) -> str:
    """Return the name of the dynamic partitions that hold the account ids of one provider."""
    return f"{provider}_accounts"


def parse(partition_key: str) -> tuple[str, BillingPeriod]:
    """Return the account id and the billing period of a partition key."""
    account_id, period = partition_key.rsplit("|", 1)
    return account_id, BillingPeriod.parse(period)


def register(instance: dg.DagsterInstance, provider: str, account_ids: Iterable[str]) -> None:
    """Add the partitions that accounts do not have yet; a repeated call changes nothing."""
    new = sorted(set(account_ids) - set(instance.get_dynamic_partitions(accounts(provider))))
    if new:
        instance.add_dynamic_partitions(accounts(provider), new)
