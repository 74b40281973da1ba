"""Accounts, resources and tokens over the pages: by role, as forms without scripts, and never a secret shown twice."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from focus_samples import csv_text, random_rows, write_csv
from site_world import NOW, Site, spend
from test_states import text_of


def accepted(site: Site, token: str) -> int:
    """How GraphQL answers a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{site.url}/graphql", json={"query": "{ __typename }"}, headers=headers).status_code


def connect(browser: httpx.Client, **fields: str) -> httpx.Response:
    """Send the form for an account of DigitalOcean, which has a secret."""
    values = {"provider": "digitalocean", "account": "do", "apiToken": "dop_v1_secret", **fields}
    return browser.post("/accounts/connect", data=values)


def test_a_form_has_every_field_of_the_credential_model(site: Site) -> None:
    with site.signed_in(site.world.customer("admin").token) as browser:
        for provider, secret in (("aws", "secretAccessKey"), ("gcp", "serviceAccountKey"), ("azure", "clientSecret")):
            shown = browser.get(f"/accounts/connect?provider={provider}").text
            assert re.search(rf'name="{secret}" type="password"', shown), provider
        assert 'name="table" type="text" required' in browser.get("/accounts/connect?provider=gcp").text


def test_what_is_refused_is_said_and_the_secret_is_not_in_the_page(site: Site) -> None:
    with site.signed_in(site.world.customer("admin").token) as browser:
        answer = connect(browser, account="NOT A NAME", endpointUrl="http://127.0.0.1:9")
    assert answer.status_code == 422
    assert 'value="NOT A NAME"' in answer.text
    assert 'role="alert"' in answer.text
    assert "dop_v1_secret" not in answer.text


def test_an_account_is_connected_by_the_form_and_its_page_opens(site: Site, tmp_path: Path) -> None:
    customer = site.world.customer()
    write_csv(tmp_path / "costs.csv", csv_text(random_rows(3, 1)))
    root = site.world.metadata.tokens.issue("root", None, "admin").plaintext
    asked = {"provider": "focus", "account": "files", "location": str(tmp_path)}
    with site.signed_in(root) as browser:
        answer = browser.post(f"/accounts/connect?customer={customer.customer_id}", data=asked)
        assert answer.status_code == 303, text_of(answer)
        assert f"account={customer.customer_id}.files" in answer.headers["location"]
        assert "months to collect" in text_of(browser.get(answer.headers["location"]))
        again = browser.post(f"/accounts/connect?customer={customer.customer_id}", data=asked)
        assert again.status_code == 422


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_connect_accounts_and_make_tokens(site: Site, role: Any) -> None:
    customer = site.world.customer(role)
    with site.signed_in(customer.token) as browser:
        assert "Only an administrator connects accounts" in browser.get("/accounts/connect?provider=aws").text
        assert "FORBIDDEN" not in connect(browser).text
        assert "administrator" in text_of(connect(browser))
        assert "Make it" not in browser.get("/settings").text
        browser.post("/settings/tokens", data={"name": "x", "role": "ADMIN"})
    assert len(site.world.metadata.tokens.find(customer_id=customer.customer_id)) == 1
    assert site.world.metadata.accounts.find(customer_id=customer.customer_id) == []


def test_a_viewer_has_nothing_collected(site: Site) -> None:
    customer = site.world.customer()
    slice_ = spend(customer)
    with site.signed_in(customer.token) as browser:
        assert "Collect" not in re.sub("Collected|Collections", "", text_of(browser.get("/accounts")))
        refused = browser.post("/accounts/collect", data={"account": slice_.account_id})
        assert "role" in text_of(refused)
    history = customer.data("{ collectionHistory(first: 5) { nodes { id } } }")
    assert history["collectionHistory"]["nodes"] == []


def test_an_account_shows_its_generations_and_another_customers_is_not_there(site: Site) -> None:
    customer, other = site.world.customer("admin"), site.world.customer("admin")
    slice_ = spend(customer)
    path = f"/accounts/account?account={slice_.account_id}&month=2026-11"
    with site.signed_in(customer.token) as browser:
        said = text_of(browser.get(path))
        assert slice_.account_id in text_of(browser.get("/accounts"))
    assert "Data through 17 Nov 2026" in said
    with site.signed_in(other.token) as browser:
        hidden = browser.get(path)
        assert hidden.status_code == 404
        assert "17 Nov" not in hidden.text


def test_collecting_without_dagster_says_so(site: Site) -> None:
    customer = site.world.customer("operator")
    slice_ = spend(customer)
    site.world.metadata.slices.record_probe(slice_.account_id, {slice_.billing_period: "token"}, NOW)
    with site.signed_in(customer.token) as browser:
        answer = browser.post("/accounts/collect", data={"account": slice_.account_id})
    assert "Dagster" in text_of(answer)
    assert 'role="alert"' in answer.text


