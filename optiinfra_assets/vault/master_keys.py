"""Master keys, which only wrap data keys. A master key is a local one, or one that never leaves AWS KMS or Google Cloud KMS (`gcp_kms`).

Data in: a data key and the owner it is bound to. Data out: the wrapped data key, which only the master key and the same owner unwrap.

Errors, by what a person does::

    VaultError                   a StoreError; names account and key ids, never a secret
    ├── MasterKeyMissing         give the master key, or the permission to use it
    ├── MasterKeyWrong           give the master key that the message names
    ├── MasterKeyUnavailable     wait: the key management service does not answer now
    └── CiphertextTampered       restore the row from a backup, or store the secret again
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final, NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from optiinfra_assets.database.errors import StoreError

KEY_BYTES: Final = 32
"""AES-256."""
NONCE_BYTES: Final = 12
"""96 bits, the only length that AES-GCM uses without hashing (NIST SP 800-38D, 8.2)."""


class VaultError(StoreError):
    """Base of all errors that the vault raises on purpose."""


class MasterKeyMissing(VaultError):
    """No master key is given, or the one given cannot be used at all."""


class MasterKeyWrong(VaultError):
    """The master key of the secret is not among those given; the secret is not lost while that key exists."""


class MasterKeyUnavailable(VaultError):
    """The service that holds the master key does not answer now; the same call may succeed later."""


class CiphertextTampered(VaultError):
    """The stored bytes were changed, or belong to another account, credential or version."""


def tampered(associated: Mapping[str, str]) -> CiphertextTampered:
    """Build the error for bytes that do not belong to the owner `associated`."""
    return CiphertextTampered(
        f"credential of account {associated['account_id']!r}: the stored ciphertext was changed or belongs to another credential: "
        "restore it from a backup, or store the secret again"
    )


def canonical(associated: Mapping[str, str]) -> bytes:
    """Return `associated` as bytes; only equal mappings give the same bytes."""
    return json.dumps(dict(associated), sort_keys=True).encode()


class KeyWrapper(Protocol):
    """One master key. Thread-safe.

    `associated` names the owner of a data key, with `account_id`. A wrapped key is bound to it but does not hold it; it is not secret.
    """

    @property
    def key_id(self) -> str:
        """The permanent id of the key; not secret."""
        ...

    def wrap(self, data_key: bytes, associated: Mapping[str, str]) -> bytes:
        """Return the data key, encrypted.

        Raises:
            MasterKeyMissing, MasterKeyUnavailable: the key cannot be used, or not now.
        """
        ...

    def unwrap(self, wrapped: bytes, associated: Mapping[str, str]) -> bytes:
        """Return the data key that `wrap` encrypted with the same `associated`.

        Raises:
            CiphertextTampered: `wrapped` or `associated` differs.
            MasterKeyMissing, MasterKeyWrong, MasterKeyUnavailable: the key cannot be used, is a different one, or cannot be used now.
        """
        ...


class LocalKey:
    """A master key of 32 random bytes in this process.

    Each wrap uses its own key, derived with HKDF-SHA256 (RFC 5869) from the master key and 32 random bytes. So no nonce is used twice with
    one key, no matter how many data keys a master key wraps; random nonces with a single key would allow only 2**32.
    """

    __slots__ = ("_key", "_key_id")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"master key: {len(key)} bytes are not accepted: use {KEY_BYTES}")
        self._key = key
        self._key_id = "local-" + hashlib.sha256(b"optiinfra master key id\0" + key).hexdigest()[:16]

    @property
    def key_id(self) -> str:
        """`local-` and 64 bits of a hash of the key, in hex."""
        return self._key_id

    def wrap(self, data_key: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.wrap`: 32 bytes salt, 12 bytes nonce, then the encrypted key with its tag."""
        salt, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        return salt + nonce + self._derived(salt).encrypt(nonce, data_key, self._bound(associated))

    def unwrap(self, wrapped: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.unwrap`."""
        salt, nonce = wrapped[:KEY_BYTES], wrapped[KEY_BYTES : KEY_BYTES + NONCE_BYTES]
        if len(nonce) < NONCE_BYTES:
            raise tampered(associated)
        try:
            return self._derived(salt).decrypt(nonce, wrapped[KEY_BYTES + NONCE_BYTES :], self._bound(associated))
        except InvalidTag:
            raise tampered(associated) from None

    def _derived(self, salt: bytes) -> AESGCM:
        derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"optiinfra data key wrapping")
        return AESGCM(derivation.derive(self._key))

    def _bound(self, associated: Mapping[str, str]) -> bytes:
        return canonical({**associated, "key_id": self._key_id})

    def __repr__(self) -> str:
        return f"LocalKey({self._key_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key is not pickled")


KMS_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+")
"""The ARN of a key itself. An alias can be moved to another key, and then the key that wrapped a data key could not be named."""

_KMS_LATER: Final = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
}
"""Error codes that AWS documents as retryable (KMS API reference, common errors); every status of 500 and above is retryable too."""


class AwsKmsKey:
    """A symmetric key in AWS KMS, named by its ARN; this process needs `kms:Encrypt` and `kms:Decrypt` on it.

    `associated` is sent as KMS's encryption context, which AWS authenticates and shows in CloudTrail. boto3 finds the credentials, and an
    endpoint other than AWS's own (`AWS_ENDPOINT_URL_KMS`), as it documents.
    """

    def __init__(self, arn: str) -> None:
        match = KMS_ARN.fullmatch(arn)
        if match is None:
            raise ValueError(
                f"master key: {arn!r} is not accepted: use arn:aws:kms:<region>:<account>:key/<id>, not an alias"
            )
        self._arn = arn
        self._region = match["region"]

    @property
    def key_id(self) -> str:
        """The ARN."""
        return self._arn

    def wrap(self, data_key: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.wrap`; one request."""
        answer: bytes = self._ask("encrypt", associated, Plaintext=data_key)["CiphertextBlob"]
        return answer

    def unwrap(self, wrapped: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.unwrap`; one request."""
        if not wrapped:  # boto3 rejects an empty value before KMS can
            raise tampered(associated)
        answer: bytes = self._ask("decrypt", associated, CiphertextBlob=wrapped)["Plaintext"]
        return answer

    def __repr__(self) -> str:
        return f"AwsKmsKey({self._arn})"

    @cached_property
    def _client(self) -> Any:
        # Imported here: boto3 takes 0.3 s to import, which would delay every start.
        from boto3.session import Session
        from botocore.config import Config

        config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
        return Session().client("kms", region_name=self._region, config=config)

    def _ask(self, operation: str, associated: Mapping[str, str], **values: bytes) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        try:
            with _kept_out_of_logs():
                ask = getattr(self._client, operation)
                answer: dict[str, Any] = ask(KeyId=self._arn, EncryptionContext=dict(associated), **values)
                return answer
        except ClientError as error:
            raise self._refused(operation, associated, error.response) from None
        except (ConnectionError, HTTPClientError) as error:
            raise MasterKeyUnavailable(
                f"AWS KMS key {self._arn}: no answer to {operation}: {type(error).__name__}: try again later"
            ) from None
        except BotoCoreError as error:  # no credentials, a profile that does not exist
            raise MasterKeyMissing(
                f"AWS KMS key {self._arn}: {operation} could not be asked: {type(error).__name__}: check AWS's own settings"
            ) from None

    def _refused(self, operation: str, associated: Mapping[str, str], answer: Any) -> VaultError:
        code = str(answer["Error"]["Code"])
        if code == "InvalidCiphertextException":
            return tampered(associated)
        if code == "IncorrectKeyException":
            return MasterKeyWrong(
                f"credential of account {associated['account_id']!r}: its data key was not wrapped by {self._arn}"
            )
        if code in _KMS_LATER or answer["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            return MasterKeyUnavailable(f"AWS KMS key {self._arn}: {operation} refused with {code}: try again later")
        return MasterKeyMissing(
            f"AWS KMS key {self._arn}: {operation} refused with {code}: allow kms:Encrypt and kms:Decrypt on an enabled key"
        )


_asking_kms: ContextVar[bool] = ContextVar("asking_kms", default=False)


@contextmanager
def _kept_out_of_logs() -> Iterator[None]:
    """Drop what botocore logs at level DEBUG in the meantime: whole requests and responses, which contain data keys in clear."""
    for name in ("botocore.endpoint", "botocore.parsers"):
        logging.getLogger(name).addFilter(_not_asking_kms)  # logging ignores repeated additions
    before = _asking_kms.set(True)
    try:
        yield
    finally:
        _asking_kms.reset(before)


def _not_asking_kms(_: logging.LogRecord) -> bool:
    return not _asking_kms.get()
