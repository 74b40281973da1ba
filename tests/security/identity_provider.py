"""An OpenID Connect provider on a loopback port: discovery, keys, and a token endpoint that checks code, client and PKCE."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey
from loopback import served

CLIENT, CLIENT_SECRET = "optiinfra-test", "PLANTED-client-secret"


@dataclass
class IdentityProvider:
    """What it answers may be changed from test to test.

    Attributes:
        person: claims of who signs in.
        changed: claims of the next ID token that differ from what they must be; None: left out.
        algorithm: the next ID token is signed with; ``none``: it is not signed; ``HS256``: with the public key as a secret.
        key: signs; its public half is published.
        discovery: what discovery says otherwise.
        fault: the status that the token endpoint answers instead.
        raw: what a path answers instead, whatever it is asked: a status and a body.
        encoding: how the bodies of `raw` are packed.
        signing: a key of somebody else that signs the next ID token.
        seen: the forms that the token endpoint got.
        asked_back: where the last sign-in is led back to.
    """

    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    person: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    discovery: dict[str, Any] = field(default_factory=dict)
    fault: int | None = None
    raw: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    encoding: str = "identity"
    signing: RSAKey | None = None
    seen: list[dict[str, str]] = field(default_factory=list)
    asked_back: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def reset(self) -> None:
        """Let it be as it must be."""
        self.person = {"sub": "person-1", "email": "ana@example.com", "groups": ["staff", "web"]}
        self.changed, self.discovery, self.raw, self.encoding = {}, {}, {}, "identity"
        self.algorithm, self.fault, self.signing = "RS256", None, None

    def signed_in(self, address: str) -> dict[str, str]:
        """The parameters with which it leads the browser back after a sign-in at `address`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        self.asked_back = asked["redirect_uri"]
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The answer to a request."""
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return 200, {
                "issuer": self.url,
                **{name: f"{self.url}/{end}" for name, end in ends.items()},
                **self.discovery,
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        self.seen.append(form)
        asked = self._codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or authorization != f"Basic {basic}" or asked["code_challenge"] != _base64(challenge):
            return 400, {"error": "invalid_grant"}
        assert form["redirect_uri"] == asked["redirect_uri"]
        return self.fault or 200, {
            "access_token": "PLANTED-access",
            "token_type": "Bearer",
            "id_token": self._token(asked),
        }

    def _token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT, "nonce": asked["nonce"], "iat": now, "exp": now + 300, **self.person}
        claims = {name: value for name, value in {**usual, **self.changed}.items() if value is not None}
        if self.algorithm in ("none", "HS256"):
            header = {"alg": self.algorithm, "typ": "JWT", "kid": "1"}
            signed = ".".join(_base64(json.dumps(one).encode()) for one in (header, claims))
            digest = hmac.digest(self.key.as_pem(private=False), signed.encode(), hashlib.sha256)
            return f"{signed}.{_base64(digest) if self.algorithm == 'HS256' else ''}"
        # ASCII, so that a claim may be half of a character.
        return jws.serialize_compact(
            {"alg": self.algorithm, "kid": "1"}, json.dumps(claims).encode(), self.signing or self.key
        )


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """One that answers as long as the context is open."""
    found = IdentityProvider()
    found.reset()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                back = found.signed_in(self.path)
                self.send_response(302)
                self.send_header("Location", f"{found.asked_back}?{urlencode(back)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            length = int(self.headers.get("Content-Length", 0))
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            status, body = found.answer(self.path, form, self.headers.get("Authorization", ""))
            status, content = found.raw.get(self.path, (status, json.dumps(body).encode()))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Encoding", found.encoding if self.path in found.raw else "identity")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with served(Handler) as url:
        found.url = url
        yield found
