"""A master key that never leaves Google Cloud KMS.

This calls the REST API (Cloud KMS API v1, cryptoKeys.encrypt and decrypt), and compares checksums as Google asks callers to do:
https://cloud.google.com/kms/docs/data-integrity-guidelines. Two kinds of request do not need a client library.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from optiinfra_assets.vault.master_keys import (
    MasterKeyMissing,
    MasterKeyUnavailable,
    VaultError,
    canonical,
    tampered,
)

GCP_KMS_NAME: Final = re.compile(
    r"projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}", re.ASCII
)
"""The name of a key, without a version: Google rotates the versions and finds the one that a ciphertext needs."""

_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
_ADDRESS: Final = "https://cloudkms.googleapis.com"
_ADDRESS_VARIABLE: Final = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"
_SECONDS: Final = 15


class GcpKmsKey:
    """A symmetric key in Google Cloud KMS, by name; this process needs the role Cloud KMS CryptoKey Encrypter/Decrypter on it.

    `associated` is sent as additional authenticated data. Credentials are Google's application default credentials. An endpoint other
    than Google's own comes from gcloud's variable ``CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS``.
    """

    def __init__(self, name: str) -> None:
        if GCP_KMS_NAME.fullmatch(name) is None:
            raise ValueError(
                f"master key: {name!r} is not accepted: use projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>"
            )
        self._name = name
        self._refreshing = threading.Lock()

    @property
    def key_id(self) -> str:
        """The name of the key."""
        return self._name

    def wrap(self, data_key: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.wrap`; one request."""
        answer = self._ask("encrypt", associated, plaintext=data_key)
        if not (answer.get("verifiedPlaintextCrc32c") and answer.get("verifiedAdditionalAuthenticatedDataCrc32c")):
            raise self._damaged("encrypt")
        return self._read("encrypt", answer, "ciphertext")

    def unwrap(self, wrapped: bytes, associated: Mapping[str, str]) -> bytes:
        """As `KeyWrapper.unwrap`; one request."""
        return self._read("decrypt", self._ask("decrypt", associated, ciphertext=wrapped), "plaintext")

    def __repr__(self) -> str:
        return f"GcpKmsKey({self._name})"

    @cached_property
    def _credentials(self) -> Any:
        # Imported here: google-auth takes a while to import, which would delay every start.
        import google.auth

        return google.auth.default(scopes=[_SCOPE])[0]

    @cached_property
    def _client(self) -> Any:
        import httpx  # httpx logs no bodies; those of our requests contain data keys in clear

        return httpx.Client(timeout=_SECONDS)

    def _ask(self, operation: str, associated: Mapping[str, str], **value: bytes) -> dict[str, Any]:
        import httpx

        sent = {**value, "additionalAuthenticatedData": canonical(associated)}
        body = {name: base64.b64encode(one).decode() for name, one in sent.items()}
        checksums = {f"{name}Crc32c": _checksum(one) for name, one in sent.items()}
        address = os.environ.get(_ADDRESS_VARIABLE, _ADDRESS).rstrip("/")
        try:
            answer = self._client.post(
                f"{address}/v1/{self._name}:{operation}",
                json={**body, **checksums},
                headers=self._authorization(operation),
            )
            found = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError) as error:
            raise MasterKeyUnavailable(
                f"Google KMS key {self._name}: no answer to {operation}: {type(error).__name__}: try again later"
            ) from None
        if not isinstance(found, dict):
            raise self._refused(operation, associated, answer)
        return found

    def _authorization(self, operation: str) -> dict[str, str]:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        headers: dict[str, str] = {}
        try:
            with self._refreshing:
                self._credentials.before_request(Request(), "POST", _ADDRESS, headers)
        except TransportError:
            raise MasterKeyUnavailable(
                f"Google KMS key {self._name}: no token for {operation}, the service does not answer: try again later"
            ) from None
        except (GoogleAuthError, ValueError, OSError) as error:
            raise MasterKeyMissing(
                f"Google KMS key {self._name}: {operation} could not be asked: {type(error).__name__}: "
                "check the application default credentials of this process"
            ) from None
        return headers

    def _read(self, operation: str, answer: Mapping[str, Any], name: str) -> bytes:
        try:
            value = base64.b64decode(answer.get(name, ""), validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise self._damaged(operation) from None
        if str(answer.get(f"{name}Crc32c")) != _checksum(value):
            raise self._damaged(operation)
        return value

    def _damaged(self, operation: str) -> VaultError:
        return MasterKeyUnavailable(f"Google KMS key {self._name}: {operation}: damaged on the way: try again later")

    def _refused(self, operation: str, associated: Mapping[str, str], answer: Any) -> VaultError:
        status = _status(answer)
        if operation == "decrypt" and status == "INVALID_ARGUMENT":
            return tampered(associated)
        if answer.status_code == 429 or answer.status_code >= 500:
            return MasterKeyUnavailable(
                f"Google KMS key {self._name}: {operation} refused with {status}: try again later"
            )
        return MasterKeyMissing(
            f"Google KMS key {self._name}: {operation} refused with {status}: "
            "give this process the role Cloud KMS CryptoKey Encrypter/Decrypter on an enabled symmetric key"
        )


def _checksum(value: bytes) -> str:
    """Return the CRC32C as a string, as Google writes 64-bit numbers in JSON."""
    import google_crc32c

    return str(google_crc32c.value(value))


def _status(answer: Any) -> str:
    """Return Google's error status, such as PERMISSION_DENIED, else the HTTP status; the rest of its message is not repeated."""
    try:
        said = str(answer.json()["error"]["status"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return said if re.fullmatch(r"[A-Z_]{1,40}", said) else f"HTTP {answer.status_code}"
