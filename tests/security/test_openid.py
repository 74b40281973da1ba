"""Sign-in by OpenID Connect against a provider on a loopback port: who comes in as what, and every token and answer that is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from api_server import serving
from identity_provider import CLIENT, CLIENT_SECRET, IdentityProvider, identity_provider
from joserfc.jwk import RSAKey
from loopback import HANG, real_clock, served
from playwright.sync_api import sync_playwright
from site_world import Site
from test_states import text_of
from world import Customer, World

from optiinfra_api.access import openid
from optiinfra_api.access.openid import OpenId
from optiinfra_api.access.sessions import SignInUnavailable
from optiinfra_assets.settings import GroupRole, Settings


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """A customer that a group leads to."""
    return world.customer()


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    """The provider of the module."""
    with identity_provider() as found:
        yield found


@pytest.fixture(scope="module")
def oidc(
    world: World, customer: Customer, provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """The settings, with the secret in a file."""
    file = tmp_path_factory.mktemp("oidc") / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    roles = [
        GroupRole(group="platform", role="admin"),
        GroupRole(group="web", role="operator", customer=customer.customer_id),
        GroupRole(group="lost", role="viewer", customer="nobody"),
    ]
    changes = {
        "oidc_issuer": provider.url,
        "oidc_client_id": CLIENT,
        "oidc_client_secret_file": file,
        "oidc_roles": roles,
    }
    return world.settings.model_copy(update=changes)


@pytest.fixture(scope="module")
def site(world: World, oidc: Settings) -> Iterator[Site]:
    """The pages with that provider."""
    with serving(oidc) as url:
        yield Site(world, url)


@pytest.fixture
def browser(site: Site, provider: IdentityProvider) -> Iterator[httpx.Client]:
    """A browser that is not signed in, and a provider as it must be."""
    provider.reset()
    with site.browser() as found:
        yield found


def begin(browser: httpx.Client, wanted: str = "/") -> str:
    """Begin a sign-in; the address at the provider."""
    answer = browser.get("/sign-in/openid", params={"next": wanted})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def back(browser: httpx.Client, answer: dict[str, str]) -> httpx.Response:
    """Come back from the provider, as a browser follows its redirect."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    return browser.get("/sign-in/openid/callback", params=answer, headers=headers)


def sign_in(browser: httpx.Client, provider: IdentityProvider, wanted: str = "/") -> httpx.Response:
    """A whole sign-in."""
    return back(browser, provider.signed_in(begin(browser, wanted)))


def is_in(browser: httpx.Client) -> bool:
    """Whether the browser has a session."""
    return browser.get("/").status_code == 200


def log(site: Site, action: str) -> list[tuple[str, str | None]]:
    """Names and details of the acts of a kind, newest first."""
    found = site.world.metadata.access_audit.find(first=20)
    return [(one.name, one.detail) for one in found if one.action == action]


def test_a_group_leads_to_a_role_and_a_customer(
    site: Site, browser: httpx.Client, provider: IdentityProvider, customer: Customer
) -> None:
    assert "Sign in with your organisation" in browser.get("/sign-in").text
    answer = sign_in(browser, provider, "/explore?group=REGION")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in/continue?next=%2Fexplore%3Fgroup%3DREGION"
    cookies = answer.headers.get_list("set-cookie")
    assert [("HttpOnly" in one, "SameSite=Strict" in one) for one in cookies if "optiinfra_session=" in one] == [
        (True, True)
    ]
    assert "optiinfra_openid" not in browser.cookies
    said = text_of(browser.get("/settings"))
    assert f"token ana@example.com (operator, customer {customer.customer_id})" in said
    assert log(site, "sign_in")[0] == ("ana@example.com", "by OpenID Connect")
    browser.post("/sign-out")
    assert not is_in(browser)
    assert log(site, "sign_out")[0] == ("ana@example.com", None)


def test_the_first_group_that_fits_counts_and_each_sign_in_decides_anew(
    site: Site, browser: httpx.Client, provider: IdentityProvider, customer: Customer
) -> None:
    provider.person["groups"] = ["web", "platform"]
    sign_in(browser, provider)
    assert "(admin, all customers)" in text_of(browser.get("/settings"))
    (token,) = (
        one for one in site.world.metadata.tokens.find() if one.token_id.startswith("oidc-") and not one.customer_id
    )
    site.world.metadata.tokens.revoke(token.token_id)
    assert not is_in(browser), "revoking ends the session"
    provider.person["groups"] = "web"
    sign_in(browser, provider)
    assert "(operator, " in text_of(browser.get("/settings"))
    persons = [one for one in site.world.metadata.tokens.find() if one.token_id == token.token_id]
    assert [one.customer_id for one in persons] == [customer.customer_id], "one token a person"


