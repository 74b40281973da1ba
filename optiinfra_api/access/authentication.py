"""Authenticates bearer tokens: ``Authorization`` header in -> principal out. A refusal does not reveal what exists."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from cachetools import LRUCache

from optiinfra_api.access.login_throttle import LoginThrottle, client_network
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal

_T = TypeVar("_T")

TRUSTED_SECONDS = 5
"""How long a valid token is trusted without asking the database again; a token revoked elsewhere may still work for so long."""

_REMEMBERED = 1024


class NotAuthenticated(Exception):
    """The request has no token, or its token is not valid."""


class TooManyAttempts(Exception):
    """The client's address has failed too often; its attempts are refused for now.

    Attributes:
        seconds: how long the client has to wait.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed attempts: wait {seconds} s")
        self.seconds = seconds


class _Place:
    """The attempts from one address while there are any: how many are under way, and the queue of the others."""

    def __init__(self) -> None:
        self.under_way = 0
        self.ended = asyncio.Event()
        self.front = asyncio.Lock()


class _Attempts(LoginThrottle):
    """Counts failures, and the attempts under way, each of which may become a failure.

    At no time are more attempts under way than could all fail without exceeding the budget. Further attempts wait, mostly for
    milliseconds, until one ends, and are refused only if too many failed: many valid tokens sent at once from one address all succeed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._under_way = 0
        self._places: WeakValueDictionary[str, _Place] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait until an attempt from `address` may begin, and count it as under way for as long as the context lasts.

        Raises:
            TooManyAttempts: attempts from the address are refused.
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
        """Whether one more attempt would still be answered if all those under way failed.

        The first attempt of an address never waits, because there is none of that address to wait for.

        Raises:
            TooManyAttempts: it is refused now, however those under way end.
        """
        seconds = self.wait(address)
        if seconds:
            raise TooManyAttempts(seconds)
        here, overall = self.left(address)
        return not place.under_way or (place.under_way < here and self._under_way < overall)


class Authenticator:
    """Checks bearer tokens against `Metadata` and caches valid ones for a few seconds. `principal` is thread-safe."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._good: LRUCache[bytes, tuple[float, Principal]] = LRUCache(_REMEMBERED)
        self._attempts = _Attempts()

    async def admit(
        self, header: str | None, address: str, run: Callable[..., Awaitable[Principal | None]]
    ) -> Principal:
        """Return the principal of an ``Authorization`` header; failed attempts are counted and limited, see `login_throttle`.

        Args:
            header: None or empty if there is none. A missing header guesses nothing, so it is not counted as a failure.
            address: of the client.
            run: calls a blocking function in a thread.

        Raises:
            NotAuthenticated: the header is missing or malformed, or its token is not valid.
            TooManyAttempts: the address has failed too often, and the token was not valid lately.
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
            # Another request with the same token may have been checked while this one waited.
            return self.remembered(header) or await self._checked(header, address, run)

    async def attempt(self, address: str, check: Callable[[], Awaitable[_T | None]]) -> _T:
        """Return what `check` finds for a secret that is not a token; failed attempts count and are limited as those of `admit`.

        Raises:
            NotAuthenticated: it found None.
            TooManyAttempts: the address has failed too often.
        """
        async with self._attempts.turn(address):
            found = await check()
            if found is None:
                self._attempts.count(address)
                raise NotAuthenticated
            return found

    async def _checked(self, header: str, address: str, run: Callable[..., Awaitable[Principal | None]]) -> Principal:
        principal = await run(self.principal, header)
        if principal is None:
            self._attempts.count(address)
            raise NotAuthenticated
        self._good[_fingerprint(header)] = (time.monotonic() + TRUSTED_SECONDS, principal)
        return principal

    def remembered(self, header: str | None) -> Principal | None:
        """The principal of an ``Authorization`` header checked within the last `TRUSTED_SECONDS`, else None; never asks the database."""
        found = self._good.get(_fingerprint(header))
        return found[1] if found and found[0] > time.monotonic() else None

    def principal(self, header: str | None) -> Principal | None:
        """Look up the principal of an ``Authorization`` header; None if it is missing or malformed, or its token is not valid.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        scheme, _, token = (header or "").partition(" ")
        return self._metadata.tokens.authenticate(token.strip()) if scheme.lower() == "bearer" else None

    def forget(self, token_id: str) -> None:
        """Drop a token from the cache because it was revoked here."""
        for fingerprint, (_, principal) in list(self._good.items()):
            if principal.token_id == token_id:
                self._good.pop(fingerprint, None)


def _fingerprint(header: str | None) -> bytes:
    return hashlib.sha256((header or "").encode()).digest()
