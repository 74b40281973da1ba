"""Envelope encryption: what is sealed opens for its owner alone, under a master key from the environment, a file, or AWS KMS."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import os
import pickle
import pprint
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import boto3
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from rich.console import Console
from rich.pretty import pretty_repr

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.envelope import EncryptedSecret, EncryptionContext, EnvelopeEncryption, Secrets
from optiinfra_assets.vault.keyring import KeyFile, Keyring, parse
from optiinfra_assets.vault.master_keys import (
    AwsKmsKey,
    CiphertextTampered,
    KeyWrapper,
    LocalKey,
    MasterKeyMissing,
    MasterKeyUnavailable,
    MasterKeyWrong,
    VaultError,
)

OWNER = EncryptionContext("acme", "acme.main", "c1", 1)
OTHERS = [
    replace(OWNER, customer_id="acmf"),
    replace(OWNER, account_id="acme.other"),
    replace(OWNER, credential_id="c2"),
    replace(OWNER, version=2),
    EncryptionContext("acme.main", "acme", "c1", 1),
]
PLANTED = "Plant3d-s3cret-value"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


def keyring(*keys: str, file: Path = Path("/nowhere/master.key")) -> Keyring:
    return Keyring(SecretStr(",".join(keys)) if keys else None, KeyFile(file))


def changed(sealed: EncryptedSecret, part: str, value: bytes) -> EncryptedSecret:
    whole: dict[str, Any] = {**asdict(sealed), part: value}
    return EncryptedSecret(**whole)


def flips(value: bytes) -> Iterator[bytes]:
    """`value` with each of its bits flipped once, and cut, and extended."""
    for bit in range(len(value) * 8):
        flipped = bytearray(value)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    yield from (value[:-1], value[1:], b"", value + b"\0")


identities = st.builds(EncryptionContext, st.text(), st.text(), st.text(), st.integers(1))


@given(st.binary(max_size=4096), identities)
def test_what_was_sealed_comes_back(plaintext: bytes, owner: EncryptionContext) -> None:
    vault = EnvelopeEncryption(keyring(KEY))
    sealed = vault.seal(plaintext, owner)
    assert vault.open(sealed, owner) == plaintext
    assert len(sealed.nonce) == 12
    assert sealed.key_id == LocalKey(bytes(range(32))).key_id


@given(st.binary(min_size=8), identities, identities, st.data())
def test_a_secret_opens_for_its_owner_alone(
    plaintext: bytes, owner: EncryptionContext, other: EncryptionContext, data: st.DataObject
) -> None:
    vault = EnvelopeEncryption(keyring(KEY))
    sealed = vault.seal(plaintext, owner)
    assert plaintext not in sealed.ciphertext + sealed.wrapped_key
    if owner != other:
        with pytest.raises(CiphertextTampered):
            vault.open(sealed, other)
    part = data.draw(st.sampled_from(["ciphertext", "nonce", "wrapped_key"]))
    value = bytearray(getattr(sealed, part))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CiphertextTampered):
        vault.open(changed(sealed, part, bytes(value)), owner)


@pytest.mark.parametrize("part", ["ciphertext", "nonce", "wrapped_key"])
def test_every_single_bit_counts(part: str) -> None:
    vault = EnvelopeEncryption(keyring(KEY))
    sealed = vault.seal(PLANTED.encode(), OWNER)
    for value in flips(getattr(sealed, part)):
        with pytest.raises(CiphertextTampered, match=r"account 'acme\.main'.*changed or belongs"):
            vault.open(changed(sealed, part, value), OWNER)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_each_word_of_the_identity_counts(other: EncryptionContext) -> None:
    vault = EnvelopeEncryption(keyring(KEY, OTHER_KEY))
    sealed = vault.seal(PLANTED.encode(), OWNER)
    with pytest.raises(CiphertextTampered):
        vault.open(sealed, other)
    with pytest.raises(CiphertextTampered):
        vault.rewrap(sealed.wrapped_key, sealed.key_id, other, parse(OTHER_KEY, "").key_id)


def test_parts_of_two_sealings_do_not_mix() -> None:
    vault = EnvelopeEncryption(keyring(KEY))
    one, two = (vault.seal(PLANTED.encode(), OWNER) for _ in range(2))
    for part in ("ciphertext", "nonce", "wrapped_key"):
        with pytest.raises(CiphertextTampered):
            vault.open(changed(one, part, getattr(two, part)), OWNER)


def test_no_data_key_and_no_nonce_is_used_twice() -> None:
    vault, master = EnvelopeEncryption(keyring(KEY)), LocalKey(bytes(range(32)))
    sealed = [vault.seal(b"same", OWNER) for _ in range(500)]
    data_keys = {master.unwrap(one.wrapped_key, OWNER.associated()) for one in sealed}
    wrapping_salts = {one.wrapped_key[:32] for one in sealed}
    assert len(data_keys) == len(wrapping_salts) == len({one.nonce for one in sealed}) == 500


def test_another_master_key_is_named_and_nothing_is_lost() -> None:
    sealed = EnvelopeEncryption(keyring(KEY)).seal(PLANTED.encode(), OWNER)
    with pytest.raises(MasterKeyWrong, match=rf"'acme\.main'.*{sealed.key_id}.*not among those given") as caught:
        EnvelopeEncryption(keyring(OTHER_KEY)).open(sealed, OWNER)
    assert parse(OTHER_KEY, "").key_id in str(caught.value)
    assert EnvelopeEncryption(keyring(OTHER_KEY, KEY)).open(sealed, OWNER) == PLANTED.encode()
    relabelled = replace(sealed, key_id=parse(OTHER_KEY, "").key_id)
    with pytest.raises(CiphertextTampered):
        EnvelopeEncryption(keyring(OTHER_KEY, KEY)).open(relabelled, OWNER)


def test_rewrapping_changes_the_master_key_and_leaves_the_ciphertext() -> None:
    vault, new = EnvelopeEncryption(keyring(KEY, OTHER_KEY)), parse(OTHER_KEY, "")
    sealed = vault.seal(PLANTED.encode(), OWNER)
    wrapped = vault.rewrap(sealed.wrapped_key, sealed.key_id, OWNER, new.key_id)
    moved = replace(sealed, wrapped_key=wrapped, key_id=new.key_id)
    assert EnvelopeEncryption(keyring(OTHER_KEY)).open(moved, OWNER) == PLANTED.encode()


class TestWhereMasterKeysComeFrom:
    def test_environment_first_then_file_below_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings(home=tmp_path)
        Keyring.configured(settings).create()
        below_home = Keyring.configured(settings).current()
        assert (tmp_path / "master.key").read_text().strip() != ""

        monkeypatch.setenv("OPTIINFRA_MASTER_KEY_FILE", str(tmp_path / "elsewhere" / "k"))
        Keyring.configured(settings).create()
        elsewhere = Keyring.configured(settings).current()
        assert elsewhere.key_id != below_home.key_id

        monkeypatch.setenv("OPTIINFRA_MASTER_KEY", f"{KEY}, {OTHER_KEY}\n")
        ring = Keyring.configured(settings)
        assert ring.current().key_id == parse(KEY, "").key_id
        assert ring.key(parse(OTHER_KEY, "").key_id).key_id == parse(OTHER_KEY, "").key_id
        with pytest.raises(VaultError, match="given in OPTIINFRA_MASTER_KEY"):
            ring.add()

        monkeypatch.setenv("OPTIINFRA_MASTER_KEY", "")
        assert Keyring.configured(settings).current().key_id == elsewhere.key_id

    @pytest.mark.parametrize(
        "text",
        [
            PLANTED,
            base64.b64encode(PLANTED.encode()).decode(),
            KEY[:-4],
            KEY + "AAAA",
            KEY.replace("A", "é"),
            "arn:aws:kms:eu-central-1:123456789012:alias/ours",
            f"{KEY},{PLANTED}",
        ],
    )
    def test_a_malformed_key_is_refused_without_showing_it(self, text: str) -> None:
        with pytest.raises(MasterKeyMissing, match="OPTIINFRA_MASTER_KEY: a key is not accepted: use base64") as caught:
            keyring(text).current()
        assert not any(part in str(caught.value) for part in text.split(","))

    @pytest.mark.parametrize("given", [" ", ",", "\n"])
    def test_an_empty_variable_is_no_key(self, given: str) -> None:
        with pytest.raises(MasterKeyMissing, match="holds no key"):
            keyring(given).current()

    def test_only_the_owner_can_read_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "master.key"
        before = os.umask(0)
        try:
            KeyFile(path).create()
            KeyFile(path).add()
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in tmp_path.iterdir() if one.stat().st_mode & 0o077] == []

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
    def test_a_file_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "master.key"
        KeyFile(path).create()
        path.chmod(mode)
        with pytest.raises(MasterKeyMissing, match=rf"{path}: others can read it \(mode {mode:04o}\): chmod 600"):
            keyring(file=path).current()

    def test_no_file_a_folder_and_garbage_each_get_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "master.key"
        with pytest.raises(MasterKeyMissing, match=f"none given.*{path}"):
            keyring(file=path).current()
        path.touch(mode=0o600)
        with pytest.raises(MasterKeyMissing, match="holds no key"):
            keyring(file=path).current()
        path.write_bytes(os.urandom(64))
        with pytest.raises(MasterKeyMissing, match="a key is not accepted"):
            keyring(file=path).current()
        path.unlink()
        path.mkdir(mode=0o700)
        with pytest.raises(MasterKeyMissing, match="Is a directory"):
            keyring(file=path).current()

    def test_of_many_who_make_the_file_at_once_one_wins(self, tmp_path: Path) -> None:
        path = tmp_path / "home" / "master.key"

        def first_use(_: int) -> str:
            own = keyring(file=path)
            own.create()
            return own.current().key_id

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(first_use, range(40)))) == 1
        assert len(path.read_text().split()) == 1

    def test_of_many_who_add_a_key_at_once_none_is_lost(self, tmp_path: Path) -> None:
        file = KeyFile(tmp_path / "master.key")
        file.create()
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(file.add) for _ in range(40)]:
                done.result()
        assert len(set(file.read())) == 41

    def test_a_new_key_in_the_file_is_found_without_a_restart(self, tmp_path: Path) -> None:
        path = tmp_path / "master.key"
        writer, reader = keyring(file=path), keyring(file=path)
        writer.create()
        old = reader.current().key_id
        writer.add()
        sealed = EnvelopeEncryption(writer).seal(PLANTED.encode(), OWNER)
        assert sealed.key_id != old
        assert EnvelopeEncryption(reader).open(sealed, OWNER) == PLANTED.encode()

    def test_the_key_in_use_is_not_forgotten(self, tmp_path: Path) -> None:
        ring = keyring(file=tmp_path / "master.key")
        ring.create()
        old = ring.current().key_id
        with pytest.raises(VaultError, match="in use"):
            ring.forget(old)
        ring.add()
        ring.forget(old)
        with pytest.raises(MasterKeyWrong):
            keyring(file=tmp_path / "master.key").key(old)
        keyring(KEY).forget("local-unknown")


class TestNothingShows:
    def test_secrets(self) -> None:
        secrets = Secrets(api_key=PLANTED, nested={"deep": PLANTED})
        account = Account("acme.main", "acme", "vultr", secrets=secrets)
        console = Console(file=io.StringIO(), width=200)
        try:
            raise RuntimeError("with locals")
        except RuntimeError:
            console.print_exception(show_locals=True)
        shown = [
            repr(secrets),
            str(secrets),
            f"{secrets}",
            f"{secrets.copy()} {copy.copy(secrets)} {copy.deepcopy(secrets)}",
            pprint.pformat(secrets),
            pretty_repr(secrets),
            repr(asdict(account)),
            repr(replace(account)),
            console.file.getvalue(),  # type: ignore[attr-defined]
        ]
        assert [text for text in shown if PLANTED in text] == []
        assert "api_key=***" in repr(secrets)
        assert dict(secrets) == {"api_key": PLANTED, "nested": {"deep": PLANTED}}
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(secrets, protocol)

    def test_master_keys_and_what_is_sealed(self) -> None:
        vault = EnvelopeEncryption(keyring(KEY))
        sealed = vault.seal(PLANTED.encode(), OWNER)
        key = vault.keyring.current()
        shown = f"{vault!r} {vault.keyring!r} {vars(vault.keyring)} {key!r} {key} {sealed}"
        assert KEY not in shown
        assert repr(bytes(range(32))) not in shown
        assert repr(sealed.wrapped_key) not in shown
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(key, protocol)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@pytest.fixture(scope="module")
def kms_server() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def kms_key(kms_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ARN of a key in a KMS that boto3 finds through its own variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("kms", region_name="eu-central-1")
    arn: str = client.create_key()["KeyMetadata"]["Arn"]
    return arn


class TestAwsKms:
    def test_what_was_sealed_comes_back(self, kms_key: str) -> None:
        vault = EnvelopeEncryption(keyring(kms_key))
        sealed = vault.seal(PLANTED.encode(), OWNER)
        assert sealed.key_id == kms_key
        assert vault.open(sealed, OWNER) == PLANTED.encode()

    @pytest.mark.parametrize("other", OTHERS, ids=str)
    def test_each_word_of_the_identity_counts(self, kms_key: str, other: EncryptionContext) -> None:
        key: KeyWrapper = AwsKmsKey(kms_key)
        wrapped = key.wrap(bytes(32), OWNER.associated())
        assert key.unwrap(wrapped, OWNER.associated()) == bytes(32)
        with pytest.raises(CiphertextTampered):
            key.unwrap(wrapped, other.associated())

    def test_changed_bytes_are_refused(self, kms_key: str) -> None:
        vault = EnvelopeEncryption(keyring(kms_key))
        sealed = vault.seal(PLANTED.encode(), OWNER)
        wrapped = sealed.wrapped_key
        for index in range(0, len(wrapped), 7):
            flipped = wrapped[:index] + bytes([wrapped[index] ^ 1]) + wrapped[index + 1 :]
            with pytest.raises(VaultError):
                vault.open(replace(sealed, wrapped_key=flipped), OWNER)
        with pytest.raises(CiphertextTampered):
            vault.open(replace(sealed, wrapped_key=b""), OWNER)

    def test_a_data_key_of_another_length_is_refused(self, kms_key: str) -> None:
        wrapped = AwsKmsKey(kms_key).wrap(b"short", OWNER.associated())
        with pytest.raises(CiphertextTampered):
            EnvelopeEncryption(keyring(kms_key)).open(EncryptedSecret(bytes(32), bytes(12), wrapped, kms_key), OWNER)

    def test_from_a_local_key_to_kms_and_back(self, kms_key: str) -> None:
        vault = EnvelopeEncryption(keyring(KEY, kms_key))
        sealed = vault.seal(PLANTED.encode(), OWNER)
        wrapped = vault.rewrap(sealed.wrapped_key, sealed.key_id, OWNER, kms_key)
        assert vault.open(replace(sealed, wrapped_key=wrapped, key_id=kms_key), OWNER) == PLANTED.encode()
        assert vault.rewrap(wrapped, kms_key, OWNER, sealed.key_id) != sealed.wrapped_key

    def test_a_key_that_cannot_be_used_is_named_with_what_to_allow(self, kms_key: str) -> None:
        gone = kms_key[:-4] + ("0000" if kms_key[-4:] != "0000" else "1111")
        with pytest.raises(MasterKeyMissing, match=rf"{gone}: encrypt refused with NotFound.*allow kms:Encrypt"):
            AwsKmsKey(gone).wrap(bytes(32), OWNER.associated())

    def test_no_answer_is_worth_waiting_for_and_no_credentials_are_not(
        self, kms_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
        with pytest.raises(MasterKeyUnavailable, match=rf"{kms_key}: no answer to encrypt.*try again later"):
            AwsKmsKey(kms_key).wrap(PLANTED.encode(), OWNER.associated())
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        with pytest.raises(MasterKeyMissing, match="NoCredentials"):
            AwsKmsKey(kms_key).wrap(PLANTED.encode(), OWNER.associated())

    @pytest.mark.parametrize(
        ("code", "status", "expected"),
        [
            ("DependencyTimeoutException", 400, MasterKeyUnavailable),
            ("ServiceUnavailable", 503, MasterKeyUnavailable),
            ("IncorrectKeyException", 400, MasterKeyWrong),
            ("AccessDeniedException", 400, MasterKeyMissing),
            ("DisabledException", 400, MasterKeyMissing),
        ],
    )
    def test_what_kms_refuses_is_told_apart_by_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, code: str, status: int, expected: type[VaultError]
    ) -> None:
        """Answers that moto does not give, over a real socket and through the real client."""
        body = json.dumps({"__type": code, "message": f"saw {PLANTED}"}).encode()

        def answer(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response(f"{status} refused", [("Content-Type", "application/x-amz-json-1.1")])
            return [body]

        with make_server("127.0.0.1", 0, answer, handler_class=Quiet) as server:
            Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{server.server_port}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
            key = AwsKmsKey("arn:aws:kms:eu-central-1:123456789012:key/0123")
            with pytest.raises(expected) as caught:
                key.unwrap(b"wrapped", OWNER.associated())
            server.shutdown()
        assert type(caught.value) is expected
        assert PLANTED not in str(caught.value)

    def test_data_keys_stay_out_of_the_log_at_every_level(self, kms_key: str, caplog: pytest.LogCaptureFixture) -> None:
        for name in (None, "botocore"):
            caplog.set_level(logging.DEBUG, name)
        data_key = os.urandom(32)
        clear = base64.b64encode(data_key).decode()
        key = AwsKmsKey(kms_key)
        assert key.unwrap(key.wrap(data_key, OWNER.associated()), OWNER.associated()) == data_key
        assert clear not in caplog.text
        assert "botocore" in caplog.text

        boto3.client("kms", region_name="eu-central-1").encrypt(KeyId=kms_key, Plaintext=data_key)
        assert clear in caplog.text, "botocore logs it by itself, or this test would show nothing"


@trying(max_examples=20)
@given(st.binary(min_size=32, max_size=32))
def test_a_key_id_says_nothing_of_the_key(key: bytes) -> None:
    shown = LocalKey(key).key_id
    assert shown == LocalKey(key).key_id
    assert len(shown) == 22
    assert key.hex() not in shown
