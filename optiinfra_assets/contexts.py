"""What a provider is handed besides the account: the real clock, and the account's answers kept in PostgreSQL."""

from __future__ import annotations

from optiinfra_assets.model import Account
from optiinfra_assets.providers.context import Context, MemorySnapshots, Snapshot, utc_now
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.snapshots import StoredSnapshots


def stored(metadata: Metadata, account: Account) -> Context:
    """The context of an account that is stored."""
    return Context(utc_now, StoredSnapshots(metadata, account.account_id, Snapshot))


def passing() -> Context:
    """The context of a look at an account that is not stored yet: what it answers is kept by the first probe after that."""
    return Context(utc_now, MemorySnapshots())