def test_a_token_is_shown_once_and_refused_once_it_is_revoked(site: Site) -> None:
    customer = site.world.customer("admin")
    with site.signed_in(customer.token) as browser:
        made = browser.post("/settings/tokens", data={"name": "<b>reports</b>", "role": "VIEWER", "days": "30"})
        secret = re.search(r"oi_[A-Za-z0-9_-]{43}", made.text)
        assert secret
        assert made.headers["cache-control"] == "no-store"
        listed = browser.get("/settings").text
        assert secret[0] not in listed
        assert html.escape("<b>reports</b>") in listed
        (mine,) = (one for one in site.world.metadata.tokens.find(customer_id=customer.customer_id) if one.expires_at)
        assert accepted(site, secret[0]) == 200
        assert browser.post("/settings/tokens/revoke", data={"token": mine.token_id}).status_code == 303
        assert "reports" not in browser.get("/settings").text
    assert accepted(site, secret[0]) == 401


@pytest.mark.parametrize("days", ["30 days", "-5", "3.5", "abc", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 5000])
def test_a_token_is_not_made_for_ever_because_its_days_are_no_number(site: Site, days: str) -> None:
    customer = site.world.customer("admin")
    with site.signed_in(customer.token) as browser:
        answer = browser.post("/settings/tokens", data={"name": "reports", "role": "VIEWER", "days": days})
    assert 'role="alert"' in answer.text
    assert "days" in text_of(answer)
    assert "oi_" not in answer.text
    assert len(site.world.metadata.tokens.find(customer_id=customer.customer_id)) == 1


@pytest.mark.parametrize("number", ["--5", "9" * 5000, "-", "1e3"])
def test_a_number_that_is_none_is_said_above_the_form(site: Site, number: str) -> None:
    with site.signed_in(site.world.customer("admin").token) as browser:
        answer = browser.post(
            "/accounts/connect", data={"provider": "gcp", "account": "x", "table": "a.b.c", "maxGibBilled": number}
        )
    assert answer.status_code == 422
    assert "maxGibBilled" in text_of(answer)


def test_a_token_of_another_customer_is_not_revoked(site: Site) -> None:
    customer, other = site.world.customer("admin"), site.world.customer("admin")
    (theirs,) = site.world.metadata.tokens.find(customer_id=other.customer_id)
    with site.signed_in(customer.token) as browser:
        answer = browser.post("/settings/tokens/revoke", data={"token": theirs.token_id})
    assert 'role="alert"' in answer.text
    assert accepted(site, other.token) == 200


def test_resources_are_those_of_graphql_with_what_is_new_and_gone(site: Site) -> None:
    customer = site.world.customer()
    spend(customer)
    with site.signed_in(customer.token) as browser:
        top = text_of(browser.get("/resources?period=this-month&currency=USD"))
        assert "Name of i-1" in top
        assert "191.25" in top
        new = text_of(browser.get("/resources?from=2026-10-01&to=2026-10-31&view=new&currency=USD"))
        assert "Name of disk" in new
        gone = text_of(browser.get("/resources?from=2026-11-18&to=2026-11-18&view=gone"))
        assert "Name of disk" in gone


def test_the_page_of_a_resource_shows_its_days_tags_and_when_it_was_there(site: Site) -> None:
    customer = site.world.customer()
    spend(customer)
    path = f"/resources/resource?account={customer.customer_id}.main&resource=i-1"
    with site.signed_in(customer.token) as browser:
        link = re.search(r'href="(/resources/resource[^"]+i-1[^"]*)"', browser.get("/resources?currency=USD").text)
        assert link
        assert "Name of i-1" in text_of(browser.get(html.unescape(link[1])))
        said = text_of(browser.get(f"{path}&period=this-month"))
        assert "First charge 1 Oct 2026 Last charge 17 Nov 2026" in said
        assert "team web" in said
        assert "191.25 USD" in said
        assert "17 Nov 2026 11.25" in said
        assert "180.00 USD from 1 Oct 2026" in said, "18 days of 10"
        empty = text_of(browser.get(f"{path}&from=2026-09-01&to=2026-09-02"))
        assert "Nothing was charged for it in these days" in empty
        none = browser.get(f"/resources/resource?account={customer.customer_id}.main&resource=nobody")
        assert none.status_code == 404
    with site.signed_in(site.world.customer().token) as stranger:
        hidden = stranger.get(path)
        assert hidden.status_code == 404
        assert "Name of i-1" not in hidden.text


def test_resources_behind_what_is_explored_keep_its_filters(site: Site) -> None:
    customer = site.world.customer()
    spend(customer)
    with site.signed_in(customer.token) as browser:
        page = browser.get("/explore?service=Storage&period=this-month&currency=USD").text
        link = re.search(r'href="([^"]+)">Resources</a></li><li><a href="/export', page)
        assert link
        found = browser.get(html.unescape(link[1]))
    assert "Name of disk" in found.text
    assert "Name of i-1" not in found.text
    assert "Remove the filter Service: Storage" in found.text
