"""The credentials of one customer: what may be asked of them and done with them. Made by `credential_service` only.

With `provider_inputs` it is what of the API reaches beyond the store: the types of what is sent come from the providers' own models, and
what is sent is tried at the provider before it is kept.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
    parse_locations,
)
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.vault.credential_audit import Actor, CredentialAuditRecord

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
"""Without dots, so that no two customers can mean the same account id."""

PATIENCE_SECONDS: Final = 60
"""How long a caller waits for a provider; its own retries may take longer, but nobody waits for them here."""


class InvalidCredentialValue(Exception):
    """A value that was sent is not accepted.

    Attributes:
        field: where it stands in the input, None if it is not in there.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class CredentialValues:
    """Fields of one provider's credential model, as they were sent; None: as if left out."""

    provider: str
    values: Mapping[str, Any]

    @property
    def sent(self) -> dict[str, Any]:
        """The values but for None."""
        return {name: value for name, value in self.values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CredentialService:
    """What one actor may do with the accounts and credentials of one customer.

    Attributes:
        is_everywhere: the actor may point settings at anything this machine reaches.
    """

    customer_id: str
    actor: Actor
    is_everywhere: bool
    _services: Services

    async def connections(
        self, *, first: int, after: str | None = None, include_deleted: bool = False
    ) -> list[ConnectedAccount]:
        """See `Metadata.accounts.connections`."""
        return await self._read(
            self._services.metadata.accounts.connections,
            self.customer_id,
            first=first,
            after=after,
            include_deleted=include_deleted,
        )

    async def connection(self, account_id: str) -> ConnectedAccount:
        """See `Metadata.accounts.connection`.

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

    async def add(self, name: str, given: CredentialValues, *, test: bool) -> ConnectedAccount:
        """Connect an account, or one again that was deleted.

        Raises:
            InvalidCredentialValue: a value, or where it points; nothing is asked or stored.
            SourceRefused: it cannot be read with what was given; nothing is stored.
            AlreadyExists: the account is there, or was there with other settings.
            VaultError: there is no usable master key; nothing is stored.
        """
        if not _NAME.fullmatch(name):
            raise InvalidCredentialValue(
                f"{name!r} is not accepted: use 1 to 60 lower-case letters, digits, '-' and '_', starting with a letter or digit",
                "name",
            )
        provider = PROVIDERS[given.provider]
        await self._check_reach(given)
        account = _accepted(given, lambda: onboarding.build_account(provider, self.customer_id, name, given.sent))
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
        return await self.connection(account.account_id)

    async def update(
        self, account_id: str, given: CredentialValues, secrets: CredentialValues | None, *, test: bool
    ) -> ConnectedAccount:
        """Give an account other settings; with `secrets`, other secrets too.

        A stored secret is not sent to another address than it was stored for: else whoever changes the address could read it there.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            InvalidCredentialValue, SourceRefused, VaultError: as `add`; also where its secret cannot be opened.
            CredentialChanged: it was changed meanwhile; nothing is stored.
        """
        before = await self._active(account_id, given, secrets)
        account = before.account
        known = account if secrets else await self._revealed(before)
        values = {**given.values, **(secrets.values if secrets else {})}
        sent = CredentialValues(given.provider, values)
        wanted = _accepted(sent, lambda: onboarding.with_changes(known, values), known.secrets.values())
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
        return await self.connection(account_id)

    async def rotate(self, account_id: str, given: CredentialValues, *, test: bool) -> ConnectedAccount:
        """Give an account another secret.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            InvalidCredentialValue, SourceRefused, VaultError: as `add`.
            CredentialChanged: it was changed meanwhile, so that the secret may be for another address; nothing is stored.
        """
        before = await self._active(account_id, given)
        wanted = _accepted(given, lambda: onboarding.with_changes(before.account, given.values))
        self._check_rights(wanted)
        found = await self._look(wanted) if test else None
        await self._replace(before, onboarding.save_secrets, self._services.metadata, wanted, found, self.actor)
        return await self.connection(account_id)

    async def test(self, account_id: str) -> SourceContents:
        """Read what the source of an account holds now, with what is stored.

        Raises:
            RecordNotFound: this customer has no such account, or it was deleted.
            SourceRefused: it cannot be read.
            VaultError: its secret cannot be opened.
            CredentialChanged: it was changed in this moment; nothing is asked.
        """
        return await self._look(await self._revealed(await self._active(account_id)))

    async def delete(self, account_id: str) -> ConnectedAccount:
        """Collect an account no more; see `connecting.delete`.

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
        return await self.connection(account_id)

    async def purge(self, account_id: str) -> ConnectedAccount:
        """Erase the secret of a deleted account for good.

        Raises:
            RecordNotFound: this customer has no such account, or there is no deleted secret.
        """
        await self.connection(account_id)
        await self._services.run(self._services.metadata.credentials.purge, account_id, self.actor)
        return await self.connection(account_id)

    async def _read(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `work` reads of this customer."""
        return await self._services.run_for(self.customer_id, work, *args, **kwargs)

    async def _keep(self, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Do `work`, which stores a secret; the first one ever makes the master key file."""
        credentials = self._services.metadata.credentials
        before = credentials.made_key_file
        await self._services.run(work, *args, **kwargs)
        if (made := credentials.made_key_file) != before:
            LOG.warning("made master key %s: back it up; without it no stored secret can be opened", made)

    async def _replace(
        self, before: ConnectedAccount, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """`_keep`, unless the account is not any more as it was read in `before`, which may have been a minute ago.

        What was found acceptable then need not be so with what others have stored since, such as another address.
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
        """The account that was read, with its secrets."""
        metadata = self._services.metadata
        account = await self._services.run(onboarding.with_stored_secrets, metadata, read.account, self.actor)
        # Settings and secret come from two statements: in between another secret may have been stored, for another address.
        await self._services.run(metadata.credentials.hold, read.account, read.version)
        return account

    async def _check_reach(self, given: CredentialValues) -> None:
        reach = AllowedLocations(self.is_everywhere, parse_locations(self._services.settings.api_folders))
        model = PROVIDERS[given.provider].credential_model
        try:
            await self._services.run(reach.check, model, given.values)
        except LocationNotAllowed as error:
            raise InvalidCredentialValue(str(error), _place(given, error.field)) from None

    def _check_rights(self, account: Account) -> None:
        """Refuse an account that would be read with the rights of this machine, for want of a secret, at a provider that takes one."""
        takes_one = PROVIDERS[account.provider].secret_fields()
        if takes_one and not self.is_everywhere and not any(map(str.strip, account.secrets.values())):
            raise InvalidCredentialValue(
                f"a secret is needed ({', '.join(sorted(map(to_camel_case, takes_one)))}): the rights of this machine are not lent",
                to_camel_case(account.provider),
            )

    async def _look(self, account: Account) -> SourceContents:
        # Not in the threads of `Services`, which the answers to everybody's questions come from.
        asking = asyncio.to_thread(onboarding.test_source, account)
        try:
            return await asyncio.wait_for(asking, PATIENCE_SECONDS)
        except TimeoutError:
            raise SourceRefused(
                f"no answer within {PATIENCE_SECONDS} s",
                "PROVIDER_UNAVAILABLE",
                "Try again in a minute, or store it without a test.",
            ) from None


async def credential_service(context: RequestContext, customer_id: str | None) -> CredentialService:
    """The credentials of a customer that `RequestContext.data_of` accepts, for administrators.

    Raises:
        Forbidden, NotFound, InvalidArgument: as `RequestContext.require` and `RequestContext.data_of`.
    """
    context.require("admin")
    data = await context.data_of(customer_id)
    actor = Actor(context.principal.token_id, context.address)
    return CredentialService(data.customer_id, actor, context.principal.customer_id is None, context.services)


def _accepted(given: CredentialValues, make: Callable[[], Account], secrets: Iterable[Any] = ()) -> Account:
    """The account that `make` makes; a refusal quotes neither `secrets` nor those that were sent."""
    names = PROVIDERS[given.provider].secret_fields() & given.values.keys()
    hide = redactor(str(one) for one in (*secrets, *(given.values[name] for name in names)))
    try:
        return make()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        raise InvalidCredentialValue(hide(" ".join(first["msg"].split())), _place(given, field)) from None
    except ValueError as error:
        raise InvalidCredentialValue(hide(str(error))) from None
    except Exception:  # noqa: BLE001 - nobody foresaw it, so nobody knows what it quotes
        raise RuntimeError(hide(traceback.format_exc())) from None


def _place(given: CredentialValues, field: str) -> str:
    return ".".join(to_camel_case(part) for part in (given.provider, field) if part)
