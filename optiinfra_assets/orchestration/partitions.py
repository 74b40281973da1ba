"""The partitions of every cost asset: account x billing period, one definition per provider.

The Dagster partition is the slice that providers restate and that is published: key ``<account>|<YYYY-MM>``. Accounts are dynamic
(a row of ``optiinfra.accounts`` becomes a key when it is first seen), so loading the definitions reads no database, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import dagster as dg

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.run_scope import FIRST_PERIOD


@cache
def slices(provider: str) -> dg.MultiPartitionsDefinition:
    """The slices of one provider. The current month is included from its first day: providers bill it while it runs."""
    return dg.MultiPartitionsDefinition(
        {
            "account": dg.DynamicPartitionsDefinition(name=accounts(provider)),
            "period": dg.MonthlyPartitionsDefinition(start_date=str(FIRST_PERIOD), fmt="%Y-%m", end_offset=1),
        }
    )


def accounts(provider: str) -> str:
    """Name of the dynamic partitions that list the account ids of one provider."""
    return f"{provider}_accounts"


def parse(partition_key: str) -> tuple[str, BillingPeriod]:
    """Account id and billing period of a partition key."""
    account_id, period = partition_key.rsplit("|", 1)
    return account_id, BillingPeriod.parse(period)


def register(instance: dg.DagsterInstance, provider: str, account_ids: Iterable[str]) -> None:
    """Make partitions of accounts that are none yet; repeating changes nothing."""
    new = sorted(set(account_ids) - set(instance.get_dynamic_partitions(accounts(provider))))
    if new:
        instance.add_dynamic_partitions(accounts(provider), new)
