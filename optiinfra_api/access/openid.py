"""Signs people in at an OpenID Connect provider: authorization code with PKCE, state and nonce, and an ID token that the provider signed.

OpenID Connect Core 1.0 (section 3.1), Discovery 1.0 (section 4), RFC 7636 (PKCE) and RFC 9207 (`iss` of an answer). Of the whole sign-in
this side keeps one secret, in the browser: state, nonce and code verifier are derived from it. Nothing of a token is stored. What the
provider names is asked for anew at each sign-in, as people sign in rarely and keys change.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from optiinfra_api.access.sessions import SignInRefused, SignInUnavailable
from optiinfra_assets.metadata.web_sessions import Person
from optiinfra_assets.providers.http.endpoint_policy import check_endpoint
from optiinfra_assets.settings import Settings

ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
]
"""Signatures by keys of the provider. None by a shared secret, and never none at all."""

_SECONDS: Final = 10
_SECONDS_IN_ALL: Final = 30
_LEEWAY: Final = 60
_MOST_BYTES: Final = 1024 * 1024
_LONGEST_NAME: Final = 100
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_NAMES: Final = ("email", "preferred_username", "name", "sub")


class OpenId:
    """The provider of the settings.

    Args:
        secret: that of the client; None: it has none.
        clock: seconds since 1970, by which tokens expire.
    """

    def __init__(self, settings: Settings, secret: str | None, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._issuer = settings.oidc_issuer

    @classmethod
    def configured(cls, settings: Settings) -> OpenId | None:
        """The provider of the settings, None if there is none.

        Raises:
            ValueError: a setting is not accepted, or missing beside the others.
        """
        if not settings.oidc_issuer:
            return None
        try:
            check_endpoint(settings.oidc_issuer)
        except ValueError as error:
            raise ValueError(f"OPTIINFRA_OIDC_ISSUER: {settings.oidc_issuer!r} is not accepted: {error}") from None
        if not settings.oidc_client_id:
            raise ValueError("OPTIINFRA_OIDC_CLIENT_ID: needed together with OPTIINFRA_OIDC_ISSUER")
        if not settings.oidc_roles:
            raise ValueError("OPTIINFRA_OIDC_ROLES: needed together with OPTIINFRA_OIDC_ISSUER: nobody could sign in")
        return cls(settings, settings.read_oidc_client_secret())

    async def address(self, redirect_uri: str, secret: str) -> str:
        """The address at the provider where a browser signs in and is led back to `redirect_uri`.

        Raises:
            SignInUnavailable: the provider does not say where.
        """
        async with self._asking(redirect_uri) as client:
            found = await self._discovered(client)
            address, _ = client.create_authorization_url(
                found["authorization_endpoint"],
                state=_derived(secret, "state"),
                code_verifier=_derived(secret, "verifier"),
                nonce=self.nonce(secret),
            )
            return str(address)

    def is_state(self, state: str, secret: str) -> bool:
        """Whether an answer of the provider belongs to the sign-in that this browser began."""
        return hmac.compare_digest(state.encode(), _derived(secret, "state").encode())

    def nonce(self, secret: str) -> str:
        """What the ID token of this sign-in must name."""
        return _derived(secret, "nonce")

    async def person(self, answer: Mapping[str, str], redirect_uri: str, secret: str) -> Person:
        """Who signed in, by the parameters with which the provider led the browser back.

        Raises:
            SignInRefused: the provider refused, its token is not accepted, or no group of the person may come in.
            SignInUnavailable: the provider does not answer, or not as it should.
        """
        if answer.get("iss", self._issuer) != self._issuer:
            raise SignInRefused("The answer is of another identity provider.")
        if "code" not in answer:
            raise SignInRefused(f"The identity provider refused: {_printable(answer.get('error', 'no reason given'))}.")
        async with self._asking(redirect_uri) as client:
            found = await self._discovered(client)
            try:
                token = await client.fetch_token(
                    found["token_endpoint"], code=answer["code"], code_verifier=_derived(secret, "verifier")
                )
            except AuthlibBaseError as error:
                raise SignInRefused(f"The identity provider refused: {_printable(str(error.error))}.") from None
            keys = await self._json(client, found["jwks_uri"])
        claims = self._claims(token.get("id_token"), keys, secret)
        return self._person(claims)

    def _claims(self, id_token: Any, keys: Any, secret: str) -> dict[str, Any]:
        """The claims of an ID token, all of whose checks hold (OpenID Connect Core 1.0, section 3.1.3.7)."""
        try:
            token = jwt.decode(str(id_token), _readable_keys(keys["keys"]), algorithms=ALGORITHMS)
            claims: dict[str, Any] = token.claims
            needed: dict[str, Any] = {
                "iss": {"essential": True, "value": self._issuer},
                "aud": {"essential": True, "value": self._settings.oidc_client_id},
                "nonce": {"essential": True, "value": self.nonce(secret)},
                "sub": {"essential": True},
                "exp": {"essential": True},
                "iat": {"essential": True},
            }
            jwt.JWTClaimsRegistry(now=lambda: int(self._clock()), leeway=_LEEWAY, **needed).validate(claims)
            claims["sub"].encode()
        except (JoseError, ValueError, TypeError, KeyError):
            raise SignInRefused("The token of the identity provider is not accepted. Sign in again.") from None
        if claims.get("azp", self._settings.oidc_client_id) != self._settings.oidc_client_id:
            raise SignInRefused("The token of the identity provider is for another program.")
        return claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        name = next((_printable(text) for one in _NAMES if isinstance(text := claims.get(one), str) and text), "")
        groups = claims.get(self._settings.oidc_groups_claim)
        held = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        may = next((one for one in self._settings.oidc_roles if one.group in held), None)
        if may is None:
            raise SignInRefused(
                f"You signed in as {name}, but none of your groups may come in here. "
                "Ask who runs this platform to give one of them a role."
            )
        return Person(self._issuer, str(claims["sub"]), name, may.customer, may.role)

    @asynccontextmanager
    async def _asking(self, redirect_uri: str) -> AsyncIterator[Any]:
        """A client that asks the provider, waits for some seconds, in all too, and follows no redirect."""
        client = AsyncOAuth2Client(
            self._settings.oidc_client_id,
            self._secret,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            scope=self._settings.oidc_scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_SECONDS,
            follow_redirects=False,
            # Not packed: what is packed is of no known length.
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [_bound]},
        )
        with _answering():
            async with asyncio.timeout(_SECONDS_IN_ALL), client:
                yield client

    async def _discovered(self, client: Any) -> dict[str, str]:
        """The endpoints of the provider, each of which may be asked."""
        found = await self._json(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise SignInUnavailable("The identity provider calls itself by another name than OPTIINFRA_OIDC_ISSUER.")
        endpoints = {name: str(found.get(name, "")) for name in _ENDPOINTS}
        for name, url in endpoints.items():
            self._check(name, url)
        return endpoints

    def _check(self, name: str, url: str) -> None:
        """Only https is asked, but for a provider on this machine, which names addresses of this machine."""
        try:
            check_endpoint(url.partition("?")[0])
            httpx2.URL(url)
        except (ValueError, httpx2.InvalidURL):
            raise SignInUnavailable(f"The {name} of the identity provider is not accepted.") from None
        if url.startswith("http:") and not self._issuer.startswith("http:"):
            raise SignInUnavailable(f"The {name} of the identity provider is without https.")

    async def _json(self, client: Any, url: str) -> dict[str, Any]:
        """A JSON object of the provider."""
        response = await client.request("GET", url, withhold_token=True)
        response.raise_for_status()
        found = response.json()
        if not isinstance(found, dict):
            raise SignInUnavailable("The identity provider does not answer as it should.")
        return found


@dataclass(frozen=True, slots=True)
class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to `_MOST_BYTES`."""

    body: Any

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self.body:
            length += len(chunk)
            if length > _MOST_BYTES:
                raise SignInUnavailable("The identity provider answers too much.")
            yield chunk

    async def aclose(self) -> None:
        """End the answer."""
        await self.body.aclose()


async def _bound(response: httpx2.Response) -> None:
    """Read no more of an answer than it may have, before anything of it is read."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise SignInUnavailable("The identity provider sends packed answers, which were not asked for.")
    response.stream = _Bounded(response.stream)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (httpx2.HTTPError, TimeoutError):
        raise SignInUnavailable("The identity provider does not answer. Try again, or sign in with a token.") from None
    except (ValueError, OverflowError, RecursionError):
        raise SignInUnavailable("The identity provider does not answer as it should.") from None


def _readable_keys(found: Iterable[Any]) -> KeySet:
    """The keys that can be read; others, of a kind that a provider uses for something else, are ignored (RFC 7517, section 5)."""
    keys: list[Any] = []
    for one in found:
        with suppress(JoseError, ValueError, TypeError, KeyError):
            keys += KeySet.import_key_set({"keys": [one]}).keys
    return KeySet(keys)


def _derived(secret: str, what: str) -> str:
    """43 characters that only who knows `secret` knows."""
    digest = hmac.digest(secret.encode(), f"optiinfra openid {what}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _printable(text: str) -> str:
    shown = "".join(one for one in text if one.isprintable()).strip()
    return shown[:_LONGEST_NAME].strip() or "unknown"
