"""The secrets of channels of alerts (addresses, signing keys, passwords): encrypted as those of accounts, under the same master keys.

Data in: a channel and its secret fields. Data out: the same fields, for the one who sends by it. They are stored once, with the channel;
whoever has others adds another channel. In the audit log a channel stands as the account ``channel:<id>``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optiinfra_assets.database.errors import RecordNotFound, StoreError
from optiinfra_assets.database.postgres import Row
from optiinfra_assets.vault.credential_audit import Actor, Purpose, by
from optiinfra_assets.vault.envelope import EncryptedSecret, EncryptionContext, Secrets
from optiinfra_assets.vault.key_rotation import KeyRotation, encryption_context
from optiinfra_assets.vault.master_keys import MasterKeyWrong, VaultError


class ChannelSecretRepository(KeyRotation):
    """The encrypted secrets of all channels in one PostgreSQL database. Thread-safe."""

    def put(self, channel_id: str, customer_id: str, secrets: Mapping[str, Any], actor: Actor) -> None:
        """Store the secret fields of a new channel. The very first secret of a platform creates the master key file.

        Raises:
            VaultError: there is no usable master key, or it has just been retired; nothing is stored.
        """
        owner = EncryptionContext(customer_id, f"channel:{channel_id}", channel_id, 1)
        sealed = self._seal(json.dumps(dict(secrets)).encode(), owner)
        self._register(sealed.key_id)
        values = {
            **by(actor),
            **owner.associated(),
            "version": owner.version,
            "ciphertext": sealed.ciphertext,
            "nonce": sealed.nonce,
            "wrapped_key": sealed.wrapped_key,
            "key_id": sealed.key_id,
        }
        if not self._database.rows("channel_secret_put.sql", values):
            raise VaultError(f"channel {channel_id}: not stored, the master key was retired meanwhile: try again")

    def reveal(self, channel_id: str, actor: Actor, purpose: Purpose) -> Secrets:
        """Decrypt and return the secret fields of a channel; the audit log says so, once a day for each process.

        Raises:
            RecordNotFound: the channel has none: it was removed.
            CiphertextTampered, MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: they cannot be decrypted.
        """
        row = self._sealed(channel_id)
        try:
            plaintext = self._plaintext(row)
        except MasterKeyWrong as error:
            row = self._sealed(channel_id)  # a rotation may have replaced the master key since
            plaintext = self._noted(row, actor, purpose, error)
        except StoreError as error:
            self._note_reveal(row, actor, purpose, error)
            raise
        self._note_reveal(row, actor, purpose)
        return Secrets(json.loads(plaintext))

    def _noted(self, row: Row, actor: Actor, purpose: Purpose, before: StoreError) -> bytes:
        try:
            return self._plaintext(row)
        except StoreError:
            self._note_reveal(row, actor, purpose, before)
            raise

    def _plaintext(self, row: Row) -> bytes:
        sealed = EncryptedSecret(row["ciphertext"], row["nonce"], row["wrapped_key"], row["key_id"])
        return self._vault.open(sealed, encryption_context(row))

    def _sealed(self, channel_id: str) -> Row:
        row = self._database.row("channel_secret_sealed.sql", {"channel_id": channel_id})
        if row is None:
            raise RecordNotFound(f"channel: {channel_id!r} has no secrets: it was removed")
        return row

    def _note_reveal(self, row: Row, actor: Actor, purpose: Purpose, refused: StoreError | None = None) -> None:
        named = ("customer_id", "account_id", "credential_id", "version", "key_id")
        values = {
            **by(actor),
            **{name: row[name] for name in named},
            "outcome": "done" if refused is None else "refused",
            "purpose": purpose,
            "detail": None if refused is None else str(refused),
        }
        self._database.rows("channel_secret_note.sql", values)
