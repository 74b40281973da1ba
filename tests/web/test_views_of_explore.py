"""Views saved by Explore: listed for everybody of the customer, opened, replaced, renamed and removed, and never another customer's."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from site_world import HOSTILE, Site, spend
from test_states import text_of
from world import Customer

REGIONS = "service=Compute&group=REGION&compare=1"


@pytest.fixture
def acme(site: Site) -> Customer:
    """A customer with costs, and a viewer's token."""
    customer = site.world.customer()
    spend(customer)
    return customer


def listed(browser: httpx.Client) -> dict[str, str]:
    """Name -> address of the views that Explore lists."""
    page = browser.get("/explore").text
    card = page[page.index('id="views"') : page.index("</details>", page.index('id="views"'))]
    return {
        html.unescape(name): html.unescape(link)
        for link, name in re.findall(r'<li><a href="([^"]+)"[^>]*>([^<]+)', card)
    }


def save(browser: httpx.Client, name: str, query: str = REGIONS, **more: str) -> httpx.Response:
    """Send the form below what an address shows."""
    return browser.post(f"/explore/views?{query}", data={"name": name, **more})


def test_what_is_seen_is_saved_and_opened_by_everybody_of_the_customer(site: Site, acme: Customer) -> None:
    other = site.world.metadata.tokens.issue("other", acme.customer_id, "viewer").plaintext
    with site.signed_in(acme.token) as browser, site.signed_in(other) as colleague:
        led_to = save(browser, "Compute by region").headers["location"]
        assert listed(colleague) == {"Compute by region": led_to}
        opened = text_of(colleague.get(led_to))
        assert "opened: Compute by region" in opened
        assert "311.25" in opened, "12 days of 10 and 17 of 11.25"
        assert "Save in its place" not in opened, "it is another's"
        assert "Save in its place" in text_of(browser.get(led_to))


def test_a_view_is_replaced_renamed_and_removed(site: Site, acme: Customer) -> None:
    with site.signed_in(acme.token) as browser:
        led_to = save(browser, "Compute").headers["location"]
        view = httpx.URL(led_to).params["view"]
        changed = save(browser, "Storage", f"service=Storage&view={view}", replaces=view).headers["location"]
        assert listed(browser) == {"Storage": changed}
        assert httpx.URL(changed).params["service"] == "Storage"
        assert browser.post("/explore/views/remove", data={"view": view}).headers["location"] == "/explore"
        assert listed(browser) == {}
        gone = browser.post("/explore/views/remove", data={"view": view})
        assert "does not exist" in text_of(gone)


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("", REGIONS, "name: '' is not accepted"),
        ("x" * 101, REGIONS, "use 1 to 100 printable characters"),
        ("long", "service=" + "x" * 5000, "use at most 4000"),
        ("odd", "period=1-day", "period: '1-day' is not accepted"),
    ],
)
def test_what_cannot_be_saved_is_said_above_what_is_seen(
    site: Site, acme: Customer, name: str, query: str, said: str
) -> None:
    with site.signed_in(acme.token) as browser:
        answer = save(browser, name, query)
        assert said in text_of(answer)
        assert 'role="alert"' in answer.text
        assert listed(browser) == {}


def test_a_view_of_another_is_changed_by_an_administrator_only(site: Site, acme: Customer) -> None:
    tokens = [site.world.metadata.tokens.issue("x", acme.customer_id, role).plaintext for role in ("operator", "admin")]  # type: ignore[arg-type]
    with (
        site.signed_in(acme.token) as author,
        site.signed_in(tokens[0]) as operator,
        site.signed_in(tokens[1]) as admin,
    ):
        view = httpx.URL(save(author, "Compute").headers["location"]).params["view"]
        for refused in (save(operator, "Compute"), operator.post("/explore/views/remove", data={"view": view})):
            assert "'Compute' was saved by test" in text_of(refused)
        assert save(admin, "Compute of us", replaces=view).status_code == 303
        assert admin.post("/explore/views/remove", data={"view": view}).status_code == 303
        assert listed(author) == {}


def test_a_read_only_link_saves_nothing(site: Site, acme: Customer) -> None:
    (token,) = site.world.metadata.tokens.find(customer_id=acme.customer_id)
    with site.signed_in(acme.token) as author:
        view = httpx.URL(save(author, "Compute").headers["location"]).params["view"]
    link = site.world.metadata.web_sessions.make_link(token.token_id, is_read_only=True)
    with site.browser() as browser:
        browser.post("/sign-in/link", data={"link": link})
        page = browser.get("/explore").text
        assert "/explore/views" not in page
        for refused in (save(browser, "x"), browser.post("/explore/views/remove", data={"view": view})):
            assert "read-only link" in text_of(refused)
        assert list(listed(browser)) == ["Compute"]


def test_another_customers_views_are_neither_seen_nor_touched(site: Site, acme: Customer) -> None:
    with site.signed_in(acme.token) as browser:
        led_to = save(browser, "Secret plans").headers["location"]
    view = httpx.URL(led_to).params["view"]
    other = site.world.customer("admin")
    with site.signed_in(other.token) as stranger:
        assert listed(stranger) == {}
        assert "Secret plans" not in stranger.get(led_to).text
        for path in ("/explore/views/remove", f"/explore/views/remove?customer={acme.customer_id}"):
            assert "does not exist" in text_of(stranger.post(path, data={"view": view}))
        assert "does not exist" in text_of(save(stranger, "Mine", replaces=view))
        assert "does not exist" in text_of(save(stranger, "Mine", f"{REGIONS}&customer={acme.customer_id}"))
    assert [one.name for one in site.world.metadata.saved_views.find(customer_id=acme.customer_id)] == ["Secret plans"]


def test_a_name_is_shown_as_text_and_an_address_leads_nowhere_else(site: Site, acme: Customer) -> None:
    with site.signed_in(acme.token) as browser:
        save(browser, HOSTILE, f"service={HOSTILE}")
        page = browser.get("/explore")
        assert "<img" not in page.text
        assert list(listed(browser)) == [HOSTILE]
        assert all(link.startswith("/explore?view=") for link in listed(browser).values())
