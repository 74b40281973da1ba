"""Rotation of the master key while the credentials are in use.

A rotation makes a new master key the current one, then wraps the data key of each credential with it, in one statement each. If it stops
halfway, each credential is under the old or the new key and both are known, so reads never fail, and the next rotation continues where
this one stopped. The old key stays known until `retire_key`, because backups of the database need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Database, Row
from optiinfra_assets.vault.credential_audit import Actor, CredentialAuditRepository, by
from optiinfra_assets.vault.envelope import EncryptedSecret, EncryptionContext, EnvelopeEncryption
from optiinfra_assets.vault.keyring import Keyring
from optiinfra_assets.vault.master_keys import CiphertextTampered, MasterKeyMissing, MasterKeyWrong, VaultError

_BATCH: Final = 500

Watch = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key that has wrapped a data key of this database. Times are UTC.

    Attributes:
        key_version: 1 for the first key of this installation, then one more for each.
        retired_at: since when it never wraps again, None if it is not retired.
        credentials: number of secrets that it wraps now, of accounts and of channels, including deleted ones.
    """

    key_version: int
    key_id: str
    first_used_at: datetime
    retired_at: datetime | None
    credentials: int


@dataclass(slots=True)
class KeyRotationResult:
    """The result of a rotation.

    Attributes:
        key_id: the current master key.
        done: number of data keys wrapped with it.
        refused: account id -> why its data key was not rewrapped: it was tampered with, or its key is not given. It is unchanged.
    """

    key_id: str
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class KeyRotation(CredentialAuditRepository):
    """Lists, rotates and retires master keys; the base of `CredentialRepository`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        """Use the connections of `database` and the master keys of `keyring`."""
        super().__init__(database)
        self._vault = EnvelopeEncryption(keyring)

    @property
    def made_key_file(self) -> Path | None:
        """The master key file, if this object created it: it has no backup yet, and without it no secret can be decrypted."""
        return self._vault.keyring.made

    def master_keys(self) -> list[MasterKey]:
        """Return all master keys ordered by version, also retired ones."""
        return [MasterKey(**row) for row in self._database.rows("key_list.sql", {"key_id": None})]

    def rotate_keys(self, actor: Actor, watch: Watch | None = None) -> KeyRotationResult:
        """Finish an unfinished rotation; otherwise create a new master key and wrap all data keys with it.

        This does not create keys for OPTIINFRA_MASTER_KEY: put the new key first there, and this wraps all data keys with it.
        A credential in `refused` leaves the rotation unfinished until its secret is stored again, or deleted and purged.
        After each credential this calls `watch(done, total)`.

        Raises:
            VaultError: another rotation is running, or there is no key to rotate to.
        """
        with self._rotation():
            if not self._next(self._vault.keyring.current().key_id, ""):
                self._vault.keyring.add()
            return self._rewrap(actor, watch)

    def retire_key(self, actor: Actor, key_id: str) -> None:
        """Never wrap with this master key again, and remove it from the key file. Earlier backups need it: keep a copy with them.

        Raises:
            RecordNotFound: the key never wrapped a data key of this database.
            VaultError: it is the current key, or still wraps credentials.
        """
        if key_id == self._vault.keyring.current().key_id:
            raise VaultError(f"master key {key_id}: in use: rotate to a new one first")
        values = {**by(actor), "key_id": key_id}
        with self._database.transaction():
            if not self._database.rows("key_lock.sql", values):
                raise RecordNotFound(f"master key: {key_id!r} was never used here")
            # A separate statement: only one that begins after the lock is held sees everything that the key wraps.
            if not self._database.rows("key_retire.sql", values):
                raise VaultError(f"master key {key_id}: still wraps credentials, deleted ones count: rotate first")
        self._vault.keyring.forget(key_id)

    def _register(self, key_id: str) -> None:
        """Record that a master key is used from now on.

        Raises:
            MasterKeyWrong: the key was retired.
        """
        self._database.rows("key_register.sql", {"key_id": key_id})
        (row,) = self._database.rows("key_list.sql", {"key_id": key_id})
        if row["retired_at"] is not None:
            raise MasterKeyWrong(f"master key {key_id}: retired at {row['retired_at']}: use another one")

    def _seal(self, plaintext: bytes, owner: EncryptionContext) -> EncryptedSecret:
        try:
            return self._vault.seal(plaintext, owner)
        except MasterKeyMissing:
            # If secrets are stored, the key is lost or misplaced; creating a new one would hide that.
            if self._database.rows("credential_any.sql")[0]["is_any"]:
                raise
        self._vault.keyring.create()
        return self._vault.seal(plaintext, owner)

    @contextmanager
    def _rotation(self) -> Iterator[None]:
        """Lock out other rotations: two at once to different keys would undo each other's work forever."""
        with self._database.locked("key_lock_rotation.sql") as lock:
            if lock is None:
                raise VaultError("master keys: another rotation is under way: wait for that one to end")
            yield

    def _rewrap(self, actor: Actor, watch: Watch | None) -> KeyRotationResult:
        result = KeyRotationResult(self._vault.keyring.current().key_id)
        self._register(result.key_id)
        others = [one for one in self.master_keys() if one.key_id != result.key_id]
        total = sum(one.credentials for one in others)
        # Repeat until nothing is left: a process that read the key file before the change may have used the old key since.
        while self._rewrap_once(actor, result, lambda: watch(result.done, max(total, result.done)) if watch else None):
            pass
        return result

    def _rewrap_once(self, actor: Actor, result: KeyRotationResult, told: Callable[[], object]) -> int:
        before, after = result.done, ""
        while rows := self._next(result.key_id, after):
            for row in rows:
                if row["account_id"] not in result.refused:
                    self._rewrap_row(actor, row, result)
                    told()
            after = rows[-1]["credential_id"]
        return result.done - before

    def _rewrap_row(self, actor: Actor, row: Row, result: KeyRotationResult) -> None:
        try:
            wrapped = self._vault.rewrap(row["wrapped_key"], row["key_id"], encryption_context(row), result.key_id)
        except (CiphertextTampered, MasterKeyWrong) as error:
            result.refused[row["account_id"]] = str(error)
            self._note(actor, "rewrap", row, refused=error)
            return
        values = {**by(actor), **row, "wrapped_key": wrapped, "new": result.key_id}
        result.done += len(self._database.rows("key_rewrap.sql", values))

    def _next(self, new: str, after: str) -> list[Row]:
        return self._database.rows("key_rewrap_next.sql", {"new": new, "after": after, "first": _BATCH})


def encryption_context(row: Row) -> EncryptionContext:
    """Return the owner to which the secret in a row of the credentials table is bound."""
    return EncryptionContext(row["customer_id"], row["account_id"], row["credential_id"], row["version"])