def test_a_session_that_was_ended_by_revoking_does_not_come_back_when_the_person_signs_in_again(
    site: Site, browser: httpx.Client, provider: IdentityProvider
) -> None:
    """It may be that of a computer that was lost."""
    provider.person["sub"] = "person-with-two-computers"
    sign_in(browser, provider)
    sessions = site.world.metadata.web_sessions
    with site.browser() as other:
        sign_in(other, provider)
        kept = other.cookies["optiinfra_session"]
        session = sessions.find(kept)
        assert session
        assert is_in(browser)
        site.world.metadata.tokens.revoke(session.principal.token_id)
        assert not is_in(browser)
        other.cookies.clear()
        sign_in(other, provider)
        assert is_in(other)
        assert not is_in(browser)
        assert sessions.find(kept) is None


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["staff"], "none of your groups may come in here"),
        (None, "none of your groups may come in here"),
        (5, "none of your groups may come in here"),
        (True, "none of your groups may come in here"),
        ({"web": "a group"}, "none of your groups may come in here"),
        ([["web"], None], "none of your groups may come in here"),
        (["Web", "web ", "w\u0435b", "web\u200b", "web,staff"], "none of your groups may come in here"),
        (["lost"], "leads to a customer that does not exist"),
    ],
)
def test_who_is_in_no_group_of_ours_is_refused(
    site: Site, browser: httpx.Client, provider: IdentityProvider, groups: Any, said: str
) -> None:
    provider.person["groups"] = groups
    answer = sign_in(browser, provider)
    assert answer.status_code == 403
    assert said in text_of(answer)
    assert not is_in(browser)


NOW = int(time.time())
WRONG: dict[str, dict[str, Any]] = {
    "wrong nonce": {"changed": {"nonce": "x"}},
    "no nonce": {"changed": {"nonce": None}},
    "wrong audience": {"changed": {"aud": "another"}},
    "no audience": {"changed": {"aud": None}},
    "for another program": {"changed": {"aud": [CLIENT, "another"], "azp": "another"}},
    "expired": {"changed": {"exp": NOW - 600, "iat": NOW - 900}},
    "never expires": {"changed": {"exp": None}},
    "issued tomorrow": {"changed": {"iat": NOW + 86_400, "exp": NOW + 90_000}},
    "other issuer": {"changed": {"iss": "https://evil.example"}},
    "no subject": {"changed": {"sub": None}},
    "a subject that is no text": {"changed": {"sub": 5}},
    "half of a character as subject": {"changed": {"sub": "\ud800"}},
    "alg none": {"algorithm": "none"},
    "signed with the public key as a secret": {"algorithm": "HS256"},
    "signed by another key": {"signing": RSAKey.generate_key(2048, {"kid": "1"})},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_token_that_is_not_as_it_must_be_is_refused(
    site: Site, browser: httpx.Client, provider: IdentityProvider, wrong: str
) -> None:
    for name, value in WRONG[wrong].items():
        setattr(provider, name, value)
    answer = sign_in(browser, provider)
    assert (answer.status_code, is_in(browser)) == (403, False)
    assert "not accepted" in text_of(answer) or "another program" in text_of(answer)


def test_a_token_for_several_programs_that_was_given_to_us_is_accepted(
    browser: httpx.Client, provider: IdentityProvider
) -> None:
    provider.changed = {"aud": ["another", CLIENT], "azp": CLIENT}
    assert sign_in(browser, provider).status_code == 303
    assert is_in(browser)


def test_a_state_counts_once_and_in_its_own_browser(
    site: Site, browser: httpx.Client, provider: IdentityProvider
) -> None:
    address = begin(browser)
    answer, again = provider.signed_in(address), provider.signed_in(address)
    kept = browser.cookies["optiinfra_openid"]
    with site.browser() as victim:
        assert back(victim, answer).status_code == 403, "a link that an attacker sends"
        begin(victim)
        assert back(victim, answer).status_code == 403, "also while the victim signs in itself"
        assert not is_in(victim)
    assert back(browser, {**answer, "state": answer["state"] + "x"}).status_code == 403
    browser.cookies.set("optiinfra_openid", kept)
    assert back(browser, answer).status_code == 303
    assert back(browser, answer).status_code == 403, "its cookie is gone"
    with site.browser(Cookie=f"optiinfra_openid={kept}") as thief:
        assert "was completed before" in text_of(back(thief, again)), "though the provider gives another code for it"
        assert not is_in(thief)


def test_what_the_provider_refuses_is_said(browser: httpx.Client, provider: IdentityProvider) -> None:
    state = provider.signed_in(begin(browser))["state"]
    answer = back(browser, {"state": state, "error": "access_denied<img>"})
    assert answer.status_code == 403
    assert "The identity provider refused: access_denied&lt;img&gt;." in answer.text
    answer = back(browser, {"state": provider.signed_in(begin(browser))["state"], "code": "stolen"})
    assert "invalid_grant" in text_of(answer)
    other = provider.signed_in(begin(browser))
    assert "another identity provider" in text_of(back(browser, {**other, "iss": "https://evil.example"}))


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": ""},
        {"authorization_endpoint": "https://login.example:99999999/"},
    ],
    ids=str,
)
def test_what_discovery_says_is_checked(
    browser: httpx.Client, provider: IdentityProvider, discovery: dict[str, str]
) -> None:
    provider.discovery = discovery
    answer = browser.get("/sign-in/openid")
    assert answer.status_code == 503
    assert "identity provider" in text_of(answer)


