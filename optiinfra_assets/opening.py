"""An account together with its secrets, for one use that goes on record. No Dagster here.

What keeps a secret from being revealed comes out as the provider's error it amounts to: it is shown at the account it concerns, and holds
up no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optiinfra_assets.contexts import stored
from optiinfra_assets.model import Account
from optiinfra_assets.providers.base import CredentialRejected, Provider, Transient
from optiinfra_assets.providers.context import Context
from optiinfra_assets.store.credential_audit import Actor, Purpose
from optiinfra_assets.store.credentials import CredentialChanged
from optiinfra_assets.store.errors import NotFound
from optiinfra_assets.store.keys import MasterKeyUnavailable, VaultError
from optiinfra_assets.store.metadata import Metadata


def opened(
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
    except (VaultError, NotFound) as error:
        raise CredentialRejected(str(error)) from None
    return replace(account, secrets=secrets)


def for_probe(
    metadata: Metadata, providers: Mapping[str, Provider], account: Account
) -> tuple[Account, Context]:
    """What the probe of a stored account is handed.

    Raises:
        CredentialRejected, Transient: as `opened`.
    """
    return opened(metadata, providers[account.provider], account, "probe"), stored(metadata, account)
