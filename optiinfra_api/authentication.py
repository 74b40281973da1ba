"""Who is asking: a bearer token to a principal, or nobody. What is refused is told nothing about what exists."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.tokens import Principal

TRUSTED_SECONDS = 5
"""How long a token is taken as good without asking the database again; so long may a revoked one still work."""

_REMEMBERED = 1024


class Authenticator:
    """Bearer tokens checked against `Metadata`, with a short memory of good ones. Safe for threads."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._good: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

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


def _fingerprint(header: str | None) -> bytes:
    return hashlib.sha256((header or "").encode()).digest()
