"""Sessions of browsers and the links that open them: how often, how long, and what is stored of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from expiring import let_expire
from pydantic import ValidationError

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, complaint


def test_a_link_that_many_use_at_once_opens_one_session(metadata: Metadata) -> None:
    token = metadata.tokens.issue("ops", None, "admin").token.token_id
    link = metadata.web_sessions.make_link(token, is_read_only=True)
    with ThreadPoolExecutor(6) as pool:
        opened = [
            secret for secret in pool.map(metadata.web_sessions.open_by_link, [link] * 12, ["192.0.2.7"] * 12) if secret
        ]
    (secret,) = opened
    session = metadata.web_sessions.find(secret)
    assert session is not None
    assert (session.principal.token_id, session.is_read_only) == (token, True)


def test_nothing_is_stored_that_opens_anything(metadata: Metadata, settings: Settings) -> None:
    token = metadata.tokens.issue("ops", None, "admin").token.token_id
    secrets = [metadata.web_sessions.make_link(token), metadata.web_sessions.open(token, "192.0.2.7")]
    with psycopg.connect(str(settings.postgres_url)) as connection:
        stored = str(connection.execute("SELECT * FROM optiinfra.web_sessions").fetchall())
    assert not any(str(secret) in stored for secret in secrets)


def test_a_token_that_is_over_opens_nothing_and_ends_what_it_opened(metadata: Metadata, settings: Settings) -> None:
    revoked = metadata.tokens.issue("ops", None, "admin").token.token_id
    expired = metadata.tokens.issue("guest", None, "admin").token.token_id
    secrets = [str(metadata.web_sessions.open(one, "192.0.2.7")) for one in (revoked, expired)]
    assert all(map(metadata.web_sessions.find, secrets))
    metadata.tokens.revoke(revoked)
    let_expire(settings, "guest")
    assert not any(map(metadata.web_sessions.find, secrets))
    for one in (revoked, expired, "nobody"):
        assert metadata.web_sessions.open(one, "192.0.2.7") is None
        with pytest.raises(RecordNotFound, match=f"token: '{one}' does not exist, was revoked, or has expired"):
            metadata.web_sessions.make_link(one)


def test_what_has_expired_is_removed_with_the_next_sign_in(metadata: Metadata, settings: Settings) -> None:
    token = metadata.tokens.issue("ops", None, "admin").token.token_id
    late = metadata.web_sessions.make_link(token, lasts=timedelta(microseconds=1))
    assert metadata.web_sessions.open_by_link(late, "192.0.2.7") is None
    metadata.web_sessions.open(token, "192.0.2.7")
    with psycopg.connect(str(settings.postgres_url)) as connection:
        kinds = connection.execute("SELECT kind FROM optiinfra.web_sessions").fetchall()
    assert kinds == [("session",)]


def test_the_token_of_the_installations_links_is_made_once_and_anew_after_it_was_revoked(metadata: Metadata) -> None:
    first = metadata.tokens.standing()
    assert metadata.tokens.standing() == first
    metadata.tokens.revoke(first.token_id)
    second = metadata.tokens.standing()
    assert second.token_id != first.token_id
    assert (second.customer_id, second.role) == (None, "admin")


def test_addresses_of_the_web_interfaces_are_read_as_browsers_send_them() -> None:
    given = Settings(
        web_origins=" https://Costs.example.com/, http://a.example:80,https://b.example:443 ,https://c.example:8443"
    )
    expected = "https://costs.example.com,http://a.example,https://b.example,https://c.example:8443"
    assert given.web_origins == expected


@pytest.mark.parametrize(
    "value", ["costs.example.com", "https://", "ftp://a", "https://a/path", "https://*", "https://a b"]
)
def test_an_address_that_is_none_is_refused_with_what_is_accepted(value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(web_origins=value)
    assert "use https://name or https://name:port" in complaint(refused.value)
    assert complaint(refused.value).startswith("OPTIINFRA_WEB_ORIGINS: ")
