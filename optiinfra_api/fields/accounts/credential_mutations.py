"""The mutations of administrators on credentials. Each answers the credential as it is now, or why nothing was done."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.access.credential_service import InvalidCredentialValue, StoredCredential, credential_service
from optiinfra_api.fields.accounts.credential_inputs import (
    CredentialInput,
    SecretsInput,
    SettingsInput,
    credential_values,
)
from optiinfra_api.fields.accounts.credentials import Credential, CredentialTested
from optiinfra_api.fields.arguments import AccountId, CustomerId
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.domain.errors import SourceRefused
from optiinfra_assets.vault.credentials import CredentialChanged
from optiinfra_assets.vault.master_keys import (
    CiphertextTampered,
    MasterKeyMissing,
    MasterKeyUnavailable,
    MasterKeyWrong,
    VaultError,
)


@strawberry.type(description="This customer has no such account, or it is not in the state that this needs.")
class CredentialNotFound(Refusal):
    pass


@strawberry.type(description="The account is there already, or was with other settings.")
class CredentialExists(Refusal):
    pass


@strawberry.type(description="A value is not accepted; nothing was asked or stored.")
class CredentialNotAccepted(Refusal):
    field: str | None = strawberry.field(description="Where it stands in the input. Null: it is not in there.")


@strawberry.type(description="The provider was asked and refused, or did not answer; nothing was stored.")
class ProviderRefused(Refusal):
    retry_at: datetime | None = strawberry.field(
        description="Asking again before is of no use. Null: the provider named no time."
    )


@strawberry.type(description="The secret cannot be encrypted or decrypted now. What is stored is as it was.")
class VaultRefused(Refusal):
    pass


CredentialResult = Annotated[
    Credential | CredentialNotFound | CredentialExists | CredentialNotAccepted | ProviderRefused | VaultRefused,
    strawberry.union("CredentialResult", description="The credential as it is now, or why nothing was done."),
]
TestResult = Annotated[
    CredentialTested | CredentialNotFound | ProviderRefused | VaultRefused,
    strawberry.union("TestCredentialResult", description="What the source has, or why it cannot be read."),
]
Name = Annotated[
    str,
    strawberry.argument(
        description="Name of the account within the customer: lower-case letters, digits, '-' and '_'. Its id is `<customer>.<name>`."
    ),
]
Sent = Annotated[CredentialInput, strawberry.argument(description="What reaches the billing account.")]
SentSettings = Annotated[SettingsInput, strawberry.argument(description="The settings that change.")]
SentSecrets = Annotated[SecretsInput, strawberry.argument(description="The new secret.")]
SecretsToo = Annotated[
    SecretsInput | None,
    strawberry.argument(
        description="The secret, new or the same; needed where an address changes, to which a stored secret is not sent. Default: as it is."
    ),
]
Test = Annotated[
    bool,
    strawberry.argument(description="Ask the provider first, and store nothing if it refuses. Default: true."),
]

_KEY_CODES: tuple[tuple[type[VaultError], str, str], ...] = (
    (MasterKeyMissing, "MASTER_KEY_MISSING", "Ask whoever runs this platform to put its master key back."),
    (
        MasterKeyWrong,
        "MASTER_KEY_WRONG",
        "Ask whoever runs this platform to add the master key that the message names.",
    ),
    (MasterKeyUnavailable, "MASTER_KEY_UNAVAILABLE", "Try again in a minute."),
    (
        CiphertextTampered,
        "TAMPERED",
        "Send the secret again with rotateCredential, and find out who changed the database.",
    ),
    (
        CredentialChanged,
        "VAULT_BUSY",
        "Read it again with `credential`, and repeat what is still wanted.",
    ),
    (VaultError, "VAULT_BUSY", "Try again in a minute."),
)


def _refusal(error: Exception) -> Any:
    """The answer for an expected `error`; raises any other error again."""
    if isinstance(error, RecordNotFound):
        return CredentialNotFound(
            code="NOT_FOUND", message=str(error), remedy="Name an account that `credentials` shows."
        )
    if isinstance(error, AlreadyExists):
        return CredentialExists(
            code="ALREADY_EXISTS",
            message=str(error),
            remedy="Use another name; change an account with updateCredential or rotateCredential; "
            "restore a deleted one by adding it with the same settings.",
        )
    if isinstance(error, InvalidCredentialValue):
        remedy = "Send what the message says is accepted."
        return CredentialNotAccepted(code="NOT_ACCEPTED", message=str(error), remedy=remedy, field=error.field)
    if isinstance(error, SourceRefused):
        return ProviderRefused(code=error.code, message=str(error), remedy=error.remedy, retry_at=error.until)
    if isinstance(error, VaultError):
        code, remedy = next((code, remedy) for kind, code, remedy in _KEY_CODES if isinstance(error, kind))
        return VaultRefused(code=code, message=str(error), remedy=remedy)
    raise error


async def _done(act: Awaitable[StoredCredential]) -> Any:
    try:
        return Credential.of(await act)
    except Exception as error:  # noqa: BLE001 - unexpected errors are raised again
        return _refusal(error)


@strawberry.type
class CredentialsMutation:
    @resolved(
        "Connect a billing account, or one again that was deleted; for administrators. Its collection is then due."
    )
    async def add_credential(
        self, info: Info, name: Name, credential: Sent, customer_id: CustomerId = None, test: Test = True
    ) -> CredentialResult | None:
        custody = await credential_service(info.context, customer_id)
        return await _done(custody.add(name, credential_values(credential), test=test))  # type: ignore[no-any-return]

    @resolved("Change settings that are not secret; for administrators.")
    async def update_credential(
        self,
        info: Info,
        account_id: AccountId,
        settings: SentSettings,
        secrets: SecretsToo = None,
        customer_id: CustomerId = None,
        test: Test = True,
    ) -> CredentialResult | None:
        custody = await credential_service(info.context, customer_id)
        new = None if secrets is None else credential_values(secrets)
        return await _done(custody.update(account_id, credential_values(settings), new, test=test))  # type: ignore[no-any-return]

    @resolved("Replace the secret; for administrators. Collections under way keep the one they have.")
    async def rotate_credential(
        self,
        info: Info,
        account_id: AccountId,
        secrets: SentSecrets,
        customer_id: CustomerId = None,
        test: Test = True,
    ) -> CredentialResult | None:
        custody = await credential_service(info.context, customer_id)
        return await _done(custody.rotate(account_id, credential_values(secrets), test=test))  # type: ignore[no-any-return]

    @resolved(
        "Collect the account no more; for administrators. Its data stay, and so does its encrypted secret until it is purged."
    )
    async def delete_credential(
        self, info: Info, account_id: AccountId, customer_id: CustomerId = None
    ) -> CredentialResult | None:
        custody = await credential_service(info.context, customer_id)
        return await _done(custody.delete(account_id))  # type: ignore[no-any-return]

    @resolved("Erase the secret of a deleted account for good; for administrators.")
    async def purge_credential(
        self, info: Info, account_id: AccountId, customer_id: CustomerId = None
    ) -> CredentialResult | None:
        custody = await credential_service(info.context, customer_id)
        return await _done(custody.purge(account_id))  # type: ignore[no-any-return]

    @resolved(
        "Ask the provider now with what is stored; for administrators. It is on record, since the secret is opened for it."
    )
    async def test_credential(
        self, info: Info, account_id: AccountId, customer_id: CustomerId = None
    ) -> TestResult | None:
        custody = await credential_service(info.context, customer_id)
        try:
            tested = await custody.test(account_id)
        except Exception as error:  # noqa: BLE001 - unexpected errors are raised again
            return _refusal(error)  # type: ignore[no-any-return]
        return CredentialTested.of(tested)
