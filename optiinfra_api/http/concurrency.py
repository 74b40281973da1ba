"""Limits how many requests of one token, and of one customer, may be under way at a time, and lets requests of a customer take turns.

All of it counts in one process. A customer may have any number of tokens, so a limit for tokens alone would leave nothing to others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Final

from optiinfra_api.http.http_errors import HttpError
from optiinfra_assets.metadata.tokens import Principal

RETRY_SECONDS = 1
CUSTOMER_SHARE: Final = 2
"""Requests of one customer that may be under way, in times of those of one token."""


class ConcurrencyLimit:
    """Counts the requests under way by token and by customer. Belongs to one event loop."""

    def __init__(self, most: int, what: str, setting: str) -> None:
        """
        Args:
            most: requests of one token at a time; a customer's tokens have `CUSTOMER_SHARE` times as many together.
            what: the name of what is counted, in the plural.
            setting: the environment variable that sets `most`.
        """
        self._most = most
        self._what = what
        self._setting = setting
        self._inside: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def passing(self, principal: Principal) -> Iterator[None]:
        """Count a request as under way for as long as the context lasts.

        Raises:
            HttpError: 429, because too many requests of the token, or of its customer, are under way.
        """
        keys = [("token", principal.token_id)]
        if principal.customer_id is not None:
            keys.append(("customer", principal.customer_id))
        for kind, key in keys:
            self._refuse_more(kind, self._inside[kind, key])
        self._inside.update(keys)
        try:
            yield
        finally:
            self._inside.subtract(keys)
            for one in keys:
                if not self._inside[one]:
                    del self._inside[one]

    def _refuse_more(self, kind: str, count: int) -> None:
        most, setting = self._most, self._setting
        if kind == "customer":
            most, setting = CUSTOMER_SHARE * self._most, f"{CUSTOMER_SHARE} times {self._setting}"
        if count >= most:
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                f"the {kind} has {count} {self._what} under way; at most {most} are accepted ({setting})",
                {"Retry-After": str(RETRY_SECONDS)},
            )


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
