"""Who is asking: a bearer token to a principal, or nobody. What is refused is told nothing about what exists."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from cachetools import LRUCache

from optiinfra_api.access.login_throttle import LoginThrottle, client_network
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal

TRUSTED_SECONDS = 5
"""How long a token is taken as good without asking the database again; so long may one revoked elsewhere still work."""

_REMEMBERED = 1024


class NotAuthenticated(Exception):
    """No token, or none that is good."""


class TooManyAttempts(Exception):
    """The client's address has failed too often to be heard now.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed attempts: wait {seconds} s")
        self.seconds = seconds


class _Place:
    """The attempts that come from one address, as long as there are any: how many are under way, and the queue of the others."""

    def __init__(self) -> None:
        self.under_way = 0
        self.ended = asyncio.Event()
        self.front = asyncio.Lock()


class _Attempts(LoginThrottle):
    """Failures, and the attempts under way, each of which may become one.

    At no time are more under way than would be heard one after another. What is over that waits, mostly for milliseconds, until one of
    them ends, and is refused only if they failed: so many good tokens at one time from one address are all heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self._under_way = 0
        self._places: WeakValueDictionary[str, _Place] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Be under way from `address`, as soon as that is possible, for as long as the context lasts.

        Raises:
            TooManyAttempts: the address is not heard.
        """
        place = self._places.setdefault(client_network(address), _Place())
        async with place.front:
            while not self._has_room(address, place):
                place.ended.clear()
                await place.ended.wait()
            place.under_way += 1
            self._under_way += 1
        try:
            yield
        finally:
            place.under_way -= 1
            self._under_way -= 1
            place.ended.set()

    def _has_room(self, address: str, place: _Place) -> bool:
        """Whether one more would still be heard if all under way failed.

        The first of a place never waits, as there would be nobody of that place to wait for.

        Raises:
            TooManyAttempts: it would not, whatever becomes of those.
        """
        seconds = self.wait(address)
        if seconds:
            raise TooManyAttempts(seconds)
        here, overall = self.left(address)
        return not place.under_way or (place.under_way < here and self._under_way < overall)


class Authenticator:
    """Bearer tokens checked against `Metadata`, with a short memory of good ones. `principal` is safe for threads."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._good: LRUCache[bytes, tuple[float, Principal]] = LRUCache(_REMEMBERED)
        self._attempts = _Attempts()

    async def admit(
        self, header: str | None, address: str, run: Callable[..., Awaitable[Principal | None]]
    ) -> Principal:
        """The principal of an ``Authorization`` header; failed attempts are counted and limited, see `failures`.

        Args:
            header: None or empty if there is none, which guesses nothing and is not counted.
            address: of the client.
            run: calls a function that blocks in a thread.

        Raises:
            NotAuthenticated: the header is missing, malformed, or its token is not good.
            TooManyAttempts: the address has failed too often, and the token is none that was good lately.
            MetadataUnavailable: PostgreSQL does not answer.
        """
        known = self.remembered(header)
        if known is not None:
            return known
        if not header:
            raise NotAuthenticated
        if _fingerprint(header) in self._good:
            return await self._checked(header, address, run)
        async with self._attempts.turn(address):
            # Another request with the same token may have had the turn before.
            return self.remembered(header) or await self._checked(header, address, run)

    async def _checked(self, header: str, address: str, run: Callable[..., Awaitable[Principal | None]]) -> Principal:
        principal = await run(self.principal, header)
        if principal is None:
            self._attempts.count(address)
            raise NotAuthenticated
        self._good[_fingerprint(header)] = (time.monotonic() + TRUSTED_SECONDS, principal)
        return principal

    def remembered(self, header: str | None) -> Principal | None:
        """The principal of an ``Authorization`` header checked within the last seconds; never asks the database."""
        found = self._good.get(_fingerprint(header))
        return found[1] if found and found[0] > time.monotonic() else None

    def principal(self, header: str | None) -> Principal | None:
        """The principal of an ``Authorization`` header; None if it is missing, malformed, or its token is not good.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        scheme, _, token = (header or "").partition(" ")
        return self._metadata.tokens.authenticate(token.strip()) if scheme.lower() == "bearer" else None

    def forget(self, token_id: str) -> None:
        """Ask the database about a token again, since it was revoked here."""
        for fingerprint, (_, principal) in list(self._good.items()):
            if principal.token_id == token_id:
                self._good.pop(fingerprint, None)


def _fingerprint(header: str | None) -> bytes:
    return hashlib.sha256((header or "").encode()).digest()
