"""An account together with its secrets for one use that goes on record, and the context its provider is handed.

What keeps a secret from being revealed comes out as the provider's error it amounts to: it is shown at the account it concerns, and holds
up no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import CredentialRejected, Transient
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, Snapshot, utc_now
from optiinfra_assets.vault.credential_audit import Actor, Purpose
from optiinfra_assets.vault.credentials import CredentialChanged
from optiinfra_assets.vault.master_keys import MasterKeyUnavailable, VaultError


def with_secrets(
    metadata: Metadata, provider: Provider, account: Account, purpose: Purpose, run_id: str | None = None
) -> Account:
    """`account` with its secrets revealed; as it is if `provider` has no secret field, which then costs nothing.

    Args:
        metadata: where it is stored.
        provider: that of the account.
        account: without secrets.
        purpose: what for; see `Credentials.reveal` for what of it goes on record.
        run_id: the Dagster run, None outside of one.

    Raises:
        CredentialRejected: the account has no secret in use, or the master key is missing or another one. A person has to act; the
            secret is where it was.
        Transient: the service that holds the master key does not answer now; or the account was changed since it was read: its secret
            is never sent to an address that it was not stored for.
    """
    if not provider.secret_fields():
        return account
    try:
        secrets = metadata.credentials.reveal(
            account.account_id, Actor.here(purpose), purpose, run_id, settings=account.settings
        )
    except (MasterKeyUnavailable, CredentialChanged) as error:
        raise Transient(str(error)) from None
    except (VaultError, RecordNotFound) as error:
        raise CredentialRejected(str(error)) from None
    return replace(account, secrets=secrets)


def probe_arguments(
    metadata: Metadata, providers: Mapping[str, Provider], account: Account
) -> tuple[Account, ProviderContext]:
    """What the probe of a stored account is handed.

    Raises:
        CredentialRejected, Transient: as `with_secrets`.
    """
    return with_secrets(metadata, providers[account.provider], account, "probe"), stored_context(metadata, account)


def stored_context(metadata: Metadata, account: Account) -> ProviderContext:
    """The context of an account that is stored."""
    return ProviderContext(utc_now, SnapshotRepository(metadata, account.account_id, Snapshot))


def transient_context() -> ProviderContext:
    """The context of a look at an account that is not stored yet: what it answers is kept by the first probe after that."""
    return ProviderContext(utc_now, MemorySnapshots())
