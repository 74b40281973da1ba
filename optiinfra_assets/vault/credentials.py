"""Secrets of accounts: encrypted in PostgreSQL, opened for one use at a time, each use on record.

Flow in: an account and its secret fields. Flow out: the same fields, to a collection that says who it is and what for. One credential an
account. Nothing here shows a secret but `reveal`.
"""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from psycopg.types.json import Jsonb
from pydantic import SecretStr

from optiinfra_assets.database.errors import RecordNotFound, StoreError
from optiinfra_assets.database.postgres import Row
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.vault.credential_audit import Actor, Purpose, by
from optiinfra_assets.vault.envelope import EncryptedSecret, EncryptionContext, Secrets
from optiinfra_assets.vault.key_rotation import KeyRotation, encryption_context
from optiinfra_assets.vault.master_keys import MasterKeyMissing, MasterKeyWrong, VaultError

_ATTEMPTS: Final = 10
"""To store one secret: each is lost only to a deletion, or to a master key that is retired, in that very moment."""


class CredentialChanged(VaultError):
    """Settings or secret of an account are not those any more that were read."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A stored credential, without its secret. Times are UTC, None if it never happened.

    Attributes:
        version: 1, then one more for each secret stored.
        key_id: the master key that wraps its data key.
        rotated_at: when the secret was last replaced by `rotate_secret`.
        rewrapped_at: when the master key under it last changed.
        deleted_at: not revealed any more since then.
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
    """The encrypted secrets of all accounts in one PostgreSQL database. Safe for threads."""

    @property
    def made_key_file(self) -> Path | None:
        """The master key file, if this object made it: it is nowhere else yet, and without it no secret opens."""
        return self._vault.keyring.made

    def put(self, account: Account, secrets: Mapping[str, Any], actor: Actor) -> Credential:
        """Store the secret fields of an account, in place of those it has. The very first secret makes the master key file.

        `secrets` holds strings, pydantic SecretStr, or what JSON can hold of them.

        Raises:
            RecordNotFound: there is no such account of that customer and provider.
            TypeError: a field is of another type.
            MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: there is no usable master key; nothing is stored.
        """
        before = self._before_put(account.account_id)
        if (before["customer_id"], before["provider"]) != (account.customer_id, account.provider):
            raise _no_account(account.account_id)
        return self._put(account.account_id, secrets, actor, "update")

    def rotate_secret(self, account_id: str, secrets: Mapping[str, Any], actor: Actor) -> Credential:
        """Store a new secret in place of one in use, as `put` does.

        Raises:
            RecordNotFound: there is no such account, or it has no credential in use.
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
        """The secret fields of an account; on record before they are returned. A refusal is on record too.

        With `settings`, those that they will be used with: a secret that was stored for another address than the one that its user
        has read is not revealed.

        Probes are on record once a UTC day for each account, secret, process and outcome: 96 lines a day and account that all say the
        same would bury the others.

        Raises:
            RecordNotFound: the account has no credential in use.
            CredentialChanged: the account has other settings by now.
            CiphertextTampered, MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: it cannot be opened, and why. Nothing is lost.
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
        """Make sure that an account still is as it was read; within a transaction it then stays so to the end of it.

        Whoever stores settings or secrets of an account takes the lock on its row first, so that none of them waits for another
        that waits for it.

        Args:
            account: with the settings that were read; its secrets do not matter.
            version: of its secret when it was read, None if there was none.

        Raises:
            CredentialChanged: it has other settings or another secret.
            RecordNotFound: there is no such account.
        """
        values = {"account_id": account.account_id, "settings": Jsonb(account.settings)}
        held = self._database.row("account_hold.sql", values)
        # A statement of its own: only one that begins after the lock is held sees what was stored before.
        if self._before_put(account.account_id)["version"] != (version or 0) or held is None:
            raise CredentialChanged(f"account: {account.account_id!r} was changed since it was read; nothing is stored")

    def delete(self, account_id: str, actor: Actor) -> None:
        """Reveal the secret of an account no more. It stays encrypted where it is until `purge`.

        Raises:
            RecordNotFound: the account has no credential in use.
        """
        if not self._database.rows("credential_delete.sql", {**by(actor), "account_id": account_id}):
            raise _no_credential(account_id)

    def purge(self, account_id: str, actor: Actor) -> None:
        """Erase a deleted secret for good; the log stays.

        Raises:
            RecordNotFound: the account has no deleted credential: one in use is deleted first.
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
        """The secret stored as the version after `before`; None if something else was stored first."""
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

    def _seal(self, plaintext: bytes, owner: EncryptionContext) -> EncryptedSecret:
        try:
            return self._vault.seal(plaintext, owner)
        except MasterKeyMissing:
            # With secrets stored, a missing key is lost or misplaced: one made in its place would hide that.
            if self._database.rows("credential_any.sql")[0]["is_any"]:
                raise
        self._vault.keyring.create()
        return self._vault.seal(plaintext, owner)

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
        """The row that could be opened and its plaintext; the row is read again if its master key has just gone."""
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
