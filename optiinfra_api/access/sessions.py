"""Sessions of browsers: a token of ours, or a one-time link, opens one; a cookie names it. All of its state is in PostgreSQL.

Who signs in, is refused or signs out is in the access audit log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

from starlette.requests import HTTPConnection

from optiinfra_api.access.authentication import Authenticator, NotAuthenticated, TooManyAttempts
from optiinfra_api.access.refused_sign_ins import RefusedSignIns
from optiinfra_api.access.request_authentication import ORIGIN, address
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.access_audit import SignInBy
from optiinfra_assets.metadata.web_sessions import Person, WebSession

_T = TypeVar("_T")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE: Final = "optiinfra_session"


class SignInRefused(Exception):
    """Somebody is not let in by OpenID Connect; the message is for him."""


class SignInUnavailable(Exception):
    """The identity provider does not answer, or not as it should; the message is for who signs in."""


class ThreadRunner(Protocol):
    """Runs a blocking function in a thread."""

    async def __call__(self, work: Callable[..., _T], /, *args: object) -> _T: ...


class Sessions:
    """Opens, finds and ends sessions, for one process.

    Args:
        run: how blocking functions are called.
    """

    def __init__(self, metadata: Metadata, authenticator: Authenticator, run: ThreadRunner = asyncio.to_thread) -> None:
        self._sessions = metadata.web_sessions
        self._authenticator = authenticator
        self._run = run
        self._refused = RefusedSignIns(metadata.access_audit, run)

    async def open_by_token(self, token: str, origin: str) -> str:
        """Return the secret of a new session that acts for `token`.

        Args:
            token: as its owner typed it.
            origin: address of the client.

        Raises:
            NotAuthenticated: the token is not valid.
            TooManyAttempts: the address has failed too often.
            MetadataUnavailable: PostgreSQL does not answer.
        """
        async with self._noting_refusal("token", token, origin):
            principal = await self._authenticator.admit(f"Bearer {token}", origin, self._run)
            secret = await self._run(self._sessions.open, principal.token_id, origin)
            if secret is None:
                raise NotAuthenticated
            return secret

    async def open_by_link(self, link: str, origin: str) -> str:
        """Use up a one-time link and return the secret of the session that it opens.

        Raises:
            NotAuthenticated: the link was used before, has expired, or is none.
            TooManyAttempts, MetadataUnavailable: as in `open_by_token`.
        """
        async with self._noting_refusal("link", link, origin):
            return await self._authenticator.attempt(
                origin, lambda: self._run(self._sessions.open_by_link, link, origin)
            )

    async def open_for_person(self, finding: Callable[[], Awaitable[Person]], nonce: str, origin: str) -> str:
        """Return the secret of a new session for the person that `finding` finds; `nonce` is accepted once.

        Raises:
            SignInRefused: `finding` raised it, or the nonce was used before, or the person's customer does not exist.
            SignInUnavailable: `finding` raised it.
            TooManyAttempts, MetadataUnavailable: as in `open_by_token`.
        """
        refused: list[SignInRefused] = []

        async def opened() -> str | None:
            try:
                person = await finding()
                return await self._run(self._sessions.open_for_person, person, nonce, origin)
            except SignInRefused as why:
                refused.append(why)
            except RecordNotFound as why:
                refused.append(SignInRefused(f"Your group leads to a customer that does not exist ({why})."))
            return None

        try:
            return await self._authenticator.attempt(origin, opened)
        except NotAuthenticated:
            await self._refused.add_unread("OpenID Connect", origin)
            raise (refused or [SignInRefused("This sign-in was completed before.")])[0] from None
        except TooManyAttempts:
            await self._refused.add_unread("OpenID Connect", origin)
            raise

    @asynccontextmanager
    async def _noting_refusal(self, how: SignInBy, secret: str, origin: str) -> AsyncIterator[None]:
        try:
            yield
        except NotAuthenticated:
            await self._refused.add(how, secret, origin)
            raise
        except TooManyAttempts:
            await self._refused.add_unread(how, origin)
            raise

    async def of(self, connection: HTTPConnection) -> WebSession | None:
        """The session that a request's cookie names, None if it names none that is still open.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        secret = session_secret(connection)
        return await self._run(self._sessions.find, secret) if secret else None

    async def end(self, connection: HTTPConnection, why: str | None = None) -> None:
        """End the session that a request's cookie names, if there is one; `why` is for the log.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        secret = session_secret(connection)
        if secret:
            await self._run(self._sessions.end, secret, address(connection), why)


def session_secret(connection: HTTPConnection) -> str | None:
    """The secret in a request's cookie; None if there is none, or it cannot be one of ours.

    Over https only the name counts that a browser accepts from this very host: a neighbour below the same domain can set any other, and
    so have somebody work, and type secrets, in a session of its own.
    """
    is_https = connection.scope.get(ORIGIN, "").startswith("https:")
    for name in (f"__Host-{_COOKIE}", *(() if is_https else (_COOKIE,))):
        secret = connection.cookies.get(name, "")
        if _SECRET.fullmatch(secret):
            return secret
    return None


def session_cookie(secret: str, *, is_https: bool) -> str:
    """The value of ``Set-Cookie`` that gives a browser its session, until the browser is closed.

    Over https the browser sends it over https only, and accepts it from this very host only (RFC 6265bis, section 4.1.3.2).
    """
    prefix, secure = ("__Host-", "; Secure") if is_https else ("", "")
    return f"{prefix}{_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"


def no_session_cookie(*, is_https: bool) -> str:
    """The value of ``Set-Cookie`` that makes a browser forget its session."""
    return f"{session_cookie('', is_https=is_https)}; Max-Age=0"
