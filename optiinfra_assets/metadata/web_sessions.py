"""Sessions of browsers, and the links that open one. PostgreSQL stores only the SHA-256 of the secret of each.

A session acts for a token: it is over when the token is revoked or expires, at the next request. A link opens one session, once.
Sign-ins and sign-outs are in the access audit log.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from psycopg.errors import ForeignKeyViolation

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.metadata.access_audit import SignInBy
from optiinfra_assets.metadata.tokens import Principal, Role

IDLE: Final = timedelta(hours=1)
"""A session that is not used for so long is over."""

AT_MOST: Final = timedelta(hours=12)
"""A session is over after this time, however much it is used: a page that is open asks by itself."""

LINK_LASTS: Final = timedelta(minutes=15)
LINK_PATH: Final = "/sign-in/link/"
"""Where the web interfaces accept a link; its secret comes after it."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """What a signed-in browser may do: what its token may, but no change if `is_read_only`."""

    principal: Principal
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom an identity provider vouches for, and what he may do here.

    Attributes:
        issuer: the provider.
        subject: who it is for the provider, for ever.
        name: what to call him.
        customer_id: whose data he reads; None: those of all customers, for administrators only.
    """

    issuer: str
    subject: str
    name: str
    customer_id: str | None
    role: Role


class WebSessionRepository(Repository):
    """Opens, finds and ends sessions. A secret is returned once, when it is made."""

    def open(self, token_id: str, origin: str) -> str | None:
        """Open a session for a token and return its secret; None if the token is not accepted now.

        `origin` is the address of the client, for the log.
        """
        return self._add("session", token_id, origin=origin, is_read_only=False, lasts=IDLE, at_most=AT_MOST)

    def open_for_person(self, person: Person, nonce: str, origin: str) -> str | None:
        """Open a session for a person whom an identity provider vouches for, and return its secret; None if `nonce` was used before.

        Raises:
            RecordNotFound: there is no such customer.
        """
        identity = hashlib.sha256(f"{person.issuer}\n{person.subject}".encode()).hexdigest()
        values: dict[str, Any] = {
            "token_id": f"oidc-{identity[:20]}",
            "token_hash": secrets.token_bytes(32),
            "name": person.name,
            "customer_id": person.customer_id,
            "role": person.role,
            "lasts": AT_MOST,
        }
        with self._database.transaction():
            if not self._database.rows("openid_use.sql", {"nonce_hash": _hash(nonce)}):
                return None
            try:
                self._database.rows("person_token.sql", values)
            except ForeignKeyViolation:
                raise RecordNotFound(f"customer: {person.customer_id!r} does not exist") from None
            times = {"lasts": IDLE, "at_most": AT_MOST}
            how: SignInBy = "OpenID Connect"
            return self._add("session", values["token_id"], origin=origin, is_read_only=False, how=how, **times)

    def make_link(self, token_id: str, *, is_read_only: bool = False, lasts: timedelta = LINK_LASTS) -> str:
        """Return the secret of a new link that opens one session for a token.

        Args:
            token_id: the token that the session acts for.
            is_read_only: the session may change nothing.
            lasts: how long the link is accepted.

        Raises:
            RecordNotFound: there is no such token, or it was revoked or has expired.
        """
        secret = self._add("link", token_id, is_read_only=is_read_only, lasts=lasts, at_most=lasts)
        if secret is None:
            raise RecordNotFound(f"token: {token_id!r} does not exist, was revoked, or has expired")
        return secret

    def open_by_link(self, link: str, origin: str) -> str | None:
        """Use up a link, for a client at the address `origin`, and return the secret of the session that it opens.

        None: it was used, has expired, or never was, or its token is not accepted any more.
        """
        secret = secrets.token_urlsafe(32)
        values = {"secret_hash": _hash(secret), "link_hash": _hash(link), "origin": origin}
        opened = self._database.rows("web_session_by_link.sql", {**values, "lasts": IDLE, "at_most": AT_MOST})
        return secret if opened else None

    def find(self, secret: str) -> WebSession | None:
        """Return the session with that secret, and renew it; None if there is none, or it is over."""
        values = {"secret_hash": _hash(secret), "lasts": IDLE, "at_most": AT_MOST}
        row = self._database.row("web_session_find.sql", values)
        if row is None:
            return None
        if row.pop("is_stale"):
            self._database.rows("web_session_renew.sql", values)
        return WebSession(is_read_only=row.pop("is_read_only"), principal=Principal(**row))

    def end(self, secret: str, origin: str, detail: str | None = None) -> None:
        """End the session with that secret, if there is one, for a client at the address `origin`; `detail` is why, for the log."""
        self._database.rows("web_session_end.sql", {"secret_hash": _hash(secret), "origin": origin, "detail": detail})

    def _add(
        self,
        kind: str,
        token_id: str,
        *,
        is_read_only: bool,
        lasts: timedelta,
        at_most: timedelta,
        origin: str | None = None,
        how: SignInBy = "token",
    ) -> str | None:
        secret = secrets.token_urlsafe(32)
        values = {"secret_hash": _hash(secret), "kind": kind, "token_id": token_id, "is_read_only": is_read_only}
        times = {"lasts": lasts, "at_most": at_most}
        added = self._database.rows("web_session_add.sql", {**values, **times, "origin": origin, "how": how})
        return secret if added else None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
