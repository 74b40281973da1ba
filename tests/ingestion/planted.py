"""Secrets to look for, in fields of any provider's credential model, and a cloud that tells everybody what it was sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.http.endpoint_policy import endpoint_fields

TEXTS = (
    "plain-text",
    "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9",
    "123456789012",
    "eu-west-1",
    "s3://bucket/prefix",
    "arn:aws:iam::123456789012:role/reader",
    "AAAAAA-BBBBBB-CCCCCC",
    "project-name.dataset_name",
    "project-name.dataset_name.table_name",
)
"""Tried in turn for fields that must be given and are no secret."""


@dataclass(slots=True)
class Planted:
    """Fields that a credential model accepts, and what to look for of the secrets among them.

    Attributes:
        fields: by name.
        needles: texts of which none may be found anywhere.
    """

    fields: dict[str, Any]
    needles: set[str]

    def found_in(self, content: bytes) -> bool:
        """Whether one of them is in there, as it is or as it is often written."""
        return any(form in content for needle in self.needles for form in _forms(needle))


def _forms(needle: str) -> Iterator[bytes]:
    yield needle.encode()
    yield quote(needle, safe="").encode()
    yield needle.encode().hex().encode()
    for shift in range(3):  # in base64 a text looks in three ways, by what stands before it
        whole = base64.b64encode(b"\0" * shift + needle.encode())
        yield whole[4 if shift else 0 : len(whole) - 4]


def plant(provider: Provider, text: str, url: str) -> Planted:
    """Values for the credential model of `provider`, with `text` in every secret field that it takes, and `url` for addresses.

    As many of the secrets that may be left out as it accepts together are given.
    """
    optional = sorted(
        name for name in provider.secret_fields() if not provider.credential_model.model_fields[name].is_required()
    )
    for count in range(len(optional), -1, -1):
        for left_out in combinations(optional, len(optional) - count):
            found = _fitting(provider, text, url, set(left_out))
            if found:
                return found
    raise AssertionError(f"{provider.name}: no values fit its credential model: add to TEXTS or _secrets")


def _fitting(provider: Provider, text: str, url: str, left_out: set[str]) -> Planted | None:
    model, secret = provider.credential_model, provider.secret_fields() - left_out
    candidates: dict[str, list[str]] = {}
    needles: set[str] = set()
    for name, one in model.model_fields.items():
        if name in secret:
            forms = _secrets(text, name.replace("_", "-"), url)
            candidates[name] = [value for value, _ in forms]
            needles |= {needle for _, found in forms for needle in found}
        elif name in endpoint_fields(model):
            candidates[name] = [url]
        elif one.is_required():
            candidates[name] = list(TEXTS)
    tried = dict.fromkeys(candidates, 0)
    while True:
        values = {name: candidates[name][index] for name, index in tried.items()}
        try:
            model.model_validate(values)
        except ValidationError as error:
            if not _try_others(error, model.model_fields.keys() - left_out, candidates, tried):
                return None
        else:
            return Planted(
                values,
                {needle for needle in needles if needle in "".join(values.values()).replace("\\n", "\n")},
            )


def _try_others(
    error: ValidationError, names: set[str], candidates: dict[str, list[str]], tried: dict[str, int]
) -> bool:
    """Other values for the fields that are complained of, and values for those that the whole is said to lack; False if none is left."""
    for part in error.errors():
        wrong = {str(part["loc"][0])} if part["loc"] else set()
        lacking = {name for name in names - tried.keys() if name in wrong or (not wrong and name in str(part["msg"]))}
        if not wrong and not lacking:
            return False
        for name in lacking:
            candidates[name], tried[name] = list(TEXTS), 0
        for name in wrong & tried.keys() - lacking:
            tried[name] += 1
            if tried[name] == len(candidates[name]):
                return False
    return True


@cache
def _private_key(word: str) -> str:
    """A key of its own for each secret, in PEM; made once, as that takes a tenth of a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _secrets(text: str, name: str, url: str) -> list[tuple[str, set[str]]]:
    """Forms of a secret, each with what to look for of it: a word, and the JSON key file of a service account."""
    word = f"{text}-{name}"
    pem = _private_key(word)
    account = {
        "type": "service_account",
        "project_id": "project-name",
        "private_key_id": word,
        "private_key": pem,
        "client_email": "reader@project-name.iam.gserviceaccount.com",
        "client_id": "123456789012345678901",
        "token_uri": f"{url}/token",
    }
    pieces = {word, *_pieces(text)}
    return [(word, pieces), (json.dumps(account), pieces.union(*map(_pieces, pem.splitlines()[1:-1])))]


def _pieces(text: str) -> set[str]:
    """What to look for of a part of `text`: whoever shows twice as much shows one of them whole."""
    return {text[at : at + 10] for at in range(0, len(text) - 9, 10)}


def quotes(secret: str) -> list[str]:
    """What errors quote of a secret: all of it, its halves, each field and line that it is made of, each as it is often written."""
    fields = [text for text in _fields(secret) if isinstance(text, str)]
    lines = [line for text in fields for line in text.splitlines() if len(line) >= 16]
    texts = [text for whole in (secret, *fields) for text in _halves(whole)] + lines
    return [
        form
        for text in texts
        for form in (
            text,
            repr(text),
            json.dumps({"value": json.dumps(text)}),
            " ".join(text.split()),
            quote(text, safe=""),
            base64.b64encode(text.encode()).decode(),
            base64.b64encode(f"user:{text}".encode()).decode(),
        )
    ]


def _fields(secret: str) -> list[Any]:
    try:
        found = json.loads(secret)
    except ValueError:
        return []
    return list(found.values()) if isinstance(found, dict) else []


def _halves(text: str) -> tuple[str, ...]:
    middle = len(text) // 2
    return (text, text[:middle], text[middle:]) if middle >= 10 else (text,)


@dataclass(slots=True)
class Echo:
    """A cloud that answers every request with all of the request, under the status that is set.

    Attributes:
        url: its address on this machine.
        status: of its answers.
        heard: every request, whole.
    """

    url: str = ""
    status: int = 401
    heard: list[bytes] = field(default_factory=list)


@contextmanager
def echo() -> Iterator[Echo]:
    """A running one."""
    cloud = Echo()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()


def _handler(cloud: Echo) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
            said: Mapping[str, Any] = {"request": self.path, "headers": dict(self.headers), "body": body}
            text = str(self.headers.get("Authorization") or body or self.path)
            heard = json.dumps({**said, "error": text, "message": text, "errors": [{"reason": text}]}).encode()
            cloud.heard.append(heard)
            self.send_response(cloud.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(heard)))
            self.end_headers()
            self.wfile.write(heard)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
