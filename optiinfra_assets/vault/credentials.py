"""The secrets of accounts: stored encrypted in PostgreSQL, decrypted for one use at a time, with each use in the audit log.

Data in: an account and its secret fields. Data out: the same fields, for a caller that names itself and its purpose. Each account has one
credential. Only `reveal` returns a secret.
"""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from psycopg.types.json import Jsonb
from pydantic import SecretStr

from optiinfra_assets.database.errors import RecordNotFound, StoreError
from optiinfra_assets.database.postgres import Row
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.vault.credential_audit import Actor, Purpose, by
from optiinfra_assets.vault.envelope import EncryptedSecret, EncryptionContext, Secrets
from optiinfra_assets.vault.key_rotation import KeyRotation, encryption_context
from optiinfra_assets.vault.master_keys import MasterKeyWrong, VaultError

_ATTEMPTS: Final = 10
"""Attempts to store one secret. One fails only if at that moment the credential is changed or its master key is retired."""


class CredentialChanged(VaultError):
    """The settings or the secret of an account have changed since they were read."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A stored credential, without its secret. Times are UTC, None if it never happened.

    Attributes:
        version: 1, then one more for each secret stored.
        key_id: the master key that wraps its data key.
        rotated_at: when the secret was last replaced by `rotate_secret`.
        rewrapped_at: when its data key was last wrapped with another master key.
        deleted_at: when it was deleted; since then it is never revealed.
    """

    credential_id: str
    account_id: str
    customer_id: str
    provider: str
    version: int
    key_id: str
    created_at: datetime
    updated_at: datetime
    rotated_at: datetime | None
    rewrapped_at: datetime | None
    deleted_at: datetime | None


