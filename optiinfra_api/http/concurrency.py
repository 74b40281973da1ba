"""Limits how many requests of one token may be under way at a time, in this process, and lets requests of one customer take turns."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

from optiinfra_api.http.http_errors import HttpError

RETRY_SECONDS = 1


class ConcurrencyLimit:
    """Counts the requests under way by token. Belongs to one event loop."""

    def __init__(self, most: int, what: str, setting: str) -> None:
        """
        Args:
            most: requests of one token at a time.
            what: the name of what is counted, in the plural.
            setting: the environment variable that sets `most`.
        """
        self._most = most
        self._what = what
        self._setting = setting
        self._inside: Counter[str] = Counter()

    @contextmanager
    def passing(self, token_id: str) -> Iterator[None]:
        """Count a request of a token as under way for as long as the context lasts.

        Raises:
            HttpError: 429, because too many requests of the token are under way.
        """
        if self._inside[token_id] >= self._most:
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                f"the token has {self._most} {self._what} under way; at most {self._most} are accepted ({self._setting})",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        self._inside[token_id] += 1
        try:
            yield
        finally:
            self._inside[token_id] -= 1
            if not self._inside[token_id]:
                del self._inside[token_id]


class Turns:
    """Lets one caller of each key pass at a time; the others wait, in the order they came, without a thread. Belongs to one event loop."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._callers: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn of a caller of `key`, and hold it for as long as the context lasts."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._callers[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._callers[key] -= 1
            if not self._callers[key]:
                del self._callers[key], self._locks[key]
