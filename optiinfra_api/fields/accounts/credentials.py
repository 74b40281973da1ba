"""Credentials and their audit log: what administrators see of connected accounts, which is never a secret."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import orjson
import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.access.credential_service import StoredCredential, credential_service
from optiinfra_api.fields.accounts.credential_inputs import has_secrets, name_of
from optiinfra_api.fields.arguments import AccountId, After, ByAccount, CustomerId, First
from optiinfra_api.fields.collections.history import SourceWarning
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata.accounts import ConnectedAccount


@strawberry.enum(description="Whether an account is collected.")
class CredentialStatus(Enum):
    ACTIVE = described("active", "It is.")
    DELETED = described("deleted", "It is not; its data stay, and so does its secret, encrypted.")
    PURGED = described("purged", "It is not, and its secret was erased as well.")


@strawberry.type(description="A setting of an account that is not secret.")
class Setting:
    name: str = strawberry.field(description="As the input calls it.")
    value: str = strawberry.field(description="Its value; anything but a text or number as JSON.")


@strawberry.type(description="The source can be read with these settings and this secret.")
class CredentialTested:
    billing_accounts: list[str] = strawberry.field(description="What it reaches, as the provider calls it.")
    billing_periods: list[str] = strawberry.field(description="Months there is something for, `YYYY-MM`, oldest first.")
    tried: str = strawberry.field(
        description="What was tried beyond reading, and how it ended. Empty: values are checked when they are collected."
    )
    warnings: list[SourceWarning] = strawberry.field(
        description="What was skipped, read leniently, lacks, or would be refused when it is collected."
    )

    @classmethod
    def of(cls, stored: StoredCredential) -> CredentialTested | None:
        """Make one from what the source held; None if it was not asked."""
        found = stored.found
        return (
            None
            if found is None
            else cls(
                billing_accounts=found.names,
                billing_periods=[str(period) for period in sorted(found.tokens)],
                tried=found.tried,
                warnings=[from_record(SourceWarning, one) for one in found.warnings],
            )
        )


@strawberry.type(
    description="A connected account: its settings, and what is known of its secret, which is never shown."
)
class Credential:
    account: str = strawberry.field(description="Account id of this platform, `<customer>.<name>`.")
    name: str = strawberry.field(description="Name of the account within its customer.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    settings: list[Setting] = strawberry.field(description="What is set, by name.")
    is_simulated: bool = strawberry.field(description="Its figures come from a simulator or from sample files.")
    status: CredentialStatus = strawberry.field(description="Whether it is collected.")
    version: int | None = strawberry.field(
        description="1, and one more for each secret stored. Null: there is no secret."
    )
    key_id: str | None = strawberry.field(
        description="The master key that its secret is encrypted under. Null: there is no secret."
    )
    created_at: datetime = strawberry.field(description="When it was connected first.")
    updated_at: datetime | None = strawberry.field(
        description="When settings or secret were last stored. Null: not since it was connected."
    )
    rotated_at: datetime | None = strawberry.field(
        description="When its secret was last replaced by `rotateCredential`. Null: never."
    )
    deleted_at: datetime | None = strawberry.field(description="Since when it is not collected. Null: it is.")
    last_probe_at: datetime | None = strawberry.field(description="When its source last answered. Null: never.")
    last_change_at: datetime | None = strawberry.field(
        description="When its source last showed something new. Null: never."
    )
    last_error: str | None = strawberry.field(
        description="Why its source did not answer the last time, or why its newest failing billing period was not collected. "
        "Null: nothing fails."
    )
    tested: CredentialTested | None = strawberry.field(
        description="What its source held when this mutation asked it. Null: it did not ask."
    )

    @classmethod
    def of(cls, stored: StoredCredential) -> Credential:
        """Make one from its record, and from what its source held if it was asked."""
        connection = stored.connection
        account = connection.account
        return from_record(
            cls,
            connection,
            account=account.account_id,
            name=account.account_id.removeprefix(f"{account.customer_id}."),
            provider=account.provider,
            settings=[
                Setting(name=name_of(name), value=_text(value)) for name, value in sorted(account.settings.items())
            ],
            is_simulated=account.is_simulated,
            status=_status(connection),
            tested=CredentialTested.of(stored),
        )


@strawberry.type(description="A page of credentials, by account id.")
class Credentials:
    nodes: list[Credential] = strawberry.field(description="The credentials of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.enum(description="What was done.")
class CredentialAction(Enum):
    CREATE = described("create", "Connected, or connected again.")
    UPDATE = described("update", "Settings changed, or its secret was stored again.")
    ROTATE = described("rotate", "The secret was replaced.")
    REVEAL = described("reveal", "The secret was opened for one use.")
    DELETE = described("delete", "Collected no more.")
    PURGE = described("purge", "The deleted secret was erased.")
    REWRAP = described("rewrap", "The data key was put under another master key.")
    RETIRE_KEY = described("retire_key", "A master key was retired.")


@strawberry.enum(description="Whether it was done.")
class CredentialOutcome(Enum):
    DONE = described("done", "It was.")
    REFUSED = described("refused", "It was not, as when a secret could not be opened.")


@strawberry.enum(description="What a secret was opened for.")
class CredentialPurpose(Enum):
    COLLECT = described("collect", "A collection, whose run is named.")
    PROBE = described("probe", "To see whether anything changed.")
    DISCOVER = described("discover", "To see what it reaches.")
    TEST = described("test", "To try it for an administrator.")
    DELIVER = described("deliver", "To deliver files to a place.")
    NOTIFY = described("notify", "To send messages by a channel of alerts.")


@strawberry.type(description="One act on a credential. The database refuses to change or remove it.")
class CredentialAuditEntry:
    id: Count = strawberry.field(description="Grows with every act.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(
        description="Who: the id of an API token, or a part of the platform, such as `collect`."
    )
    origin: str = strawberry.field(description="From where: the client's address, or a host and process.")
    action: CredentialAction = strawberry.field(description="What.")
    outcome: CredentialOutcome = strawberry.field(description="Whether it was done.")
    account: str | None = strawberry.field(description="The account concerned.")
    version: int | None = strawberry.field(description="Which secret of it. Null: it has none.")
    key_id: str | None = strawberry.field(description="The master key in use for it then.")
    purpose: CredentialPurpose | None = strawberry.field(description="What a secret was opened for.")
    run_id: str | None = strawberry.field(description="The Dagster run it was opened for.")
    detail: str | None = strawberry.field(
        description="Why it was refused; which settings changed; the master key before."
    )


@strawberry.type(description="A page of the log, newest first.")
class CredentialAuditLog:
    nodes: list[CredentialAuditEntry] = strawberry.field(description="The acts of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


IncludeDeleted = Annotated[bool, strawberry.argument(description="Also accounts that were deleted. Default: false.")]


@strawberry.type
class CredentialsQuery:
    @resolved("Connected accounts by id, in pages; for administrators.")
    async def credentials(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        include_deleted: IncludeDeleted = False,
    ) -> Credentials | None:
        check_first(first)
        custody = await credential_service(info.context, customer_id)
        asked = digest("credentials", custody.customer_id, include_deleted)
        above = None if after is None else decode(after, asked, (str,)).position[0]
        found = await custody.connections(first=first + 1, after=above, include_deleted=include_deleted)
        shown, page_info = cut(asked, found, first, lambda row: (row.account.account_id,))
        return Credentials(
            nodes=[Credential.of(StoredCredential(one)) for one in shown],
            page_info=page_info,
        )

    @resolved("One connected account; for administrators. Null: this customer has no such account.")
    async def credential(self, info: Info, account_id: AccountId, customer_id: CustomerId = None) -> Credential | None:
        custody = await credential_service(info.context, customer_id)
        try:
            return Credential.of(StoredCredential(await custody.connection(account_id)))
        except RecordNotFound:
            return None

    @resolved(
        "Who did what with credentials, each use by a collection included, newest first, in pages; for administrators."
    )
    async def credential_audit_log(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        account: ByAccount = None,
    ) -> CredentialAuditLog | None:
        check_first(first)
        custody = await credential_service(info.context, customer_id)
        asked = digest("credential audit log", custody.customer_id, account)
        below = None if after is None else decode(after, asked, (int,)).position[0]
        found = await custody.audit(first=first + 1, before=below, account_id=account)
        shown, page_info = cut(asked, found, first, lambda row: (row.id,))
        return CredentialAuditLog(
            nodes=[from_record(CredentialAuditEntry, one, account=one.account_id) for one in shown],
            page_info=page_info,
        )


def _status(connection: ConnectedAccount) -> CredentialStatus:
    if connection.is_active:
        return CredentialStatus.ACTIVE
    is_purged = connection.version is None and has_secrets(connection.account.provider)
    return CredentialStatus.PURGED if is_purged else CredentialStatus.DELETED


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