class CredentialRepository(KeyRotation):
    """The encrypted secrets of all accounts in one PostgreSQL database. Thread-safe."""

    def stored(self, customer_id: str) -> list[Credential]:
        """Return the active credentials of a customer, by account, without their secrets."""
        return [
            Credential(**row) for row in self._database.rows("credentials_stored.sql", {"customer_id": customer_id})
        ]

    def put(self, account: Account, secrets: Mapping[str, Any], actor: Actor) -> Credential:
        """Store the secret fields of an account, replacing those it has. The very first secret creates the master key file.

        `secrets` holds strings, pydantic SecretStr, or JSON values made of them.

        Raises:
            RecordNotFound: the customer has no such account at that provider.
            TypeError: a field has another type.
            MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: there is no usable master key; nothing is stored.
        """
        before = self._before_put(account.account_id)
        if (before["customer_id"], before["provider"]) != (account.customer_id, account.provider):
            raise _no_account(account.account_id)
        return self._put(account.account_id, secrets, actor, "update")

    def rotate_secret(self, account_id: str, secrets: Mapping[str, Any], actor: Actor) -> Credential:
        """Replace the active secret of an account, as `put` does.

        Raises:
            RecordNotFound: there is no such account, or it has no active credential.
            TypeError, MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: as `put`.
        """
        return self._put(account_id, secrets, actor, "rotate")

    def reveal(
        self,
        account_id: str,
        actor: Actor,
        purpose: Purpose,
        run_id: str | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> Secrets:
        """Decrypt and return the secret fields of an account. The audit log records this first; it also records refusals.

        `settings` are those with which the caller will use the secret: if the account has others by now, this refuses, so that a secret
        is never sent to an address that it was not stored for.

        The log records probes once per UTC day for each account, secret, process and outcome: 96 equal lines a day and account would
        hide the others.

        Raises:
            RecordNotFound: the account has no active credential.
            CredentialChanged: the account has other settings by now.
            CiphertextTampered, MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: it cannot be decrypted. The stored secret stays.
        """
        row = self._sealed(account_id)
        try:
            row, plaintext = self._opened(row)
            if settings is not None and row["settings"] != settings:
                raise CredentialChanged(f"account: {account_id!r} was changed since it was read")
        except StoreError as error:
            self._note(actor, "reveal", row, refused=error, purpose=purpose, run_id=run_id)
            raise
        self._note(actor, "reveal", row, purpose=purpose, run_id=run_id)
        return Secrets(json.loads(plaintext))

    def hold(self, account: Account, version: int | None) -> None:
        """Check that an account has not changed since it was read, and lock its row until the end of the transaction.

        All code that stores settings or secrets of an account locks this row first, which prevents deadlocks.

        Args:
            account: the account with the settings that were read; its secrets are ignored.
            version: version of its secret when it was read, None if it had none.

        Raises:
            CredentialChanged: the account has other settings or another secret.
            RecordNotFound: there is no such account.
        """
        values = {"account_id": account.account_id, "settings": Jsonb(account.settings)}
        held = self._database.row("account_hold.sql", values)
        # A separate statement: only one that begins after the lock is held sees what was stored before.
        if self._before_put(account.account_id)["version"] != (version or 0) or held is None:
            raise CredentialChanged(f"account: {account.account_id!r} was changed since it was read; nothing is stored")

    def delete(self, account_id: str, actor: Actor) -> None:
        """Delete the credential of an account: its secret is never revealed again, and stays stored encrypted until `purge`.

        Raises:
            RecordNotFound: the account has no active credential.
        """
        if not self._database.rows("credential_delete.sql", {**by(actor), "account_id": account_id}):
            raise _no_credential(account_id)

    def purge(self, account_id: str, actor: Actor) -> None:
        """Erase a deleted secret permanently; the audit log stays.

        Raises:
            RecordNotFound: the account has no deleted credential; delete an active one first.
        """
        if not self._database.rows("credential_purge.sql", {**by(actor), "account_id": account_id}):
            raise RecordNotFound(f"credential: account {account_id!r} has none that is deleted: delete it first")

    def _put(
        self, account_id: str, secrets: Mapping[str, Any], actor: Actor, action: Literal["update", "rotate"]
    ) -> Credential:
        plaintext = json.dumps(dict(secrets), default=_revealed).encode()
        with self._database.locked("credential_lock.sql", {"account_id": account_id}):
            for _ in range(_ATTEMPTS):
                before = self._before_put(account_id)
                if action == "rotate" and not before["is_live"]:
                    raise _no_credential(account_id)
                stored = self._store(account_id, before, plaintext, actor, action)
                if stored:
                    return stored
        raise VaultError(f"credential of account {account_id!r}: not stored, others keep changing it: try again")

    def _store(self, account_id: str, before: Row, plaintext: bytes, actor: Actor, action: str) -> Credential | None:
        """Store the secret as the version after `before`; return None if another change was stored first."""
        credential_id = before["credential_id"] or randomness.token_hex(8)
        owner = EncryptionContext(before["customer_id"], account_id, credential_id, before["version"] + 1)
        sealed = self._seal(plaintext, owner)
        self._register(sealed.key_id)
        values = {
            **by(actor),
            **_values(owner, sealed),
            "action": action if before["is_live"] else "create",
        }
        row = self._database.row("credential_put.sql", values)
        return Credential(**row) if row else None

    def _before_put(self, account_id: str) -> Row:
        row = self._database.row("credential_before_put.sql", {"account_id": account_id})
        if row is None:
            raise _no_account(account_id)
        return row

    def _sealed(self, account_id: str) -> Row:
        row = self._database.row("credential_sealed.sql", {"account_id": account_id})
        if row is None:
            raise _no_credential(account_id)
        return row

    def _opened(self, row: Row) -> tuple[Row, bytes]:
        """Decrypt `row` and return it with its plaintext; read it again if a rotation has just replaced its master key."""
        while True:
            if row["deleted_at"] is not None:
                raise _no_credential(row["account_id"])
            sealed = EncryptedSecret(row["ciphertext"], row["nonce"], row["wrapped_key"], row["key_id"])
            try:
                return row, self._vault.open(sealed, encryption_context(row))
            except MasterKeyWrong:
                again = self._sealed(row["account_id"])
                if again["key_id"] == row["key_id"]:
                    raise
                row = again


def _values(owner: EncryptionContext, sealed: EncryptedSecret) -> Row:
    return {
        "customer_id": owner.customer_id,
        "account_id": owner.account_id,
        "credential_id": owner.credential_id,
        "version": owner.version,
        "ciphertext": sealed.ciphertext,
        "nonce": sealed.nonce,
        "wrapped_key": sealed.wrapped_key,
        "key_id": sealed.key_id,
    }


def _revealed(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    raise TypeError(f"secrets: a field of type {type(value).__name__} is not accepted: use text, SecretStr or JSON")


def _no_account(account_id: str) -> RecordNotFound:
    return RecordNotFound(f"account: {account_id!r} does not exist")


def _no_credential(account_id: str) -> RecordNotFound:
    return RecordNotFound(f"credential: account {account_id!r} has none in use: add one")
