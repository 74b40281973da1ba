"""Bearer tokens of the API. Only the SHA-256 of a token is stored; the token itself is shown once, when it is made."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from psycopg.errors import ForeignKeyViolation

from optiinfra_assets.store.errors import NotFound
from optiinfra_assets.store.postgres import Database

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

_TOKEN = re.compile(r"oi_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for. `customer_id` None: all customers."""

    token_id: str
    name: str
    customer_id: str | None
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """A stored token, without what it takes to use it. Times are UTC; `expires_at` is exclusive, None: never."""

    token_id: str
    name: str
    customer_id: str | None
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class Tokens(Database):
    """The part of `Metadata` on bearer tokens."""

    def create_token(
        self, name: str, customer_id: str | None, role: Role, expires_at: datetime | None = None
    ) -> str:
        """Make a token and return it: this is the only time it can be seen. `customer_id` None: all customers, for admins.

        Raises:
            ValueError: the role is not accepted, or `expires_at` (UTC, exclusive) is past.
            NotFound: the customer does not exist.
        """
        _check(customer_id, role, expires_at)
        plaintext = f"oi_{secrets.token_urlsafe(32)}"
        values = {
            "token_id": secrets.token_hex(6),
            "token_hash": _hash(plaintext),
            "name": name,
            "customer_id": customer_id,
            "role": role,
            "expires_at": expires_at,
        }
        try:
            self._rows("create_token.sql", values)
        except ForeignKeyViolation:
            raise NotFound(f"customer: {customer_id!r} does not exist") from None
        return plaintext

    def authenticate(self, plaintext: str) -> Principal | None:
        """Who `plaintext` speaks for; None if it is unknown, malformed, expired or revoked."""
        if not _TOKEN.fullmatch(plaintext):
            return None
        row = self._row("authenticate.sql", {"token_hash": _hash(plaintext)})
        if row is None:
            return None
        if row.pop("is_stale"):
            self._rows("touch_token.sql", {"token_id": row["token_id"]})
        return Principal(**row)

    def revoke_token(self, token_id: str) -> None:
        """Refuse a token from now on.

        Raises:
            NotFound: there is none of that id.
        """
        if self._row("revoke_token.sql", {"token_id": token_id}) is None:
            raise NotFound(f"token: {token_id!r} does not exist")

    def tokens(self) -> list[Token]:
        """All tokens, also expired and revoked ones, oldest first."""
        return [Token(**row) for row in self._rows("tokens.sql")]


def _check(customer_id: str | None, role: str, expires_at: datetime | None) -> None:
    if role not in ROLES:
        raise ValueError(f"role: {role!r} is not accepted: use {', '.join(ROLES)}")
    if customer_id is None and role != "admin":
        raise ValueError(f"customer: needed for role {role}: only an admin's token can be for all customers")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ValueError(f"expires_at: {expires_at.isoformat()} is past: use a later instant")


def _hash(plaintext: str) -> bytes:
    return hashlib.sha256(plaintext.encode()).digest()
