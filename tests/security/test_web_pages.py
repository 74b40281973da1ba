"""The web pages in the API's process: who comes in, what a page of another origin can do, what a customer sees of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api_server import serving
from site_world import HOSTILE, NOW, Site, spend
from world import World

from optiinfra_api.web import site as pages

QUERY = {"query": "{ customers(first: 10) { nodes { customerId } } }"}
ROUTES = [route for route in pages.routes() if "{" not in route.path and "sign-" not in route.path]
PATHS = sorted(route.path for route in ROUTES if "GET" in (route.methods or ()))
FORMS = sorted(route.path for route in ROUTES if "POST" in (route.methods or ()) and route.path != "/theme")


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    """The pages, at a time that stands."""
    with serving(world.settings, clock=lambda: NOW) as url:
        yield Site(world, url)


@pytest.mark.parametrize("path", [*PATHS, "/no-such-page", "/explore?service=acme"])
def test_without_a_session_every_page_leads_to_the_sign_in_and_tells_nothing(site: Site, path: str) -> None:
    customer = site.world.customer()
    with site.browser(Cookie=f"optiinfra_session={'x' * 43}") as browser:
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
        assert customer.customer_id not in browser.get(answer.headers["location"]).text


@pytest.mark.parametrize("path", FORMS)
def test_without_a_session_no_form_does_anything(site: Site, path: str) -> None:
    with site.browser() as browser:
        answer = browser.post(path, data={"name": "x", "account": "x", "token": "x"})
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")


def test_programs_are_told_that_nothing_is_there(site: Site) -> None:
    answer = httpx.get(f"{site.url}/no-such-page")
    assert (answer.status_code, answer.text) == (404, "Not Found")


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_token_of_any_role_opens_a_session(site: Site, role: Any) -> None:
    customer = site.world.customer(role)
    with site.signed_in(customer.token) as browser:
        assert "Overview" in browser.get("/").text
        assert browser.post("/graphql", json=QUERY).json()["data"]["customers"]["nodes"] == [
            {"customerId": customer.customer_id}
        ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
    ids=["another site", "another port", "a sandbox", "a form of another port", "what does not say"],
)
def test_a_session_counts_only_in_requests_of_our_own_pages(site: Site, headers: dict[str, str]) -> None:
    with site.signed_in(site.world.customer("admin").token) as browser:
        cookie = f"optiinfra_session={browser.cookies['optiinfra_session']}"
    for path in ("/graphql", "/sql", "/links", "/theme", "/sign-out", *FORMS):
        answer = httpx.post(f"{site.url}{path}", json=QUERY, headers={"Cookie": cookie, **headers})
        assert answer.status_code == 403, path
        assert "customer" not in answer.text


def test_a_page_of_another_origin_embeds_nothing_that_a_session_sees(site: Site) -> None:
    customer = site.world.customer()
    spend(customer)
    export = "/export/total.csv?start=2026-11-01&end=2026-12-01"
    with site.signed_in(customer.token) as browser:
        assert "currency" in browser.get(export).text
        statement = "/sql?query=SELECT+customer_id+FROM+costs_daily"
        assert customer.customer_id in browser.get(statement).text
        for path in ("/", "/explore/values?of=SERVICE", export, statement):
            answer = browser.get(path, headers={"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"})
            assert answer.status_code == 403, path


def test_a_session_sends_graphql_as_json_or_not_at_all(site: Site) -> None:
    """A form can send text/plain without being asked first (CORS), but not JSON."""
    with site.signed_in(site.world.customer("admin").token) as browser:
        text = browser.post("/graphql", content=b'{"query": "{ __typename }"}', headers={"Content-Type": "text/plain"})
        assert text.status_code == 415


def test_a_token_counts_as_before_whatever_the_origin_and_the_name(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.world.customer().token}", "Origin": "https://evil.example"}
    for more in ({}, {"Host": "costs.internal"}, {"Cookie": f"optiinfra_session={'x' * 43}"}):
        answer = httpx.post(f"{site.url}/graphql", json=QUERY, headers={**headers, **more})
        assert answer.status_code == 200, more


def test_a_name_that_was_let_point_to_this_machine_reaches_no_page(site: Site) -> None:
    with site.signed_in(site.world.customer().token) as browser:
        for path in ("/", "/graphql", "/sign-in"):
            assert browser.get(path, headers={"Host": "rebound.example"}).status_code == 421, path


def test_over_https_a_session_that_another_host_could_have_planted_does_not_count(site: Site) -> None:
    """Only a cookie with the prefix ``__Host-`` is of this very host; any other may be of a neighbour below the same domain."""
    public = "https://costs.example.com"
    customer = site.world.customer()
    (token,) = site.world.metadata.tokens.find(customer_id=customer.customer_id)
    secret = site.world.metadata.web_sessions.open(token.token_id, "127.0.0.1")
    headers = {"Host": "costs.example.com", "Origin": public, "Accept": "text/html"}
    with serving(site.world.settings.model_copy(update={"web_origins": public})) as url:
        for name, status, answered in (("optiinfra_session", 303, 401), ("__Host-optiinfra_session", 200, 200)):
            cookie = {"Cookie": f"{name}={secret}"}
            assert httpx.get(f"{url}/", headers=headers | cookie).status_code == status
            assert httpx.post(f"{url}/graphql", json=QUERY, headers=headers | cookie).status_code == answered


def test_a_read_only_link_looks_and_changes_nothing(site: Site) -> None:
    customer = site.world.customer("admin")
    (token,) = site.world.metadata.tokens.find(customer_id=customer.customer_id)
    link = site.world.metadata.web_sessions.make_link(token.token_id, is_read_only=True)
    with site.browser() as browser:
        assert browser.post("/sign-in/link", data={"link": link}).headers["location"] == "/"
        assert browser.post("/graphql", json=QUERY).json()["data"]["customers"]["nodes"]
        for mutation in ('createToken(name: "x") { __typename }', "triggerCollection { __typename }"):
            answer = browser.post("/graphql", json={"query": f"mutation {{ {mutation} }}"}).json()
            assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", answer
    assert len(site.world.metadata.tokens.find(customer_id=customer.customer_id)) == 1


def test_a_session_ends_with_sign_out_and_with_its_token(site: Site) -> None:
    customer = site.world.customer()
    with site.signed_in(customer.token) as browser, site.signed_in(customer.token) as another:
        kept = dict(browser.cookies)
        assert browser.post("/sign-out").headers["location"] == "/sign-in"
        assert httpx.get(f"{site.url}/", cookies=kept, headers={"Accept": "text/html"}).status_code == 303
        assert another.get("/").status_code == 200
        (token,) = site.world.metadata.tokens.find(customer_id=customer.customer_id)
        site.world.metadata.tokens.revoke(token.token_id)
        assert another.get("/").status_code == 303
        assert another.post("/graphql", json=QUERY).status_code == 401


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_no_page_shows_a_customer_what_is_of_another(site: Site, role: Any) -> None:
    mine, theirs = site.world.customer(role), site.world.customer()
    spend(theirs, "secret-account")
    asked = f"customer={theirs.customer_id}&account={theirs.customer_id}.secret-account"
    with site.signed_in(mine.token) as browser:
        for path in PATHS:
            answer = browser.get(f"{path}?{asked}&of=SERVICE&compare=1")
            assert answer.status_code in (200, 404)
            shown = answer.text.replace(asked, "").replace(f"{theirs.customer_id}.secret-account", "")
            assert "Compute" not in shown, path
            assert "secret-account" not in browser.get(path).text
        for path in FORMS:
            answer = browser.post(f"{path}?{asked}", data={"name": "x", "account": f"{theirs.customer_id}.x"})
            assert "does not exist" in answer.text or "administrator" in answer.text or "role" in answer.text, path
        assert browser.get(
            f"/export/total.csv?start=2026-11-01&end=2026-12-01&customerId={theirs.customer_id}"
        ).is_error


def test_what_is_stored_is_shown_as_text(site: Site) -> None:
    customer = site.world.customer()
    spend(customer, hostile=True)
    with site.signed_in(customer.token) as browser:
        for path in (
            "/",
            "/explore?compare=1",
            "/explore?group=TAG&tag=team&group=REGION",
            "/explore?group=SUB_ACCOUNT",
            "/resources",
            f"/resources/resource?account={customer.customer_id}.main&resource={HOSTILE}",
            f"/resources/resource?account={HOSTILE}&resource={HOSTILE}",
            f"/accounts/account?account={HOSTILE}&month={HOSTILE}&task={HOSTILE}",
            f"/accounts/connect?provider={HOSTILE}",
            f"/explore?service={HOSTILE}&tagKey={HOSTILE}&tagValue={HOSTILE}&period={HOSTILE}&tag={HOSTILE}",
            f"/?currency={HOSTILE}&customer={HOSTILE}",
            f"/sign-in?next=/{HOSTILE}",
        ):
            answer = browser.get(path)
            assert "<img" not in answer.text, path
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "&lt;img src=x" in browser.get("/").text
        assert "<img" not in browser.get("/sign-in", params={"next": "/" + HOSTILE}).text


@pytest.mark.parametrize("path", [*PATHS, "/sign-in", "/no-such-page"])
def test_a_page_runs_no_script_but_ours_and_is_shown_in_no_frame(site: Site, path: str) -> None:
    with site.signed_in(site.world.customer().token) as browser:
        headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    if path == "/explore/values":
        assert policy == "default-src 'none'; frame-ancestors 'none'"
        return
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "/sign-out", ""])
def test_no_form_leads_to_another_origin(site: Site, path: str) -> None:
    with site.browser() as browser:
        answer = browser.post("/theme", data={"theme": "dark", "next": path})
    assert answer.headers["location"] == "/"
    assert "optiinfra_theme=dark" in answer.headers["set-cookie"]
