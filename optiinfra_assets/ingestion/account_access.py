"""Decrypt the secrets of an account for one audited use, and make the context that its provider gets.

If a secret cannot be decrypted, this raises the provider error that fits. So the error is shown at that account and delays no other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Final, Literal

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import CredentialRejected, Transient
from optiinfra_assets.domain.quoting import answers_shown
from optiinfra_assets.domain.read_memory import set_most_bytes
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import Deadline, ProviderContext, Snapshot, utc_now
from optiinfra_assets.providers.http.endpoint_policy import network_policy_of
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor, Purpose
from optiinfra_assets.vault.credentials import CredentialChanged
from optiinfra_assets.vault.master_keys import MasterKeyUnavailable, VaultError

EXPLANATION_SECONDS: Final[Mapping[str, float]] = {"probe": 5.0, "collect": 120.0}
"""Seconds for a request that only explains costs. A tick gives up a probe after 15 s, and two of such requests may hang in it."""


def with_secrets(
    metadata: Metadata, provider: Provider, account: Account, purpose: Purpose, run_id: str | None = None
) -> Account:
    """Return `account` with its secrets; return it unchanged, at no cost, if `provider` has no secret field.

    Args:
        metadata: stores the account.
        provider: the provider of the account.
        account: the account without secrets.
        purpose: why the secrets are needed; `CredentialRepository.reveal` says how the audit log records it.
        run_id: the Dagster run, None outside a run.

    Raises:
        CredentialRejected: the account has no active secret, or the master key is missing or is a different one. A person has to act;
            the stored secret is unchanged.
        Transient: the service that holds the master key does not answer now, or the account was changed since it was read: its secret
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
    """Return the arguments for the probe of a stored account: the account with its secrets, and its context.

    Raises:
        CredentialRejected, Transient: as `with_secrets`.
    """
    return with_secrets(metadata, providers[account.provider], account, "probe"), stored_context(metadata, account)


def stored_context(metadata: Metadata, account: Account) -> ProviderContext:
    """Return the context of a stored account; its snapshots are kept in PostgreSQL."""
    return ProviderContext(utc_now, SnapshotRepository(metadata, account.account_id, Snapshot))


@contextmanager
def for_call(
    context: ProviderContext, provider: Provider, account: Account, kind: Literal["probe", "collect"]
) -> Iterator[ProviderContext]:
    """Give `context` for one call of `provider` that begins now: within its deadline, and with requests only where they may go.

    In the block, messages show values of answers only where no address of the account is a stranger's. A stream is read in it too.

    Args:
        context: gives clock, snapshots and meter.
        provider: the provider of the account.
        account: the account with its secrets, which may contain addresses.
        kind: which deadline counts.
    """
    network = network_policy_of(account, provider.own_hosts, takes_secret=bool(provider.secret_fields()))
    made = replace(
        context,
        network=network,
        deadline=Deadline.after(
            _limits()[kind], f"OPTIINFRA_{kind.upper()}_SECONDS", patience=EXPLANATION_SECONDS[kind]
        ),
    )
    with answers_shown(network.is_quoted):
        yield made


@cache
def _limits() -> Mapping[str, float]:
    """Read the settings once: that takes a millisecond, and a tick calls thousands of providers. The memory for reading is set along."""
    settings = Settings()
    set_most_bytes(settings.read_memory)
    return {"probe": settings.probe_seconds, "collect": settings.collect_seconds}
