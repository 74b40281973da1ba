"""What is taken out of a text before somebody sees it: secrets, whole and in part, however they are written; and nothing else."""

from __future__ import annotations

import base64
import json
import string
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.providers.http.redaction import account_redactor, redactor

ALPHABET = string.ascii_letters + string.digits + "+/=_-"
KEY_ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
FILE = {
    "type": "service_account",
    "project_id": "acme-billing-417302",
    "private_key_id": KEY_ID,
    "private_key": KEY.decode(),
    "client_email": "reader@acme-billing-417302.iam.gserviceaccount.com",
    "client_id": "123456789012345678901",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}


@given(
    secret=st.text(ALPHABET, min_size=8, max_size=80),
    before=st.text(" .,:;'\"\n", max_size=20),
    after=st.text(" .,:;'\"\n", max_size=20),
    data=st.data(),
)
def test_any_eight_characters_in_a_row_are_hidden_and_what_surrounds_them_stays(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(secret) - 8))
    end = data.draw(st.integers(start + 8, len(secret)))
    assert redactor([secret])(before + secret[start:end] + after) == f"{before}***{after}"


@given(
    secret=st.text(max_size=40).map(str.strip).filter(lambda text: len(text) >= 8),
    shift=st.text("ab:", max_size=3),
)
def test_a_secret_is_hidden_however_it_is_written(secret: str, shift: str) -> None:
    hide = redactor([secret])
    encoded = secret.encode(errors="replace")
    forms = [
        secret,
        repr(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        quote(encoded),
        quote(encoded, safe=""),
        encoded.hex(),
    ]
    assert {hide(f"<{form}>") for form in forms} == {"<***>"}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = hide(encode(shift.encode() + encoded).decode())
        # At both ends a letter stands for less than a byte of the secret.
        assert len(shown.replace("***", "")) <= len(base64.b64encode(shift.encode())) + 4, shown


@pytest.mark.parametrize("wrap", [str, repr, json.dumps, lambda text: " ".join(text.split())])
def test_a_key_file_is_hidden_whole_by_field_and_by_line(wrap: object) -> None:
    assert callable(wrap)
    hide, pem = redactor([json.dumps(FILE)]), FILE["private_key"]
    assert hide(f"no: {json.dumps(FILE)}") == "no: ***"
    texts = [pem, pem[:100], pem[100:], *pem.splitlines()[1:-1], KEY_ID, KEY_ID[:9], FILE["client_email"]]
    assert {hide(wrap(text)).strip("\"'\n") for text in texts} == {"***"}
    half = '{"type": "service_account", "project_id": "***", "private_key_id": "***", "private_key": "***'
    assert hide(json.dumps(FILE)[:200]) == half


def test_words_of_a_key_file_stay_in_other_words() -> None:
    texts = [
        "service_account_key: not the JSON of a service_account: paste the whole file",
        "https://bigquery.googleapis.com: acme-billing-417302.costs.export is not there",
        "the private_key_id of a client_email",
    ]
    assert [redactor([json.dumps(FILE)])(text) for text in texts] == [
        texts[0],
        "https://bigquery.googleapis.com: ***.costs.export is not there",
        texts[2],
    ]
    table = {"billing_table": "acme-billing-417302.costs.export"}
    account = Account("acme.main", "acme", "any", table, {"service_account_key": json.dumps(FILE)})
    assert [account_redactor(account)(text) for text in texts] == texts, "settings are seen by everybody"
    assert account_redactor(account)(f"{KEY_ID} of {FILE['client_email']}") == "*** of ***"


def test_texts_of_a_json_secret_are_found_at_any_depth() -> None:
    secret = '{"a": {"b": ["Xy7!kd93-first"]}, "c": "Zz9?second", "c": "Qq5=third"}'
    texts = "Xy7!kd93-first Zz9?second Qq5=third"
    assert redactor([secret])(texts) == "*** *** ***"
    assert redactor(["[" * 100_000])("[" * 20) == "***", "what cannot be read as JSON is hidden as it is"


def test_what_is_too_short_to_be_a_secret_is_left() -> None:
    assert redactor(["", "a", "key"])("a key") == "a key"
    assert redactor(["pass"])("pass, passed, pas") == "***, ***ed, pas"
    assert redactor([])("nothing to hide") == "nothing to hide"


def test_texts_that_cannot_be_encoded_are_no_trouble() -> None:
    assert redactor(['{"a": "\\ud800Xy7!kd93"}'])("\ud800Xy7!kd93 \udfff") == "*** \udfff"
