"""Bearer tokens of the API. PostgreSQL stores only the SHA-256 of a token; the token itself is shown once, when it is issued."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from psycopg.errors import ForeignKeyViolation

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import check_name
from optiinfra_assets.vault.credential_audit import Actor, by

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

STANDING: Final = "sign-in links"
"""Name of the token that the links of `optiinfra up` act for."""

_TOKEN = re.compile(r"oi_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity that a token authenticates. `customer_id` None: all customers.

    `is_read_only`: it may change nothing at all, not even what a viewer may.
    """

    token_id: str
    name: str
    customer_id: str | None
    role: Role
    is_read_only: bool = False

    @property
    def is_platform_admin(self) -> bool:
        """Whether it is an administrator of all customers, who runs this platform."""
        return self.customer_id is None and self.role == "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """The metadata of a stored token; the token itself cannot be read. Times are UTC; `expires_at` is exclusive, None: never."""

    token_id: str
    name: str
    customer_id: str | None
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A newly issued token. Clients send `plaintext`; it can be seen only here."""

    token: Token
    plaintext: str = field(repr=False)


class TokenRepository(Repository):
    """Issues, authenticates, revokes and lists bearer tokens."""

    def issue(
        self,
        name: str,
        customer_id: str | None,
        role: Role,
        expires_at: datetime | None = None,
        actor: Actor | None = None,
    ) -> IssuedToken:
        """Issue a token and return it; it can be seen only now. The access log records it.

        Args:
            name: what it is for.
            customer_id: the customer whose data it reads; None: all customers, for admins only.
            role: what it may do.
            expires_at: UTC, exclusive; None: never.
            actor: who issues it, for the log; None: this process.

        Raises:
            ValueError: the name or role is not accepted, a role other than admin has no customer, or `expires_at` is past.
            RecordNotFound: the customer does not exist.
        """
        _check(name, customer_id, role, expires_at)
        plaintext = f"oi_{secrets.token_urlsafe(32)}"
        values = {
            **by(actor or Actor.here("platform")),
            "token_id": secrets.token_hex(6),
            "token_hash": _hash(plaintext),
            "name": name,
            "customer_id": customer_id,
            "role": role,
            "expires_at": expires_at,
        }
        try:
            (row,) = self._database.rows("create_token.sql", values)
        except ForeignKeyViolation:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist") from None
        return IssuedToken(Token(**row), plaintext)

    def authenticate(self, plaintext: str) -> Principal | None:
        """Return the principal of the token `plaintext`, None if it is unknown, malformed, expired or revoked."""
        if not _TOKEN.fullmatch(plaintext):
            return None
        return self._principal(token_hash=_hash(plaintext))

    def principal(self, token_id: str) -> Principal | None:
        """Return the principal of the token with this id, None if it is unknown, expired or revoked."""
        return self._principal(token_id=token_id)

    def _principal(self, *, token_hash: bytes | None = None, token_id: str | None = None) -> Principal | None:
        row = self._database.row("authenticate.sql", {"token_hash": token_hash, "token_id": token_id})
        if row is None:
            return None
        if row.pop("is_stale"):
            self._database.rows("touch_token.sql", {"token_id": row["token_id"]})
        return Principal(**row)

    def revoke(self, token_id: str, *, customer_id: str | None = None, actor: Actor | None = None) -> Token:
        """Revoke a token from now on; the access log records it.

        Args:
            token_id: the token to revoke.
            customer_id: revoke it only if it belongs to this customer; None: any.
            actor: who does it, for the log; None: this process.

        Raises:
            RecordNotFound: no token has that id and customer.
        """
        values = {"token_id": token_id, "customer_id": customer_id, **by(actor or Actor.here("platform"))}
        row = self._database.row("revoke_token.sql", values)
        if row is None:
            raise RecordNotFound(f"token: {token_id!r} does not exist")
        return Token(**row)

    def standing(self) -> Token:
        """Return the token that sessions of the installation's own links act for; issue it if there is none that is accepted.

        Nobody has seen it: it is there to be revoked, which ends all of those sessions.
        """
        for token in self.find():
            is_accepted = token.revoked_at is None and token.expires_at is None
            if is_accepted and token.name == STANDING and token.customer_id is None:
                return token
        return self.issue(STANDING, None, "admin").token

    def find(
        self,
        *,
        first: int | None = None,
        after: tuple[datetime, str] | None = None,
        customer_id: str | None = None,
    ) -> list[Token]:
        """Return at most `first` tokens (None: all), oldest first, after the one created at and named by `after`; also inactive ones."""
        created_at, token_id = after or (None, None)
        values = {"first": first, "customer_id": customer_id}
        rows = self._database.rows("tokens.sql", {**values, "after_created_at": created_at, "after_token_id": token_id})
        return [Token(**row) for row in rows]


def _check(name: str, customer_id: str | None, role: str, expires_at: datetime | None) -> None:
    check_name("name", name)
    if role not in ROLES:
        raise ValueError(f"role: {role!r} is not accepted: use {', '.join(ROLES)}")
    if customer_id is None and role != "admin":
        raise ValueError(f"customer: needed for role {role}: only an admin's token can be for all customers")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ValueError(f"expires_at: {expires_at.isoformat()} is past: use a later instant")


def _hash(plaintext: str) -> bytes:
    return hashlib.sha256(plaintext.encode()).digest()