DEEP = b"[" * 200_000
SENSELESS: dict[str, tuple[str, int, bytes]] = {
    "nested too deeply": ("/token", 200, DEEP),
    "keys that are nested too deeply": ("/keys", 200, DEEP),
    "discovery that is nested too deeply": ("/.well-known/openid-configuration", 200, DEEP),
    "no number of seconds": ("/token", 200, b'{"access_token": "x", "id_token": "x", "expires_in": 1e999}'),
    "a list": ("/token", 200, b"[]"),
    "a page": ("/token", 200, b"<html>"),
    "a page of keys": ("/keys", 200, b"<html>"),
    "too many keys": ("/keys", 200, b'{"keys": "' + b"x" * 2**21 + b'"}'),
    "too long a token": ("/token", 200, b'{"access_token": "x", "id_token": "' + b"x" * 2**21 + b'"}'),
    "too much discovery": ("/.well-known/openid-configuration", 200, b"[" + b" " * 2**21 + b"]"),
    "another place": ("/token", 302, b""),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_an_answer_without_sense_is_said(browser: httpx.Client, provider: IdentityProvider, what: str) -> None:
    path, *raw = SENSELESS[what]
    back_from = None if "discovery" in path else provider.signed_in(begin(browser))
    provider.raw = {path: (raw[0], raw[1])}
    answer = browser.get("/sign-in/openid") if back_from is None else back(browser, back_from)
    assert (answer.status_code, is_in(browser)) == (503, False)
    assert "The identity provider" in text_of(answer)


def test_an_answer_that_grows_when_it_is_unpacked_is_not_unpacked(
    browser: httpx.Client, provider: IdentityProvider
) -> None:
    back_from = provider.signed_in(begin(browser))
    provider.raw = {"/token": (200, gzip.compress(b'{"access_token": "x", "id_token": "' + b"x" * 2**21 + b'"}'))}
    provider.encoding = "gzip"
    answer = back(browser, back_from)
    assert (answer.status_code, is_in(browser)) == (503, False)


def test_an_endpoint_that_is_no_address_is_said(browser: httpx.Client, provider: IdentityProvider) -> None:
    for name in ("token_endpoint", "jwks_uri"):
        provider.discovery = {}
        back_from = provider.signed_in(begin(browser))
        provider.discovery = {name: "https://login.example\r\n/"}
        answer = back(browser, back_from)
        assert (answer.status_code, is_in(browser)) == (503, False)


@pytest.mark.parametrize(
    "other",
    [{"kty": "XYZ"}, {"kty": "RSA", "n": "!!", "e": "AQAB"}, {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}, {}],
    ids=str,
)
def test_a_key_that_cannot_be_read_is_none_and_the_others_count(
    browser: httpx.Client, provider: IdentityProvider, other: dict[str, str]
) -> None:
    """RFC 7517, section 5: keys of kinds that are not understood, or with values that are not, are ignored."""
    keys = [{**other, "kid": "0"}, provider.key.as_dict(private=False)]
    provider.raw = {"/keys": (200, json.dumps({"keys": keys}).encode())}
    assert sign_in(browser, provider).status_code == 303
    assert is_in(browser)


def test_a_provider_that_answers_for_ever_is_not_waited_for(
    oidc: Settings, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then is an answer within the time of each read."""

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(HANG * 10):
                    self.wfile.write(b" ")
                    time.sleep(0.1)

    monkeypatch.setattr(openid, "_SECONDS_IN_ALL", 1)
    with served(Dripping) as url:
        client = OpenId.configured(oidc.model_copy(update={"oidc_issuer": url}))
        assert client is not None
        with pytest.raises(SignInUnavailable, match="does not answer"):
            asyncio.run(client.address(f"{url}/back", "secret"))


def test_a_provider_that_fails_or_is_down_is_said(
    site: Site, oidc: Settings, browser: httpx.Client, provider: IdentityProvider
) -> None:
    provider.fault = 503
    failed = sign_in(browser, provider)
    assert (failed.status_code, is_in(browser)) == (503, False)
    down = oidc.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
    with serving(down) as url, httpx.Client(base_url=url, headers={"Accept": "text/html"}) as other:
        answer = other.get("/sign-in/openid")
        assert answer.status_code == 503
        assert "does not answer. Try again, or sign in with a token." in text_of(answer)
        assert other.get("/sign-in").status_code == 200


def test_nothing_of_a_token_is_stored_or_logged(
    site: Site, browser: httpx.Client, provider: IdentityProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.seen.clear()
    assert sign_in(browser, provider).status_code == 303
    (form,) = provider.seen
    tables = ("api_tokens", "web_sessions", "openid_sign_ins", "access_audit_log")
    with psycopg.connect(str(site.world.settings.postgres_url)) as connection:
        stored = str([connection.execute(f"SELECT * FROM optiinfra.{table}".encode()).fetchall() for table in tables])
    for secret in (form["code"], form["code_verifier"], "PLANTED-access", CLIENT_SECRET):
        assert secret not in stored
        assert secret not in caplog.text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="NO CHROMIUM ON THIS MACHINE")
def test_a_real_browser_comes_back_from_another_site_with_its_cookies(site: Site, provider: IdentityProvider) -> None:
    """The provider is `127.0.0.1` and the pages are `localhost`: two sites, as they are in life."""
    provider.reset()
    url = site.url.replace("127.0.0.1", "localhost")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"], env=real_clock()
        )
        page = chromium.new_page()
        page.goto(f"{url}/settings")
        page.click("text=Sign in with your organisation")
        page.wait_for_url(f"{url}/settings")
        assert "ana@example.com (operator" in page.inner_text("main")
        assert [one["name"] for one in page.context.cookies()] == ["optiinfra_session"]
        chromium.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oidc_issuer": "http://login.example.com"}, "OPTIINFRA_OIDC_ISSUER"),
        ({"oidc_issuer": "https://user@login.example.com"}, "OPTIINFRA_OIDC_ISSUER"),
        ({"oidc_client_id": ""}, "OPTIINFRA_OIDC_CLIENT_ID"),
        ({"oidc_roles": []}, "OPTIINFRA_OIDC_ROLES"),
        ({"oidc_client_secret_file": "/no/such/file"}, "OPTIINFRA_OIDC_CLIENT_SECRET_FILE"),
    ],
)
def test_settings_that_are_not_accepted_are_named(oidc: Settings, changes: dict[str, Any], said: str) -> None:
    values = {name: Path(value) if name.endswith("_file") else value for name, value in changes.items()}
    with pytest.raises(ValueError, match=said):
        OpenId.configured(oidc.model_copy(update=values))


def test_a_role_for_all_customers_is_for_administrators_only() -> None:
    with pytest.raises(ValueError, match="only admin is for all customers"):
        GroupRole(group="x", role="viewer")
    assert CLIENT_SECRET not in repr(Settings(oidc_client_secret=CLIENT_SECRET))
