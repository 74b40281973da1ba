"""The partitions of every cost asset: one for each billing period that an account has, in one definition per provider.

A Dagster partition is one slice, which providers restate and we publish; its key is ``<account>|<YYYY-MM>``. Partitions are dynamic: a
slice becomes one when it is first requested or collected, so Dagster lists no month that nobody has, and loading the definitions reads no
database.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import dagster as dg

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import partition_key, partitions_name


@cache
def slices(provider: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of one provider, in the order in which they were added: months of an account need not follow one another."""
    return dg.DynamicPartitionsDefinition(name=partitions_name(provider))


def parse(key: str) -> tuple[str, BillingPeriod]:
    """Return the account id and the billing period of a partition key."""
    account_id, period = key.rsplit("|", 1)
    return account_id, BillingPeriod.parse(period)


def register(instance: dg.DagsterInstance, found: Iterable[Slice]) -> None:
    """Add the partitions of slices, those of an account from its oldest month; what is there already stays."""
    by_provider: dict[str, list[str]] = {}
    for one in sorted(found, key=lambda slice_: (slice_.account_id, slice_.billing_period)):
        by_provider.setdefault(one.provider, []).append(partition_key(one))
    for provider, keys in by_provider.items():
        instance.add_dynamic_partitions(partitions_name(provider), keys)
