"""Reads and changes the credentials of one customer.

Only this module and `fields.accounts.credential_inputs` use the providers: the input types come from the providers' credential models,
and credentials are tested at the provider before they are stored.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from pydantic import ValidationError
from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import SourceRefused
from optiinfra_assets.ingestion import onboarding
from optiinfra_assets.ingestion.onboarding import SourceContents
from optiinfra_assets.metadata.accounts import ConnectedAccount
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.http.endpoint_policy import (
    AllowedLocations,
    LocationNotAllowed,
    endpoint_fields,
    parse_locations,
)
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.network_policy import NOT_LENT
from optiinfra_assets.vault.credential_audit import Actor, CredentialAuditRecord

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
"""Names have no dots, so that two customers cannot have the same account id."""

PATIENCE_SECONDS: Final = 60
"""How long a caller waits for a provider; the provider's retries may take longer, but the caller does not wait for them."""


class InvalidCredentialValue(Exception):
    """A value that was sent is not accepted.

    Attributes:
        field: path of the value in the input, None if it is not in the input.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class CredentialValues:
    """Fields of one provider's credential model, as the caller sent them; None is as if the field were left out."""

    provider: str
    values: Mapping[str, Any]

    @property
    def sent(self) -> dict[str, Any]:
        """The values that are not None."""
        return {name: value for name, value in self.values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """An account as it is stored now, and what its source held when it was tested for that; None: it was not tested."""

    connection: ConnectedAccount
    found: SourceContents | None = None


@dataclass(frozen=True, slots=True)
class CredentialService:
    """What one actor may do with the accounts and credentials of one customer. Only the function `credential_service` makes it.

    Attributes:
        is_everywhere: the actor may point settings at any location that this machine reaches.
    """

    customer_id: str
    actor: Actor
    is_everywhere: bool
    _services: Services

    async def connections(
        self, *, first: int, after: str | None = None, include_deleted: bool = False
    ) -> list[ConnectedAccount]:
        """See `AccountRepository.connections`."""
        return await self._read(
            self._services.metadata.accounts.connections,
            self.customer_id,
            first=first,
            after=after,
            include_deleted=include_deleted,
        )

    async def connection(self, account_id: str) -> ConnectedAccount:
        """See `AccountRepository.connection`.

        Raises:
            RecordNotFound: this customer has no such account.
        """
        return await self._read(self._services.metadata.accounts.connection, self.customer_id, account_id)

    async def audit(
        self, *, first: int, before: int | None = None, account_id: str | None = None
    ) -> list[CredentialAuditRecord]:
        """See `CredentialAuditRepository.audit`."""
        return await self._read(
            self._services.metadata.credentials.audit,
            first=first,
            before=before,
            customer_id=self.customer_id,
            account_id=account_id,
        )

    async def add(self, name: str, given: CredentialValues, *, test: bool) -> StoredCredential:
        """Connect an account, or reconnect a deleted one. With `test`, the provider is asked first.

        Raises:
            InvalidCredentialValue: a value, or the location it names, is not accepted; no provider is asked and nothing is stored.
            SourceRefused: the source cannot be read with these credentials; nothing is stored.
            AlreadyExists: the account exists, or existed with other settings.
            VaultError: there is no usable master key; nothing is stored.
        """
        if not _NAME.fullmatch(name):
            raise InvalidCredentialValue(
                f"{name!r} is not accepted: use 1 to 60 lower-case letters, digits, '-' and '_', starting with a letter or digit",
                "name",
            )
        provider = PROVIDERS[given.provider]
        given = await self._resolved(given)
        await self._check_reach(given)
        build = partial(onboarding.build_account, is_operator=self.is_everywhere)
        account = _accepted(given, lambda: build(provider, self.customer_id, name, given.sent))
        self._check_rights(account)
        found = await self._look(account) if test else None
        await self._keep(
            onboarding.save_account,
            self._services.metadata,
            provider,
            account,
            found,
            self.actor,
            only_new=True,
        )
        return await self._stored(account.account_id, found)

    async def update(
        self, account_id: str, given: CredentialValues, secrets: CredentialValues | None, *, test: bool
    ) -> StoredCredential:
        """Change the settings of an account, and with `secrets` its secrets too.

        A stored secret is only sent to the address that it was stored for: otherwise a caller could change the address and read it there.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            InvalidCredentialValue, SourceRefused, VaultError: as in `add`; VaultError also if the stored secret cannot be opened.
            CredentialChanged: another request changed the account meanwhile; nothing is stored.
        """
        before = await self._active(account_id, given, secrets)
        account = before.account
        known = account if secrets else await self._revealed(before)
        settings = await self._resolved(given)
        values = {**settings.values, **(secrets.values if secrets else {})}
        sent = CredentialValues(given.provider, values)
        wanted = _accepted(sent, lambda: self._changed(known, values), known.secrets.values())
        await self._check_reach(CredentialValues(given.provider, wanted.settings))
        self._check_rights(wanted)
        moved = None if secrets else onboarding.field_requiring_secrets(account, wanted)
        if moved:
            raise InvalidCredentialValue(
                "another address is accepted together with the secret only: send secrets too",
                _place(given, moved),
            )
        found = await self._look(wanted) if test else None
        await self._replace(
            before,
            onboarding.save_settings,
            self._services.metadata,
            wanted,
            found,
            self.actor,
            with_secrets=secrets is not None,
        )
        return await self._stored(account_id, found)

    async def rotate(self, account_id: str, given: CredentialValues, *, test: bool) -> StoredCredential:
        """Replace the secret of an account.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            InvalidCredentialValue, SourceRefused, VaultError: as in `add`.
            CredentialChanged: the account changed meanwhile, so the secret may be for another address; nothing is stored.
        """
        before = await self._active(account_id, given)
        wanted = _accepted(given, lambda: self._changed(before.account, given.values))
        self._check_rights(wanted)
        found = await self._look(wanted) if test else None
        await self._replace(before, onboarding.save_secrets, self._services.metadata, wanted, found, self.actor)
        return await self._stored(account_id, found)

    async def test(self, account_id: str) -> StoredCredential:
        """Read what the source of an account contains now, with the stored settings and secret.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            SourceRefused: the source cannot be read.
            VaultError: the secret cannot be opened.
            CredentialChanged: the account changed while it was read; the provider is not asked.
        """
        before = await self._active(account_id)
        return StoredCredential(before, await self._look(await self._revealed(before)))

    async def delete(self, account_id: str) -> StoredCredential:
        """Stop collecting an account; see `onboarding.delete_account`.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
        """
        found = await self._active(account_id)
        await self._services.run(
            onboarding.delete_account,
            self._services.metadata,
            found.account,
            self.actor,
            has_secret=found.version is not None,
        )
        return await self._stored(account_id)

    async def purge(self, account_id: str) -> StoredCredential:
        """Erase the secret of a deleted account permanently.

        Raises:
            RecordNotFound: this customer has no such account, or there is no deleted secret.
        """
        await self.connection(account_id)
        await self._services.run(self._services.metadata.credentials.purge, account_id, self.actor)
        return await self._stored(account_id)

    async def _stored(self, account_id: str, found: SourceContents | None = None) -> StoredCredential:
        return StoredCredential(await self.connection(account_id), found)

    async def _read(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what `work` reads from PostgreSQL, which shows it only this customer's rows."""
        return await self._services.run_for(self.customer_id, work, *args, **kwargs)

    async def _keep(self, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Run `work`, which stores a secret; storing the first secret ever makes the master key file, which is then logged."""
        credentials = self._services.metadata.credentials
        before = credentials.made_key_file
        await self._services.run(work, *args, **kwargs)
        if (made := credentials.made_key_file) != before:
            LOG.warning("made master key %s: back it up; without it no stored secret can be opened", made)

    async def _replace(
        self, before: ConnectedAccount, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """As `_keep`, but raise CredentialChanged if the account has changed since it was read in `before`, maybe a minute ago.

        The values were checked against `before`; they may be wrong for what others have stored since, such as another address.
        """
        metadata = self._services.metadata

        def replace_() -> None:
            with metadata.transaction():
                metadata.credentials.hold(before.account, before.version)
                work(*args, **kwargs)

        await self._keep(replace_)

    async def _active(self, account_id: str, *given: CredentialValues | None) -> ConnectedAccount:
        found = await self.connection(account_id)
        if not found.is_active:
            raise RecordNotFound(f"account: {account_id!r} was deleted")
        for one in given:
            if one and one.provider != found.account.provider:
                raise InvalidCredentialValue(
                    f"the account is of {found.account.provider}: send {to_camel_case(found.account.provider)}",
                    to_camel_case(one.provider),
                )
        return found

    async def _revealed(self, read: ConnectedAccount) -> Account:
        """Return the account that was read with its secrets."""
        metadata = self._services.metadata
        account = await self._services.run(onboarding.with_stored_secrets, metadata, read.account, self.actor)
        # Two statements read settings and secret: in between, a secret for another address may have been stored.
        await self._services.run(metadata.credentials.hold, read.account, read.version)
        return account

    @property
    def _reach(self) -> AllowedLocations:
        return AllowedLocations(self.is_everywhere, parse_locations(self._services.settings.api_folders))

    async def _resolved(self, given: CredentialValues) -> CredentialValues:
        """Return the values as `AllowedLocations.resolved` does."""
        resolve = partial(self._reach.resolved, PROVIDERS[given.provider].credential_model, given.values)
        return replace(given, values=await self._services.asking.run(self.customer_id, resolve))

    async def _check_reach(self, given: CredentialValues) -> None:
        model = PROVIDERS[given.provider].credential_model
        try:
            await self._services.asking.run(self.customer_id, partial(self._reach.check, model, given.values))
        except LocationNotAllowed as error:
            raise InvalidCredentialValue(str(error), _place(given, error.field)) from None

    def _check_rights(self, account: Account) -> None:
        """Refuse an account that would be read with the rights of this machine, but for places that the operator allows.

        Such is one without a whole secret at a provider that takes one, and one with an address of its own at a provider that takes none.
        """
        provider = PROVIDERS[account.provider]
        takes, given = provider.secret_fields(), account.secrets.values()
        if self.is_everywhere:
            return
        if takes and not (given and all(map(str.strip, given))):
            raise InvalidCredentialValue(
                f"a secret is needed ({', '.join(sorted(map(to_camel_case, takes)))}): {NOT_LENT}",
                to_camel_case(account.provider),
            )
        places = () if takes else sorted(endpoint_fields(provider.credential_model) & account.settings.keys())
        if places:
            raise InvalidCredentialValue(
                f"is not accepted over the API, as requests there would be signed by this platform: {NOT_LENT}: leave it out",
                ".".join(map(to_camel_case, (account.provider, places[0]))),
            )

    def _changed(self, account: Account, values: Mapping[str, Any]) -> Account:
        return onboarding.with_changes(account, values, is_operator=self.is_everywhere)

    async def _look(self, account: Account) -> SourceContents:
        asking = self._services.asking.run(self.customer_id, partial(onboarding.test_source, account))
        try:
            return await asyncio.wait_for(asking, PATIENCE_SECONDS)
        except TimeoutError:
            raise SourceRefused(
                f"no answer within {PATIENCE_SECONDS} s",
                "PROVIDER_UNAVAILABLE",
                "Try again in a minute, or store it without a test.",
            ) from None


async def credential_service(context: RequestContext, customer_id: str | None) -> CredentialService:
    """Return the service for the credentials of a customer that `RequestContext.data_of` accepts; for administrators.

    Raises:
        Forbidden, NotFound, InvalidArgument: as in `RequestContext.require` and `RequestContext.data_of`.
    """
    context.require("admin")
    data = await context.data_of(customer_id)
    actor = Actor(context.principal.token_id, context.address)
    return CredentialService(data.customer_id, actor, context.principal.customer_id is None, context.services)


def _accepted(given: CredentialValues, make: Callable[[], Account], secrets: Iterable[Any] = ()) -> Account:
    """The account that `make` makes; errors become InvalidCredentialValue or RuntimeError, and quote neither `secrets` nor sent ones."""
    names = PROVIDERS[given.provider].secret_fields() & given.values.keys()
    hide = redactor(str(one) for one in (*secrets, *(given.values[name] for name in names)))
    try:
        return make()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        said = " ".join(first["msg"].removeprefix("Value error, ").split())
        raise InvalidCredentialValue(hide(said), _place(given, field)) from None
    except ValueError as error:
        raise InvalidCredentialValue(hide(str(error))) from None
    except Exception:  # noqa: BLE001 - an unforeseen error may quote a secret
        raise RuntimeError(hide(traceback.format_exc())) from None


def _place(given: CredentialValues, field: str) -> str:
    return ".".join(to_camel_case(part) for part in (given.provider, field) if part)
