"""Bearer tokens: shown once, stored as a hash, refused when expired, revoked or made up."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from expiring import let_expire

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal, Role, Token
from optiinfra_assets.settings import Settings


@pytest.fixture
def acme(metadata: Metadata) -> Metadata:
    """The metadata with one customer in it."""
    metadata.customers.add("acme")
    return metadata


def only(metadata: Metadata) -> Token:
    (token,) = metadata.tokens.find()
    return token


@pytest.mark.parametrize(("customer", "role"), [("acme", "viewer"), ("acme", "operator"), (None, "admin")])
def test_a_token_speaks_for_whom_it_was_made(acme: Metadata, customer: str | None, role: Role) -> None:
    plaintext = acme.tokens.issue("dashboard", customer, role).plaintext
    assert re.fullmatch(r"oi_[A-Za-z0-9_-]{43}", plaintext)
    stored = only(acme)
    assert acme.tokens.authenticate(plaintext) == Principal(stored.token_id, "dashboard", customer, role)
    assert (stored.name, stored.customer_id, stored.role) == ("dashboard", customer, role)
    assert (stored.expires_at, stored.revoked_at) == (None, None)


def test_a_token_cannot_be_read_back(acme: Metadata, settings: Settings) -> None:
    plaintext = acme.tokens.issue("dashboard", "acme", "viewer").plaintext
    assert plaintext not in repr(acme.tokens.find())
    with psycopg.connect(str(settings.postgres_url)) as connection:
        (row,) = connection.execute("SELECT token::text FROM optiinfra.api_tokens AS token").fetchall()
    assert plaintext[3:] not in row[0]
    assert plaintext[3:].encode().hex() not in row[0]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "oi_",
        "oi_" + "A" * 43,
        "oi_" + "A" * 42,
        "Bearer x",
        "oi_" + "A" * 43 + "\n",
        "oi_" + "é" * 43,
        "' OR 1=1 --",
    ],
)
def test_what_was_not_made_here_is_refused(acme: Metadata, wrong: str) -> None:
    acme.tokens.issue("dashboard", "acme", "viewer")
    assert acme.tokens.authenticate(wrong) is None


def test_one_changed_character_is_refused(acme: Metadata) -> None:
    plaintext = acme.tokens.issue("dashboard", "acme", "viewer").plaintext
    other = "A" if plaintext[-1] != "A" else "B"
    assert acme.tokens.authenticate(plaintext[:-1] + other) is None
    assert acme.tokens.authenticate(plaintext.swapcase()) is None


def test_a_revoked_token_is_refused_at_once(acme: Metadata) -> None:
    plaintext = acme.tokens.issue("dashboard", "acme", "viewer").plaintext
    kept = acme.tokens.issue("other", "acme", "viewer").plaintext
    revoked = next(token for token in acme.tokens.find() if token.name == "dashboard")
    assert acme.tokens.authenticate(plaintext) is not None
    acme.tokens.revoke(revoked.token_id)
    assert acme.tokens.authenticate(plaintext) is None
    assert acme.tokens.authenticate(kept) is not None
    when = next(token.revoked_at for token in acme.tokens.find() if token.name == "dashboard")
    acme.tokens.revoke(revoked.token_id)
    assert next(token.revoked_at for token in acme.tokens.find() if token.name == "dashboard") == when
    with pytest.raises(RecordNotFound, match="token: 'nothing' does not exist"):
        acme.tokens.revoke("nothing")


def test_an_expired_token_is_refused(acme: Metadata, settings: Settings) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    plaintext = acme.tokens.issue("dashboard", "acme", "viewer", expires_at).plaintext
    assert only(acme).expires_at == expires_at
    assert acme.tokens.authenticate(plaintext) is not None
    let_expire(settings, "dashboard")
    assert acme.tokens.authenticate(plaintext) is None


def test_the_last_use_is_stored_at_most_once_a_minute(acme: Metadata, settings: Settings) -> None:
    plaintext = acme.tokens.issue("dashboard", "acme", "viewer").plaintext
    assert only(acme).last_used_at is None
    acme.tokens.authenticate(plaintext)
    first = only(acme).last_used_at
    assert first is not None
    acme.tokens.authenticate(plaintext)
    assert only(acme).last_used_at == first
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        connection.execute("UPDATE optiinfra.api_tokens SET last_used_at = last_used_at - interval '61 seconds'")
    acme.tokens.authenticate(plaintext)
    last = only(acme).last_used_at
    assert last is not None
    assert last > first


def test_what_a_token_cannot_be(acme: Metadata) -> None:
    with pytest.raises(ValueError, match="role: 'root' is not accepted: use viewer, operator, admin"):
        acme.tokens.issue("x", "acme", "root")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="customer: needed for role viewer"):
        acme.tokens.issue("x", None, "viewer")
    with pytest.raises(ValueError, match="is past: use a later instant"):
        acme.tokens.issue("x", "acme", "viewer", datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(RecordNotFound, match="customer: 'nobody' does not exist"):
        acme.tokens.issue("x", "nobody", "viewer")
    assert acme.tokens.find() == []
