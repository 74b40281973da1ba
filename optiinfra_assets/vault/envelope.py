"""Envelope encryption: a data key of its own encrypts each secret, and a master key wraps each data key.

Data in: plaintext and its owner. Data out: an `EncryptedSecret`, which can be stored anywhere and decrypts only for the same owner and
version. A data key encrypts only once, so no nonce is used twice with one key. A change of the master key wraps the data keys again and
leaves the ciphertexts unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from optiinfra_assets.vault.keyring import Keyring
from optiinfra_assets.vault.master_keys import KEY_BYTES, NONCE_BYTES, MasterKeyWrong, canonical, tampered

_MASK: Final = "**********"


class Secrets(dict[str, Any]):
    """The secret fields of one credential: a dictionary whose ``repr`` shows its keys but not its values."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{name}={_MASK}' for name in self)})"

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:
        """Mask the values for rich too, whose tracebacks print local variables."""
        return ((name, _MASK) for name in self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled: hand over the account id and reveal them there")

    def copy(self) -> Self:
        """Return a copy of the same type; a plain dictionary would show the values."""
        return type(self)(self)

    __copy__ = copy

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self.copy()


@dataclass(frozen=True, slots=True)
class EncryptionContext:
    """The owner of a secret; ciphertext and data key are bound to it. `version` is 1, then one more for each secret stored."""

    customer_id: str
    account_id: str
    credential_id: str
    version: int

    def associated(self) -> dict[str, str]:
        """Return it as the associated data of both encryptions and as the encryption context of a key management service."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class EncryptedSecret:
    """An encrypted secret.

    Attributes:
        ciphertext: AES-256-GCM ciphertext with its tag.
        nonce: 96 random bits.
        wrapped_key: the data key, encrypted with the master key.
        key_id: id of that master key.
    """

    ciphertext: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    key_id: str


class EnvelopeEncryption:
    """Encrypts and decrypts secrets with the master keys of `keyring`. Thread-safe."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def seal(self, plaintext: bytes, identity: EncryptionContext) -> EncryptedSecret:
        """Encrypt `plaintext` for the owner `identity` with a new data key, which the current master key wraps.

        Raises:
            MasterKeyMissing, MasterKeyUnavailable: there is no master key, or it cannot be used now.
        """
        master, associated = self.keyring.current(), identity.associated()
        data_key, nonce = AESGCM.generate_key(KEY_BYTES * 8), os.urandom(NONCE_BYTES)
        ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, canonical(associated))
        return EncryptedSecret(ciphertext, nonce, master.wrap(data_key, associated), master.key_id)

    def open(self, sealed: EncryptedSecret, identity: EncryptionContext) -> bytes:
        """Decrypt a secret that was encrypted for the owner `identity`.

        Raises:
            CiphertextTampered: a bit of the ciphertext, of its data key or of `identity` differs.
            MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: its master key is missing, or cannot be used now.
        """
        associated = identity.associated()
        data_key = self._unwrapped(sealed.wrapped_key, sealed.key_id, identity)
        if len(sealed.nonce) != NONCE_BYTES:
            raise tampered(associated)
        try:
            return AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, canonical(associated))
        except InvalidTag:
            raise tampered(associated) from None

    def rewrap(self, wrapped_key: bytes, key_id: str, identity: EncryptionContext, new_key_id: str) -> bytes:
        """Unwrap a data key with the master key `key_id` and return it wrapped with `new_key_id`. This needs no ciphertext.

        Raises:
            CiphertextTampered, MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: as `open`.
        """
        new = self.keyring.key(new_key_id)
        return new.wrap(self._unwrapped(wrapped_key, key_id, identity), identity.associated())

    def _unwrapped(self, wrapped_key: bytes, key_id: str, identity: EncryptionContext) -> bytes:
        try:
            master = self.keyring.key(key_id)
        except MasterKeyWrong as error:
            raise MasterKeyWrong(f"credential of account {identity.account_id!r}: {error}") from None
        data_key = master.unwrap(wrapped_key, identity.associated())
        if len(data_key) != KEY_BYTES:
            raise tampered(identity.associated())
        return data_key
