"""Who is asking: a bearer token to a principal, or nobody. What is refused is told nothing about what exists."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from optiinfra_api.failures import Failures
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.tokens import Principal

TRUSTED_SECONDS = 5
"""How long a token is taken as good without asking the database again; so long may one revoked elsewhere still work."""

_REMEMBERED = 1024


class NotAuthenticated(Exception):
    """No token, or none that is good."""


class TooManyFailures(Exception):
    """The client's address has failed too often to be heard now.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed attempts: wait {seconds} s")
        self.seconds = seconds


class Authenticator:
    """Bearer tokens checked against `Metadata`, with a short memory of good ones. `principal` is safe for threads."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._good: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._failures = Failures()

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
            TooManyFailures: the address has failed too often, and the token is none that was good lately.
            MetadataUnavailable: PostgreSQL does not answer.
        """
        known = self.remembered(header)
        if known is not None:
            return known
        if not header:
            raise NotAuthenticated
        seconds = self._failures.wait(address)
        if seconds and _fingerprint(header) not in self._good:
            raise TooManyFailures(seconds)
        principal = await run(self.principal, header)
        if principal is None:
            self._failures.count(address)
            raise NotAuthenticated
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
        if scheme.lower() != "bearer":
            return None
        principal = self._metadata.authenticate(token.strip())
        if principal is not None:
            self._good[_fingerprint(header)] = (time.monotonic() + TRUSTED_SECONDS, principal)
            if len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)
        return principal

    def forget(self, token_id: str) -> None:
        """Ask the database about a token again, since it was revoked here."""
        for fingerprint, (_, principal) in list(self._good.items()):
            if principal.token_id == token_id:
                self._good.pop(fingerprint, None)


def _fingerprint(header: str | None) -> bytes:
    return hashlib.sha256((header or "").encode()).digest()
