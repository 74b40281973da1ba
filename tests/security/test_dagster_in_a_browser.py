"""A page of another origin, in a real browser that is signed in: whatever it sends, nothing changes and it reads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest
from chromium import EXECUTABLE, MISSING, Tab, chromium
from loopback import served
from web_interface import LINK_PATH, WebInterface

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason=MISSING)

ATTACK = """(async () => {
  const [url, query] = %s, json = JSON.stringify({query}), said = [];
  const tell = async (name, work) => { try { said.push([name, await work()]) } catch (error) { said.push([name, 'failed']) } };
  const send = (how, more = {}) => () => fetch(url + '/graphql' + (how.search || ''), {
    method: 'POST', credentials: 'include', ...how, ...more }).then(answer => answer.status + ' ' + answer.type);
  const search = '?query=' + encodeURIComponent(query);
  for (const mode of ['cors', 'no-cors']) {
    await tell('get ' + mode, send({method: 'GET', mode, search}));
    await tell('post ' + mode, send({mode, body: json, headers: {'Content-Type': 'application/json'}}));
    await tell('text ' + mode, send({mode, body: json, headers: {'Content-Type': 'text/plain'}}));
    await tell('search ' + mode, send({mode, search}));
    await tell('form ' + mode, send({mode, body: new URLSearchParams({query})}));
  }
  await tell('beacon', async () => navigator.sendBeacon(url + '/graphql', new Blob([json], {type: 'text/plain'})));
  await tell('image', () => new Promise(done => {
    const image = new Image();
    image.onload = () => done('loaded'); image.onerror = () => done('failed'); image.src = url + '/graphql' + search; }));
  await tell('script', () => new Promise(done => {
    const script = document.createElement('script');
    script.onload = () => done('loaded'); script.onerror = () => done('failed');
    script.src = url + '/server_info'; document.head.append(script); }));
  await tell('frame', () => new Promise(done => {
    const frame = document.createElement('iframe');
    frame.onload = () => { try { done(frame.contentDocument ? 'readable' : 'failed') } catch (error) { done('failed') } };
    frame.src = url + '/'; document.body.append(frame); }));
  await tell('form in a frame', () => new Promise(done => {
    const frame = document.createElement('iframe'); frame.name = 'target'; document.body.append(frame);
    const form = document.createElement('form');
    form.method = 'post'; form.action = url + '/graphql' + search; form.target = 'target'; form.enctype = 'text/plain';
    document.body.append(form); frame.onload = () => done('answered'); form.submit(); setTimeout(() => done('answered'), 2000); }));
  await tell('websocket', () => new Promise(done => {
    const socket = new WebSocket(url.replace('http', 'ws') + '/graphql', 'graphql-ws');
    socket.onopen = () => done('opened'); socket.onerror = () => done('failed'); }));
  return said;
})()"""


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    """The port of a web server of somebody else, whose every page is empty."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>stranger</title><body>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with served(Empty) as url:
        yield str(urlsplit(url).port)


@pytest.fixture(scope="module")
def tab(web: WebInterface) -> Iterator[Tab]:
    """A browser that was signed in by a one-time link, as a person does it, up to the test that signs out.

    Every name of ``.example`` is this machine.
    """
    with chromium("--host-resolver-rules=MAP *.example 127.0.0.1") as opened:
        opened.open(f"{web.url}{LINK_PATH}{web.link()}")
        opened.press("button")
        opened.until("location.pathname !== '/sign-in/link' && document.title.includes('Dagster')")
        yield opened


def attack(tab: Tab, url: str, query: str) -> dict[str, object]:
    """Send `query` to `url` from the page of the tab in every way that a page has; what each of them answered."""
    return dict(tab.run(ATTACK % json.dumps([url, query])))


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "evil.example"], ids=["another port", "another name", "another site"]
)
def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(
    web: WebInterface, tab: Tab, stranger: str, name: str
) -> None:
    tab.open(f"http://{name}:{stranger}/")
    said = attack(tab, web.url, web.stop)
    assert web.is_untouched()
    readable = {how for how, answer in said.items() if how.endswith(" cors") and answer != "failed"}
    assert readable == set()
    assert {said[how] for how in ("image", "script", "frame", "websocket")} == {"failed"}, said


def test_a_name_that_was_let_point_to_this_machine_changes_nothing(web: WebInterface, tab: Tab) -> None:
    """DNS rebinding: the stranger's page is of the same origin as what it asks."""
    rebound = f"http://rebound.example:{web.host.rpartition(':')[2]}"
    tab.open(rebound)
    said = attack(tab, rebound, web.stop)
    assert web.is_untouched()
    assert said["post cors"] == "421 basic", "it is asked, and refuses the name"
    assert said["websocket"] == "failed"


def test_the_same_from_our_own_page_does_change_something(web: WebInterface, tab: Tab) -> None:
    """Otherwise the tests above would pass with a query that does nothing."""
    tab.open(f"{web.url}/runs")
    answer = tab.run(
        f"fetch('/graphql', {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, "
        f"body: JSON.stringify({{query: {json.dumps(web.stop)}}})}}).then(answer => answer.status)"
    )
    assert answer == 200
    assert not web.is_untouched()
    web.start_all()
    assert web.is_untouched()


def test_dagsters_own_pages_work_behind_the_sign_in(web: WebInterface, tab: Tab) -> None:
    """Its pages ask GraphQL and open a WebSocket by themselves, and none of it is refused."""
    tab.events.clear()
    tab.open(f"{web.url}/assets")
    tab.until("document.body.innerText.includes('raw_costs') || document.body.innerText.includes('costs')")
    refused = [
        (event["params"]["response"]["url"], event["params"]["response"]["status"])
        for event in tab.events
        if event.get("method") == "Network.responseReceived" and event["params"]["response"]["status"] >= 400
    ]
    assert refused == []
    assert not [event for event in tab.events if event.get("method") == "Network.webSocketFrameError"]


def test_a_link_followed_on_another_site_finds_the_session(web: WebInterface, tab: Tab, stranger: str) -> None:
    """The browser sends no cookie with it, so the first answer sends it on from a page of ours."""
    tab.open(f"http://evil.example:{stranger}/")
    tab.run(f"location.href = '{web.url}/runs'")
    tab.until("location.pathname === '/runs' && document.title.includes('Dagster')")


def test_the_sign_in_page_asks_no_other_host_and_complains_of_nothing(web: WebInterface, tab: Tab) -> None:
    tab.events.clear()
    tab.open(f"{web.url}/sign-out")
    tab.press("button")
    tab.until("location.pathname === '/sign-in'")
    tab.run("document.querySelector('#token').value = 'oi_wrong'")
    tab.press("button")
    tab.until("document.querySelector('.problem').innerText.includes('not accepted')")
    asked = [
        event["params"]["request"]["url"] for event in tab.events if event.get("method") == "Network.requestWillBeSent"
    ]
    assert asked
    assert [url for url in asked if not url.startswith((web.url, "data:"))] == []
    said = [event["params"]["entry"] for event in tab.events if event.get("method") == "Log.entryAdded"]
    assert [entry for entry in said if entry["level"] != "verbose" and entry["source"] != "network"] == []
