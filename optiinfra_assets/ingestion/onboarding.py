"""Connect, test, change and delete billing accounts, for the command line and the API.

Data in: fields of a provider's credential model, as a person gave them. Data out: an account, its secrets and the contents of its source,
stored in one transaction; its collection is then due. Changes to a stored account take the same path.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from optiinfra_assets.database.errors import AlreadyExists
from optiinfra_assets.domain.accounts import Account, BillingPeriod, check_slug
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    ProviderError,
    SourceRefused,
    Throttled,
    Transient,
)
from optiinfra_assets.domain.run_scope import is_open
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.ingestion.account_access import for_call
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import transient_context
from optiinfra_assets.providers.http.endpoint_policy import endpoint_fields, settings_by_operator
from optiinfra_assets.providers.http.redaction import account_redactor
from optiinfra_assets.vault.credential_audit import Actor

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata

LOG = logging.getLogger("optiinfra.connecting")


@dataclass(frozen=True, slots=True)
class SourceContents:
    """What a source holds.

    Attributes:
        names: names of billing accounts.
        tokens: the change token of each billing period.
        at: UTC instant of reading.
        tried: what was tried beyond reading, and how it ended; '' for nothing.
        warnings: what was skipped, lacks or would be refused.
    """

    names: list[str]
    tokens: Mapping[BillingPeriod, str]
    at: datetime
    tried: str = ""
    warnings: SourceWarnings = field(default_factory=SourceWarnings)


_REFUSALS: Final[tuple[tuple[type[ProviderError], str, str], ...]] = (
    (Throttled, "THROTTLED", "Try again after retryAt."),
    (Transient, "PROVIDER_UNAVAILABLE", "Try again in a minute, or store it without a test."),
    (
        CredentialRejected,
        "CREDENTIAL_REJECTED",
        "Check the secret, and give it the permission that the message names.",
    ),
    (
        ContractChanged,
        "CONTRACT_CHANGED",
        "Check the address; if it is right, report what the provider said.",
    ),
    (NothingThere, "NOTHING_THERE", "Check where the account points; what is empty cannot be connected."),
    (BadData, "BAD_DATA", "Correct what the message names, at the source."),
    (ProviderError, "PROVIDER_FAILED", "Correct what the message names."),
)


def build_account(
    provider: Provider,
    customer: str,
    name: str,
    values: Mapping[str, Any],
    *,
    is_simulated: bool = False,
    is_operator: bool = True,
) -> Account:
    """Build the account, with its secrets, that the fields of a credential model describe.

    `is_operator`: the operator of the platform gave the values, so they may lead into its own network.

    Raises:
        ValueError: the customer, the name or a field is not accepted (for a field it is pydantic's ValidationError).
    """
    credential = provider.credential_model.model_validate(values)
    given = {key: getattr(credential, key) for key in type(credential).model_fields}
    fields = {key: value for key, value in given.items() if value is not None}
    secret = fields.keys() & provider.secret_fields()
    return Account(
        account_id=check_slug("name", f"{check_slug('customer', customer)}.{name}"),
        customer_id=customer,
        provider=provider.name,
        settings={key: value for key, value in fields.items() if key not in secret},
        secrets={key: fields[key].get_secret_value() for key in secret},
        is_simulated=is_simulated,
        settings_by_operator=is_operator,
        secrets_by_operator=is_operator,
    )


def read_source(provider: Provider, account: Account) -> SourceContents:
    """Read what the source of `account` holds now.

    Raises:
        ProviderError: it cannot be read; the message says why.
    """
    with for_call(transient_context(), provider, account, "probe") as context:
        at = context.clock()
        names = provider.discover(account, context)
        found = provider.probe(account, {}, context)
        rehearsal = provider.rehearse(account, context)
    warnings = SourceWarnings([*found.warnings, *rehearsal.warnings])
    return SourceContents(names, found.tokens, at, rehearsal.tried, warnings)


def _provider_of(account: Account) -> Provider:
    if account.provider not in PROVIDERS:
        raise SourceRefused(
            f"provider: {account.provider!r} is not known to this version",
            "PROVIDER_UNKNOWN",
            "Delete the account, or run a version that has the provider.",
        )
    return PROVIDERS[account.provider]


def test_source(account: Account) -> SourceContents:
    """Like `read_source`, for callers over the network: every error becomes one without secrets.

    Raises:
        SourceRefused: it cannot be read; the error has a code, a reason and a remedy.
    """
    provider = _provider_of(account)
    hide = account_redactor(account)
    try:
        return read_source(provider, account)
    except ProviderError as error:
        code, remedy = next((code, remedy) for kind, code, remedy in _REFUSALS if isinstance(error, kind))
        until = error.until if isinstance(error, Throttled) else None
        raise SourceRefused(hide(str(error)), code, remedy, until) from None
    except Exception as error:  # noqa: BLE001 - an unexpected error may quote a secret
        LOG.error("account %s: unexpected error: %s", account.account_id, hide(traceback.format_exc()))
        raise SourceRefused(
            f"{provider.title}: unexpected {type(error).__name__}",
            "PROVIDER_FAILED",
            "Look into the log of this service, and report it.",
        ) from None


def save_account(
    metadata: Metadata,
    provider: Provider,
    account: Account,
    found: SourceContents | None,
    actor: Actor | None = None,
    *,
    only_new: bool = False,
) -> None:
    """Store the account, its secrets, its customer if new, and what was found, in one transaction; its collection is then due.

    Without `actor` the audit log names this process, and leaves out accounts without secret fields.

    Raises:
        AlreadyExists: the account exists with other settings; with `only_new`, also if it is active with the same settings.
        VaultError: there is no usable master key.
    """
    by = actor or Actor.here("connect")
    with metadata.transaction():
        metadata.customers.add(account.customer_id)  # this also locks the customer until the transaction ends
        if only_new and metadata.accounts.find(account_id=account.account_id):
            raise AlreadyExists(f"account: {account.account_id!r} exists: use another name")
        metadata.accounts.add(replace(account, secrets={}))
        if provider.secret_fields():
            # Even without a given secret: an account whose credential was deleted must not be read with the credential of this machine.
            metadata.credentials.put(account, account.secrets, by)
        elif actor is not None:
            metadata.credentials.note(by, "create", account)
        _record(metadata, account, found)


def _record(metadata: Metadata, account: Account, found: SourceContents | None) -> None:
    """Store what was found, without the billing periods that no tick collects: they would stay due forever. Failed ones are tried again."""
    if found:
        tokens = {period: token for period, token in found.tokens.items() if is_open(period, found.at)}
        metadata.slices.record_probe(account.account_id, tokens, found.at)
    metadata.failures.retry_now(account.account_id)


def with_stored_secrets(metadata: Metadata, account: Account, actor: Actor) -> Account:
    """Return a stored account with its secrets, for a test; the audit log records it.

    Raises:
        RecordNotFound, VaultError: as `CredentialRepository.reveal`.
        SourceRefused: this version does not know its provider.
    """
    if not _provider_of(account).secret_fields():
        return account
    return replace(account, secrets=metadata.credentials.reveal(account.account_id, actor, "test"))


def with_changes(account: Account, values: Mapping[str, Any], *, is_operator: bool) -> Account:
    """Return `account`, secrets included, with new values for some fields; None resets a field to its default.

    `is_operator`: the operator of the platform gave these values; the account says who gave the others.

    Raises:
        ValidationError: the provider's credential model does not accept the resulting fields.
    """
    fields = {**account.settings, **account.secrets, **values}
    name = account.account_id.removeprefix(f"{account.customer_id}.")
    provider = PROVIDERS[account.provider]
    wanted = build_account(
        provider,
        account.customer_id,
        name,
        {key: value for key, value in fields.items() if value is not None},
        is_simulated=account.is_simulated,
    )
    secrets = provider.secret_fields() & values.keys()
    settings = {key: value for key, value in values.items() if key not in secrets}
    return replace(
        wanted,
        settings_by_operator=settings_by_operator(account, wanted, settings, is_operator=is_operator),
        secrets_by_operator=is_operator if secrets else account.secrets_by_operator,
    )


def field_requiring_secrets(account: Account, wanted: Account) -> str | None:
    """Return a field that makes `wanted` send the secrets to another endpoint, so that a caller must give them again; None if none does."""
    provider = PROVIDERS[account.provider]
    moved = {
        name
        for name in endpoint_fields(provider.credential_model)
        if account.settings.get(name) != wanted.settings.get(name)
    }
    return min(moved, default=None) if provider.secret_fields() else None


def save_settings(
    metadata: Metadata, account: Account, found: SourceContents | None, actor: Actor, *, with_secrets: bool
) -> None:
    """Replace the stored settings of an account, and its secrets if `with_secrets`, and store what was found with them.

    Raises:
        RecordNotFound: the account was deleted meanwhile.
        VaultError: there is no usable master key for its secrets.
    """
    with metadata.transaction():
        names = metadata.accounts.change_settings(account.account_id, account.settings)
        metadata.accounts.record_origin(account)
        metadata.credentials.note(actor, "update", account, f"settings: {', '.join(names) or 'none'}")
        if with_secrets:
            metadata.credentials.rotate_secret(account.account_id, account.secrets, actor)
        _record(metadata, account, found)


def save_secrets(metadata: Metadata, account: Account, found: SourceContents | None, actor: Actor) -> None:
    """Replace the stored secrets of an account, and store what was found with them.

    Raises:
        RecordNotFound: the account was deleted meanwhile.
        VaultError: there is no usable master key.
    """
    with metadata.transaction():
        metadata.accounts.record_origin(account)
        metadata.credentials.rotate_secret(account.account_id, account.secrets, actor)
        _record(metadata, account, found)


def delete_account(metadata: Metadata, account: Account, actor: Actor, *, has_secret: bool) -> None:
    """Stop collecting the account and never decrypt its secret again. Published data stay, and so does the encrypted secret.

    Raises:
        RecordNotFound: its secret was already deleted.
    """
    with metadata.transaction():
        metadata.accounts.disable(account.account_id)
        if has_secret:
            metadata.credentials.delete(account.account_id, actor)
        else:
            metadata.credentials.note(actor, "delete", account)
