"""Who reaches Dagster's web interface, and what it lets them do: over HTTP and WebSocket, as the programs of a stranger would ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from loopback import eventually
from web_interface import AUTOMATIONS, INSTALLATION_TOKEN, LINK_PATH, PUBLIC, WebInterface, cookie_of
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from optiinfra_api.access import login_throttle
from optiinfra_assets.database.errors import DagsterUnavailable
from optiinfra_assets.ingestion.dagster_client import read_automations
from optiinfra_assets.metadata.tokens import Role

PATHS = (
    "/",
    "/runs",
    "/server_info",
    "/dagit_info",
    "/graphql",
    "/logs/a/err",
    "/download_debug/x",
    "/notebook?path=/a.ipynb",
)
MUTATIONS = """{ __schema { mutationType { fields { name } } } }"""


def ask(browser: httpx.Client, query: str, **headers: str) -> httpx.Response:
    """One GraphQL request, as the interface's own pages send it."""
    return browser.post("/graphql", json={"query": query}, headers=headers)


# --- Who comes in


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_every_path_leads_to_sign_in_and_tells_nothing(web: WebInterface, path: str) -> None:
    with web.browser() as browser:
        page = browser.get(path)
        assert page.status_code == 303
        assert page.headers["location"].startswith("/sign-in?next=%2F")
        assert page.content == b""
        program = browser.get(path, headers={"Accept": "*/*"})
        assert (program.status_code, program.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        assert ask(browser, web.stop).status_code == 401
    assert web.is_untouched()


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_who_is_of_one_customer_sees_no_other_and_is_told_why(web: WebInterface, role: Role) -> None:
    token = web.token("acme", role)
    with web.signed_in(token) as browser:
        page = browser.get("/runs")
        assert page.status_code == 403
        assert "Dagster shows the runs of all customers" in page.text
        assert "customer acme" in page.text
        assert ask(browser, "{ __typename }").status_code == 403
        assert ask(browser, web.stop).status_code == 403
    sent = {"Authorization": f"Bearer {token.plaintext}"}
    refused = httpx.post(f"{web.url}/graphql", json={"query": web.stop}, headers=sent)
    assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert web.is_untouched()


def test_an_administrator_of_all_customers_works_here(web: WebInterface) -> None:
    with web.signed_in() as browser:
        assert "Dagster" in browser.get("/").text
        assert browser.get("/server_info").json()["dagster_version"]
        answer = ask(browser, web.stop).json()
        assert answer["data"]["stopRunningSchedule"]["__typename"] == "ScheduleStateResult"
    assert not web.is_untouched()
    web.start_all()
    assert web.is_untouched()


def test_our_own_processes_come_in_with_the_token_of_the_installation(web: WebInterface) -> None:
    assert len(read_automations(web.settings)) == AUTOMATIONS
    for wrong in (None, "made-for-another", web.token("acme", "admin").plaintext):
        with pytest.raises(
            DagsterUnavailable, match="does not accept our token: set OPTIINFRA_DAGSTER_TOKEN"
        ) as refused:
            read_automations(web.settings.model_copy(update={"dagster_token": wrong}))
        assert not wrong or wrong not in str(refused.value)
    assert INSTALLATION_TOKEN not in repr(web.settings)
    assert INSTALLATION_TOKEN not in web.log.read_text()


# --- The session


def test_a_session_is_a_cookie_that_no_script_reads_and_no_other_site_sends(web: WebInterface) -> None:
    token = web.token()
    with web.browser() as browser:
        answer = browser.post("/sign-in", data={"token": token.plaintext, "next": "/runs?q=1"})
        cookie = cookie_of(answer)
    assert answer.headers["location"] == "/runs?q=1"
    assert {"httponly", "path", "samesite"} <= cookie.keys()
    assert (cookie["samesite"], cookie["path"], "domain" in cookie) == ("Strict", "/", False)
    assert not web.sql(f"SELECT 1 FROM optiinfra.web_sessions WHERE secret_hash = '{cookie['value']}'::bytea")
    stored = str(web.sql("SELECT * FROM optiinfra.web_sessions"))
    assert cookie["value"] not in stored
    assert cookie["value"] not in web.log.read_text()
    assert token.plaintext not in web.log.read_text()


def test_behind_a_proxy_with_https_the_cookie_is_for_https_and_this_host_only(web: WebInterface) -> None:
    host = {"Host": PUBLIC.removeprefix("https://"), "Origin": PUBLIC}
    with web.browser(**host) as browser:
        cookie = cookie_of(browser.post("/sign-in", data={"token": web.token().plaintext}))
        assert cookie["name"].startswith("__Host-")
        assert "secure" in cookie
        sent = {"Cookie": f"{cookie['name']}={cookie['value']}", "Accept": "*/*"}
        assert browser.get("/server_info", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\\evil.example", "/sign-out", "\t//evil"]
)
def test_sign_in_leads_to_no_other_site(web: WebInterface, where: str) -> None:
    with web.browser() as browser:
        answer = browser.post("/sign-in", data={"token": web.token().plaintext, "next": where})
        assert answer.headers["location"] == "/"


def test_a_session_ends_at_once_when_its_token_is_revoked(web: WebInterface) -> None:
    token = web.token()
    with web.signed_in(token) as browser, socket_of(web, browser) as socket:
        assert ask(browser, "{ __typename }").status_code == 200
        web.metadata.tokens.revoke(token.token.token_id)
        assert ask(browser, web.stop).status_code == 401
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    assert web.is_untouched()


def test_a_session_ends_by_signing_out_and_by_the_clock(web: WebInterface) -> None:
    with web.signed_in() as browser:
        secret = next(iter(browser.cookies.jar)).value
        assert "Sign out" in browser.get("/sign-out").text
        assert ask(browser, "{ __typename }").status_code == 200, "a GET signs nobody out"
        assert browser.post("/sign-out").status_code == 303
        assert not browser.cookies
        assert ask(browser, "{ __typename }", Cookie=f"optiinfra_session={secret}").status_code == 401
    with web.signed_in() as browser:
        web.sql("UPDATE optiinfra.web_sessions SET expires_at = now()")
        assert ask(browser, "{ __typename }").status_code == 401


def test_a_session_that_is_used_lasts_longer_but_not_for_ever(web: WebInterface) -> None:
    with web.signed_in() as browser:
        web.sql("UPDATE optiinfra.web_sessions SET expires_at = now() + interval '1 minute'")
        assert ask(browser, "{ __typename }").status_code == 200
        ((renewed,),) = web.sql("SELECT max(expires_at) - now() > interval '50 minutes' FROM optiinfra.web_sessions")
        assert renewed
        web.sql(
            "UPDATE optiinfra.web_sessions SET ends_at = now() + interval '2 minutes', expires_at = now() + interval '10 s'"
        )
        assert ask(browser, "{ __typename }").status_code == 200
        ((capped,),) = web.sql("SELECT max(expires_at) <= max(ends_at) FROM optiinfra.web_sessions")
        assert capped


def test_a_session_that_was_planted_or_known_before_is_not_the_one_after_signing_in(web: WebInterface) -> None:
    planted = "A" * 43
    with web.browser() as browser:
        browser.cookies.set("optiinfra_session", planted)
        first = cookie_of(browser.post("/sign-in", data={"token": web.token().plaintext}))["value"]
        assert first != planted
        sent = {"Cookie": f"optiinfra_session={first}"}
        second = cookie_of(browser.post("/sign-in", data={"token": web.token().plaintext}, headers=sent))["value"]
        assert second not in (planted, first)
    for known in (planted, first):
        with web.browser(Cookie=f"optiinfra_session={known}") as thief:
            assert ask(thief, web.stop).status_code == 401
    assert web.is_untouched()


def test_a_wrong_token_is_said_in_clear_words_and_guessing_is_slowed_down(web: WebInterface) -> None:
    with web.browser() as browser:
        revoked = web.token()
        web.metadata.tokens.revoke(revoked.token.token_id)
        for wrong in ("", "hello", "oi_" + "A" * 43, revoked.plaintext):
            refused = browser.post("/sign-in", data={"token": wrong})
            assert refused.status_code == 403
            assert "mistyped, has expired, or was revoked" in refused.text
            assert "set-cookie" not in refused.headers
            assert wrong == "" or wrong not in refused.text
        # The web interface trusts the proxy on this machine to say who asks; so these are guesses of another address.
        elsewhere = {"X-Forwarded-For": "203.0.113.7"}
        tries = int(login_throttle.ADDRESS_BURST) + 2
        statuses = {browser.post("/sign-in", data={"token": "no"}, headers=elsewhere).status_code for _ in range(tries)}
        assert statuses == {403, 429}
        slow = browser.post("/sign-in/link", data={"link": "no"}, headers=elsewhere)
        assert (slow.status_code, int(slow.headers["retry-after"]) > 0) == (429, True)


def test_who_signs_in_is_refused_or_signs_out_is_on_record_and_a_flood_of_tries_is_not(web: WebInterface) -> None:
    token, revoked, link = web.token("acme", "viewer"), web.token("acme", "viewer"), web.link()
    web.metadata.tokens.revoke(revoked.token.token_id)
    begin = web.metadata.access_audit.find(first=1)[0].id
    unknown = "oi_" + "B" * 43
    with web.browser(**{"X-Forwarded-For": "203.0.113.9"}) as browser:
        for secret in (revoked.plaintext, *[unknown] * int(login_throttle.ADDRESS_BURST)):
            assert browser.post("/sign-in", data={"token": secret}).status_code in (403, 429)
        assert browser.post("/sign-in/link", data={"link": link}).status_code == 429
    with web.browser() as browser:
        browser.post("/sign-in", data={"token": token.plaintext})
        browser.post("/sign-in/link", data={"link": link})
        browser.post("/sign-out")
        browser.post("/sign-out")
    found = [one for one in reversed(web.metadata.access_audit.find(first=100)) if one.id > begin]
    own, refused = token.token.token_id, revoked.token.token_id
    links = next(one.actor for one in found if (one.action, one.detail) == ("sign_in", "by link"))
    assert [(one.action, one.actor, one.origin, one.detail) for one in found if one.action != "refuse_sign_in"] == [
        ("sign_in", own, "127.0.0.1", "by token"),
        ("sign_in", links, "127.0.0.1", "by link"),
        ("sign_out", own, "127.0.0.1", "by signing in again"),
        ("sign_out", links, "127.0.0.1", None),
    ]
    tries = [(one.actor, one.token_id, one.detail) for one in found if one.origin == "203.0.113.9"]
    assert tries[:2] == [(refused, refused, "by token"), ("unknown", None, "by token")]
    assert len(tries) <= 4, "a minute may end meanwhile"
    assert {one.customer_id for one in found if one.token_id in (own, refused)} == {"acme"}
    assert not any(secret[3:9] in repr(found) for secret in (token.plaintext, revoked.plaintext, unknown, link))


# --- One-time links


def test_a_link_is_used_up_by_pressing_its_button_and_by_nothing_else(web: WebInterface) -> None:
    link = web.link()
    with web.browser() as browser:
        for _ in range(3):
            shown = browser.get(
                f"{LINK_PATH}{link}", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
            )
            assert (shown.status_code, "set-cookie" in shown.headers) == (200, False)
        assert 'method="post"' in shown.text
        assert shown.headers["referrer-policy"] == "same-origin"
        assert shown.headers["cache-control"] == "no-store"
        browser.head(f"{LINK_PATH}{link}")
        opened = browser.post("/sign-in/link", data={"link": link})
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        assert ask(browser, "{ __typename }").status_code == 200
    with web.browser() as second:
        refused = second.post("/sign-in/link", data={"link": link})
        assert refused.status_code == 403
        assert "used before, or its time is over" in refused.text
        assert ask(second, web.stop).status_code == 401
    assert link not in str(web.sql("SELECT * FROM optiinfra.web_sessions"))
    assert link not in web.log.read_text()


def test_a_link_whose_time_or_token_is_over_opens_nothing(web: WebInterface) -> None:
    token = web.token().token.token_id
    of_revoked = web.metadata.web_sessions.make_link(token)
    web.metadata.tokens.revoke(token)
    late = web.link(lasts=timedelta(microseconds=1))
    with web.signed_in() as browser:
        secret = next(iter(browser.cookies.jar)).value
    for wrong in (of_revoked, late, secret, "", "A" * 43):
        with web.browser() as browser:
            assert browser.post("/sign-in/link", data={"link": wrong}).status_code == 403
            assert not browser.cookies
    with web.browser(Cookie=f"optiinfra_session={web.link()}") as browser:
        assert ask(browser, "{ __typename }").status_code == 401, "a link is no session"


def test_what_a_link_contains_is_shown_as_text(web: WebInterface) -> None:
    with web.browser() as browser:
        shown = browser.get(f"{LINK_PATH}%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        assert "<script>" not in shown.text
        assert "<script>" not in browser.get('/sign-in?next=/"><script>alert(1)</script>').text


# --- Read-only guests


def test_a_read_only_guest_sees_and_changes_nothing(web: WebInterface) -> None:
    with web.read_only() as guest:
        assert guest.get("/runs").status_code == 200
        permissions = ask(guest, "{ permissions { permission value } }").json()["data"]["permissions"]
        assert len(permissions) > 10
        assert not any(one["value"] for one in permissions)
        names = [one["name"] for one in ask(guest, MUTATIONS).json()["data"]["__schema"]["mutationType"]["fields"]]
        assert len(names) > 30
        for name in names:
            refused = ask(guest, f"mutation {{ {name} {{ __typename }} }}")
            assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN"), name
        hidden = f"query A {{ __typename }} {web.stop.replace('mutation', 'mutation B', 1)}"
        both = guest.post("/graphql", json={"query": hidden, "operationName": "B"})
        assert both.status_code == 403
    assert web.is_untouched()


# --- Requests that foreign pages can make a browser send

FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "", "Sec-Fetch-Site": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_changes_nothing_with_our_cookie(web: WebInterface, headers: dict[str, str]) -> None:
    with web.signed_in() as browser:
        for path in ("/graphql", "/sign-out", "/sign-in", "/report_asset_materialization/a"):
            refused = browser.post(path, json={"query": web.stop}, headers=headers)
            assert refused.status_code == 403, path
        assert ask(browser, "{ __typename }").status_code == 200, "it is still signed in"
    assert web.is_untouched()


def test_a_browser_that_says_nothing_of_where_it_comes_from_changes_nothing(web: WebInterface) -> None:
    with web.signed_in() as browser:
        for name in ("Origin", "Sec-Fetch-Site"):
            del browser.headers[name]
        assert ask(browser, web.stop).status_code == 403
    assert web.is_untouched()


OTHER_BODIES: list[Callable[[str], dict[str, Any]]] = [
    lambda stop: {"content": json.dumps({"query": stop}), "headers": {"Content-Type": "text/plain"}},
    lambda stop: {"content": json.dumps({"query": stop}), "headers": {"Content-Type": "text/plain; application/json"}},
    lambda stop: {"content": json.dumps({"query": stop})},
    lambda stop: {"content": stop, "headers": {"Content-Type": "application/graphql"}},
    lambda stop: {"data": {"query": stop}},
    lambda stop: {"files": {"query": stop.encode()}},
    lambda stop: {"params": {"query": stop}},
]


@pytest.mark.parametrize(
    "body", OTHER_BODIES, ids=["text", "two types", "no type", "graphql", "form", "multipart", "address"]
)
def test_only_json_is_a_request_for_a_change(web: WebInterface, body: Callable[[str], dict[str, Any]]) -> None:
    with web.signed_in() as browser:
        assert browser.post("/graphql", **body(web.stop)).status_code == 415
    assert web.is_untouched()


def test_no_get_runs_graphql(web: WebInterface) -> None:
    with web.signed_in() as browser:
        for query in (web.stop, "{ __typename }"):
            for method in ("GET", "HEAD"):
                refused = browser.request(method, "/graphql", params={"query": query}, headers={"Accept": "*/*"})
                assert refused.status_code == 405
        editor = browser.get("/graphql", params={"query": web.stop})
        assert (editor.status_code, "GraphiQL" in editor.text) == (200, True)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert browser.request(method, "/graphql").status_code == 405
    assert web.is_untouched()


@pytest.mark.parametrize("kind", ["materialization", "check", "observation"])
def test_nobody_posts_events_about_assets(web: WebInterface, kind: str) -> None:
    with web.signed_in() as browser:
        posted = browser.post(f"/report_asset_{kind}/focus/raw_costs", json={"passed": True, "check_name": "x"})
        assert posted.status_code == 405
    assert not web.instance.all_asset_keys()


def test_other_pages_can_neither_embed_nor_read_anything(web: WebInterface) -> None:
    with web.signed_in() as browser:
        for site in ("cross-site", "same-site"):
            for mode, dest in (("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "image")):
                fetched = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
                assert browser.get("/server_info", headers=fetched).status_code == 403
            followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
            assert browser.get("/runs", headers=followed).status_code == 200
        for path in ("/", "/server_info", "/sign-in", "/sign-in/style.css"):
            headers = browser.get(path).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers


# --- Names by which it is reached


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "dagster.example:81", "127.0.0.1@evil.example",
     "127.0.0.1/..", "169.254.1.1", "10.0.0.1", "[::2]", "localhost:99999999", "2130706433"],
)  # fmt: skip
def test_a_name_that_is_not_ours_reaches_nothing(web: WebInterface, host: str) -> None:
    """A stranger's name that resolves to this machine makes his page one of the same origin (DNS rebinding)."""
    with web.signed_in() as browser:
        named = {"Host": host, "Origin": f"http://{host}"}
        for path in ("/", "/healthz", "/sign-in", "/graphql"):
            refused = browser.get(path, headers=named)
            assert refused.status_code in (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.BAD_REQUEST), path
            assert not host or host not in refused.text
        assert ask(browser, web.stop, **named).status_code in (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.BAD_REQUEST)
        assert browser.post("/sign-in", data={"token": web.token().plaintext}, headers=named).status_code in (421, 400)
    assert web.is_untouched()


def test_two_names_at_once_reach_nothing(web: WebInterface) -> None:
    connection = HTTPConnection(web.host)
    connection.putrequest("GET", "/server_info", skip_host=True)
    for host in (web.host, "evil.example"):
        connection.putheader("Host", host)
    connection.putheader("Authorization", f"Bearer {INSTALLATION_TOKEN}")
    connection.endheaders()
    assert connection.getresponse().status in (421, 400)
    connection.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.0.0.1:1234"])
def test_this_machines_names_are_accepted_with_any_port(web: WebInterface, name: str) -> None:
    sent = {"Authorization": f"Bearer {INSTALLATION_TOKEN}", "Host": name, "Origin": f"http://{name.lower()}"}
    assert httpx.post(f"{web.url}/graphql", json={"query": "{ __typename }"}, headers=sent).status_code == 200


# --- WebSockets


def socket_of(web: WebInterface, browser: httpx.Client | None, **headers: str) -> ClientConnection:
    """A WebSocket to the interface with the cookie of a browser."""
    cookie = {f"{one.name}={one.value}" for one in browser.cookies.jar} if browser else set()
    sent = {"Origin": web.url, **({"Cookie": "; ".join(cookie)} if cookie else {}), **headers}
    origin = sent.pop("Origin")
    url = f"ws://{web.host}/graphql"
    return connect(url, origin=origin or None, additional_headers=sent, subprotocols=["graphql-ws"])  # type: ignore[arg-type, list-item]


@pytest.mark.parametrize("headers", [*FOREIGN[:4], {"Origin": ""}, {"Host": "evil.example"}], ids=str)
def test_a_foreign_page_opens_no_websocket(web: WebInterface, headers: dict[str, str]) -> None:
    with web.signed_in() as browser, pytest.raises(InvalidStatus) as refused:
        socket_of(web, browser, **headers)
    assert refused.value.response.status_code in (403, 400)


def test_a_websocket_is_for_who_may_come_in(web: WebInterface) -> None:
    with web.signed_in(web.token("acme", "admin")) as stranger:
        for browser in (None, stranger):
            with pytest.raises(InvalidStatus):
                socket_of(web, browser)


@pytest.mark.parametrize("is_guest", [True, False])
def test_a_websocket_takes_subscriptions_only(web: WebInterface, is_guest: bool) -> None:
    with web.read_only() if is_guest else web.signed_in() as browser, socket_of(web, browser) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        for number, query in enumerate((web.stop, "{ __typename }", f"subscription S {{ __typename }} {web.stop}")):
            payload = {"query": query, "operation_name": None}
            socket.send(json.dumps({"type": "start", "id": str(number), "payload": payload}))
            answer = json.loads(socket.recv(30))
            assert (answer["id"], answer["type"]) == (str(number), "error")
        logs = 'subscription { pipelineRunLogs(runId: "none", cursor: null) { __typename } }'
        socket.send(json.dumps({"type": "start", "id": "logs", "payload": {"query": logs}}))
        assert json.loads(socket.recv(30))["payload"]["data"]["pipelineRunLogs"]["__typename"]
    assert web.is_untouched()


def test_a_websocket_ends_with_its_session(web: WebInterface) -> None:
    with web.signed_in() as browser, socket_of(web, browser) as socket:
        browser.post("/sign-out")

        def is_closed() -> bool:
            try:
                socket.send(json.dumps({"type": "connection_init"}))
                socket.recv(1)
            except (ConnectionClosed, TimeoutError) as error:
                return isinstance(error, ConnectionClosed)
            return False

        assert eventually(is_closed)
