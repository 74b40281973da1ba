"""Envelope encryption: each secret under a data key of its own, each data key wrapped by a master key.

Flow in: plaintext and whose it is. Flow out: `EncryptedSecret`, which can be stored anywhere and opens only for the same owner and version.

A data key encrypts once and is then only ever unwrapped, so no nonce can meet its key a second time. Changing the master key wraps
data keys anew and leaves ciphertexts as they are.
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
    """Secret fields of one credential, for the provider's eyes: a dictionary that shows its keys, not its values."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{name}={_MASK}' for name in self)})"

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:
        """The same for rich, whose tracebacks print local variables."""
        return ((name, _MASK) for name in self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled: hand over the account id and reveal them there")

    def copy(self) -> Self:
        """Another one with the same fields; a plain dictionary would show them."""
        return type(self)(self)

    __copy__ = copy

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self.copy()


@dataclass(frozen=True, slots=True)
class EncryptionContext:
    """Whose secret it is: what a ciphertext and its data key are bound to. `version` is 1, then one more for each secret stored."""

    customer_id: str
    account_id: str
    credential_id: str
    version: int

    def associated(self) -> dict[str, str]:
        """As the associated data of both encryptions, and the encryption context of a key service."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class EncryptedSecret:
    """An encrypted secret.

    Attributes:
        ciphertext: AES-256-GCM with its tag.
        nonce: 96 random bits.
        wrapped_key: the data key, encrypted by the master key.
        key_id: which master key that is.
    """

    ciphertext: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    key_id: str


class EnvelopeEncryption:
    """Seals and opens secrets with the master keys of `keyring`. Safe for threads."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def seal(self, plaintext: bytes, identity: EncryptionContext) -> EncryptedSecret:
        """Encrypt under a new data key, wrapped by the master key in use.

        Raises:
            MasterKeyMissing, MasterKeyUnavailable: there is no master key, or it cannot be used now.
        """
        master, associated = self.keyring.current(), identity.associated()
        data_key, nonce = AESGCM.generate_key(KEY_BYTES * 8), os.urandom(NONCE_BYTES)
        ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, canonical(associated))
        return EncryptedSecret(ciphertext, nonce, master.wrap(data_key, associated), master.key_id)

    def open(self, sealed: EncryptedSecret, identity: EncryptionContext) -> bytes:
        """Decrypt what was sealed for `identity`.

        Raises:
            CiphertextTampered: a bit of it, of its data key, or of the identity is not what it was.
            MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: its master key is not there, or cannot be used now.
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
        """The data key wrapped by `key_id`, wrapped by `new_key_id` instead. The ciphertext is not needed.

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
