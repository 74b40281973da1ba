"""A master key in Google Cloud KMS: our requests and Google's own credentials over a real socket, to a service that encrypts."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from optiinfra_assets.vault.envelope import EncryptionContext, EnvelopeEncryption
from optiinfra_assets.vault.gcp_kms import GcpKmsKey
from optiinfra_assets.vault.keyring import KeyFile, Keyring
from optiinfra_assets.vault.master_keys import (
    CiphertextTampered,
    MasterKeyMissing,
    MasterKeyUnavailable,
    VaultError,
)

NAME = "projects/acme-billing/locations/europe/keyRings/optiinfra/cryptoKeys/master"
OWNER = EncryptionContext("acme", "acme.main", "c1", 1)
OTHERS = [replace(OWNER, customer_id="x"), replace(OWNER, account_id="acme.x"), replace(OWNER, version=2)]
LOCAL = base64.b64encode(bytes(range(32))).decode()


class Kms:
    """What Google does with `NAME`: AES-256-GCM over what is sent, checksums, tokens of its own; and refusals that are planned."""

    def __init__(self) -> None:
        self.key = AESGCM(AESGCM.generate_key(256))
        self.asked: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        self.damage: dict[str, Any] = {}

    def answer(self, path: str, token: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/token":
            return 200, {"access_token": "PLANTED-token", "expires_in": 3600, "token_type": "Bearer"}
        self.asked.append(json.loads(body))
        if self.refusal:
            return self.refusal[0], {
                "error": {"code": self.refusal[0], "status": self.refusal[1], "message": "saw PLANTED"}
            }
        if token != "Bearer PLANTED-token":
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
        name, _, operation = path.removeprefix("/v1/").rpartition(":")
        if name != NAME:
            return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}
        try:
            return 200, {**self.done(operation, self.asked[-1]), **self.damage}
        except (InvalidTag, ValueError):
            return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}

    def done(self, operation: str, sent: dict[str, str]) -> dict[str, Any]:
        given = "plaintext" if operation == "encrypt" else "ciphertext"
        values = {name: base64.b64decode(sent.get(name, "")) for name in (given, "additionalAuthenticatedData")}
        for name, value in values.items():
            assert sent[f"{name}Crc32c"] == str(google_crc32c.value(value))
        bound = values["additionalAuthenticatedData"]
        if operation == "encrypt":
            nonce = os.urandom(12)
            made, result = "ciphertext", nonce + self.key.encrypt(nonce, values[given], bound)
        else:
            made, result = "plaintext", self.key.decrypt(values[given][:12], values[given][12:], bound)
        verified = (
            {f"verified{name[0].upper()}{name[1:]}Crc32c": True for name in values} if operation == "encrypt" else {}
        )
        return {
            made: base64.b64encode(result).decode(),
            f"{made}Crc32c": str(google_crc32c.value(result)),
            **verified,
        }


@pytest.fixture
def kms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    """The service, and a process with the credentials of a service account that it knows."""
    service = Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = service.answer(self.path, self.headers.get("Authorization"), sent)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "a@b.c",
        "private_key": pem.decode(),
        "token_uri": f"{url}/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", f"{url}/")
    yield service
    server.shutdown()
    server.server_close()


def vault(*keys: str) -> EnvelopeEncryption:
    return EnvelopeEncryption(Keyring(SecretStr(",".join(keys)), KeyFile(Path("/nowhere/master.key"))))


def test_what_was_sealed_comes_back_and_only_data_keys_were_sent(kms: Kms) -> None:
    own = vault(NAME)
    sealed = own.seal(b"PLANTED-secret", OWNER)
    assert (sealed.key_id, own.open(sealed, OWNER)) == (NAME, b"PLANTED-secret")
    assert len(kms.asked) == 2
    assert len(base64.b64decode(kms.asked[0]["plaintext"])) == 32
    assert base64.b64encode(b"PLANTED-secret").decode()[:12] not in json.dumps(kms.asked)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_each_word_of_the_identity_counts(kms: Kms, other: EncryptionContext) -> None:
    key = GcpKmsKey(NAME)
    wrapped = key.wrap(bytes(32), OWNER.associated())
    assert key.unwrap(wrapped, OWNER.associated()) == bytes(32)
    with pytest.raises(CiphertextTampered):
        key.unwrap(wrapped, other.associated())


def test_changed_bytes_are_refused(kms: Kms) -> None:
    own = vault(NAME)
    sealed = own.seal(b"x", OWNER)
    for index in range(0, len(sealed.wrapped_key), 11):
        flipped = bytearray(sealed.wrapped_key)
        flipped[index] ^= 1
        with pytest.raises(CiphertextTampered):
            own.open(replace(sealed, wrapped_key=bytes(flipped)), OWNER)
    with pytest.raises(CiphertextTampered):
        own.open(replace(sealed, wrapped_key=b""), OWNER)


def test_from_a_local_key_to_kms_and_back(kms: Kms) -> None:
    own = vault(LOCAL, NAME)
    sealed = own.seal(b"x", OWNER)
    wrapped = own.rewrap(sealed.wrapped_key, sealed.key_id, OWNER, NAME)
    assert own.open(replace(sealed, wrapped_key=wrapped, key_id=NAME), OWNER) == b"x"
    back = own.rewrap(wrapped, NAME, OWNER, sealed.key_id)
    assert own.open(replace(sealed, wrapped_key=back), OWNER) == b"x"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "PERMISSION_DENIED", MasterKeyMissing),
        (404, "NOT_FOUND", MasterKeyMissing),
        (400, "FAILED_PRECONDITION", MasterKeyMissing),
        (400, "INVALID_ARGUMENT", CiphertextTampered),
        (429, "RESOURCE_EXHAUSTED", MasterKeyUnavailable),
        (503, "UNAVAILABLE", MasterKeyUnavailable),
        (500, "saw PLANTED", MasterKeyUnavailable),
    ],
)
def test_what_kms_refuses_is_told_apart_by_what_to_do(
    kms: Kms, status: int, code: str, expected: type[VaultError]
) -> None:
    kms.refusal = status, code
    with pytest.raises(VaultError) as caught:
        GcpKmsKey(NAME).unwrap(b"wrapped", OWNER.associated())
    assert type(caught.value) is expected
    assert "PLANTED" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        {"ciphertextCrc32c": "1"},
        {"ciphertext": "AAAA"},
        {"ciphertext": 7},
        {"verifiedPlaintextCrc32c": False},
    ],
    ids=str,
)
def test_an_answer_that_was_damaged_is_not_kept(kms: Kms, damage: dict[str, Any]) -> None:
    kms.damage = damage
    with pytest.raises(MasterKeyUnavailable, match="damaged on the way"):
        GcpKmsKey(NAME).wrap(bytes(32), OWNER.associated())


def test_no_answer_is_worth_waiting_for_and_no_credentials_are_not(
    kms: Kms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", "http://127.0.0.1:9")
    with pytest.raises(MasterKeyUnavailable, match=f"{NAME}: no answer to encrypt"):
        GcpKmsKey(NAME).wrap(bytes(32), OWNER.associated())
    account = json.loads((tmp_path / "account.json").read_text())
    (tmp_path / "account.json").write_text(json.dumps({**account, "token_uri": "http://127.0.0.1:9/token"}))
    with pytest.raises(MasterKeyUnavailable, match="no token for encrypt"):
        GcpKmsKey(NAME).wrap(bytes(32), OWNER.associated())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(MasterKeyMissing, match=r"DefaultCredentialsError.*application default credentials"):
        GcpKmsKey(NAME).wrap(bytes(32), OWNER.associated())


def test_data_keys_and_tokens_stay_out_of_the_log_at_every_level(kms: Kms, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    data_key = os.urandom(32)
    key = GcpKmsKey(NAME)
    assert key.unwrap(key.wrap(data_key, OWNER.associated()), OWNER.associated()) == data_key
    assert "httpx" in caplog.text
    assert base64.b64encode(data_key).decode() not in caplog.text
    assert "PLANTED" not in caplog.text


@pytest.mark.parametrize("name", [f"{NAME}/cryptoKeyVersions/1", "projects/a/locations/b", f"{NAME}x/../y", ""])
def test_another_name_is_not_taken_for_a_key(name: str) -> None:
    with pytest.raises(ValueError, match="is not accepted: use projects/"):
        GcpKmsKey(name)
