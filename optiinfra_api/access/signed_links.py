"""Links that read one thing for some days without a token: path and parameters, signed for the token that made them.

A link is a bearer: whoever has it reads what it names, as a viewer of its token's customer, until it expires or its token is revoked.
Nothing in it can be changed, and it holds no secret: `token` is the id of the token, which opens nothing. The signature is an
HMAC-SHA256 (RFC 2104) under a key of the installation, of which the database knows nothing: who reads the database can make no link.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from optiinfra_assets.settings import Settings

KEY_FILE: Final = "link.key"
DAYS: Final = 7
MOST_DAYS: Final = 90
SIGNATURE: Final = "signature"
_ADDED: Final = frozenset({"token", "expires", SIGNATURE})

Pairs = Sequence[tuple[str, str]]
Clock = Callable[[], datetime]


class LinkSigner:
    """Signs links, and checks signatures."""

    def __init__(self, settings: Settings, clock: Clock = lambda: datetime.now(UTC)) -> None:
        """
        Args:
            settings: the key, or the folder of the file with it, which is made when it is first needed.
            clock: tells what has expired.
        """
        self._given = settings.link_key
        self._file = settings.home / KEY_FILE
        self._clock = clock

    def signed(self, path: str, pairs: Pairs, token_id: str, expires_at: datetime) -> str:
        """The link: `path` with `pairs`, the token's id, the end of its time (exclusive, in whole seconds) and the signature."""
        signed = [*pairs, ("token", token_id), ("expires", str(int(expires_at.timestamp())))]
        return f"{path}?{urlencode([*signed, (SIGNATURE, self._signature(path, signed))])}"

    def token_id(self, path: str, given: QueryParams) -> str | None:
        """The id of the token that a link acts for, None if it has expired, or is none that we signed."""
        pairs = [(name, value) for name, value in given.multi_items() if name != SIGNATURE]
        expected = self._signature(path, pairs).encode()
        if not hmac.compare_digest(expected, given[SIGNATURE].encode()) or len(given.getlist(SIGNATURE)) > 1:
            return None
        # Signed, so they are there, and as `signed` wrote them.
        return given["token"] if int(given["expires"]) > self._clock().timestamp() else None

    def _signature(self, path: str, pairs: Pairs) -> str:
        return hmac.new(self._key(), f"{path}?{urlencode(pairs)}".encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        if self._given is not None:
            return self._given.get_secret_value().encode()
        with suppress(FileNotFoundError):
            return self._file.read_bytes()
        return _made(self._file)


def _made(file: Path) -> bytes:
    """Make the file with a new key; if another process makes it at the same time, the key of one of them counts for both."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
    return file.read_bytes()


def unsigned(given: QueryParams) -> QueryParams:
    """The parameters of a request without those that a signed link adds."""
    if SIGNATURE not in given:
        return given
    return QueryParams([(name, value) for name, value in given.multi_items() if name not in _ADDED])
