"""An account is changed, given another secret, tested, deleted and its secret erased over the pages, and each act is in the audit log."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from site_world import Site
from test_states import text_of
from world import Customer

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource

KEY, OTHER = "PLANTED-first-key", "PLANTED-second-key"
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))


@pytest.fixture(scope="module")
def cloud() -> Iterator[SimulatedVultr]:
    """A simulated account that accepts the first key."""
    start = BillingPeriod.of(datetime.now(UTC)).shift(-1).start.date()
    with SimulatedVultr.make(Scenario("small", start, (WEB,)), lambda: datetime.now(UTC), secret=KEY) as started:
        yield started


@pytest.fixture
def customer(site: Site) -> Customer:
    """A customer with its own administrator."""
    return site.world.customer("admin")


@pytest.fixture
def root(site: Site) -> Iterator[httpx.Client]:
    """A browser of an administrator of all customers, who may connect a cloud on this machine."""
    with site.signed_in(site.world.metadata.tokens.issue("root", None, "admin").plaintext) as browser:
        yield browser


@pytest.fixture
def asked(cloud: SimulatedVultr, customer: Customer, root: httpx.Client) -> str:
    """The query of the pages of an account that was connected by its form."""
    form = {"provider": "vultr", "account": "main", "apiKey": KEY, "endpointUrl": cloud.endpoint}
    answer = root.post(f"/accounts/connect?customer={customer.customer_id}", data=form)
    assert answer.status_code == 303, text_of(answer)
    return f"account={customer.customer_id}.main&customer={customer.customer_id}"


def version(site: Site, customer: Customer) -> int | None:
    """Which secret of the account is stored."""
    return site.world.metadata.accounts.connection(customer.customer_id, f"{customer.customer_id}.main").version


def test_a_secret_is_replaced_after_a_test_and_stands_in_no_page(
    site: Site, cloud: SimulatedVultr, customer: Customer, root: httpx.Client, asked: str
) -> None:
    page = root.get(f"/accounts/settings?{asked}").text
    assert f'value="{cloud.endpoint}"' in page
    assert KEY not in page
    same = {"endpointUrl": cloud.endpoint}
    refused = root.post(f"/accounts/settings?{asked}", data={**same, "apiKey": OTHER})
    assert (refused.status_code, version(site, customer)) == (422, 1)
    assert 'role="alert"' in refused.text
    assert OTHER not in refused.text
    assert root.post(f"/accounts/settings?{asked}", data={**same, "apiKey": KEY}).status_code == 303
    assert version(site, customer) == 2
    assert "Nothing was changed" in text_of(root.post(f"/accounts/settings?{asked}", data=same))


def test_a_stored_secret_is_not_sent_to_another_address(customer: Customer, root: httpx.Client, asked: str) -> None:
    moved = root.post(f"/accounts/settings?{asked}", data={"endpointUrl": "http://127.0.0.1:9"})
    assert moved.status_code == 422
    assert "another address is accepted together with the secret only" in text_of(moved)
    assert 'value="http://127.0.0.1:9"' in moved.text, "what was typed stays"


def test_what_is_stored_is_tested(root: httpx.Client, asked: str) -> None:
    assert "It can be read." in text_of(root.post(f"/accounts/test?{asked}"))


def test_an_account_is_deleted_once_its_name_is_typed_and_connected_again(
    site: Site, cloud: SimulatedVultr, customer: Customer, root: httpx.Client, asked: str
) -> None:
    account = f"{customer.customer_id}.main"
    said = text_of(root.get(f"/accounts/delete?{asked}"))
    assert "Stays Its costs" in said
    wrong = root.post(f"/accounts/delete?{asked}", data={"typed": "main"})
    assert f"'main' is not the name of the account. Type {account}." in text_of(wrong)
    assert site.world.metadata.accounts.find(customer_id=customer.customer_id)
    assert root.post(f"/accounts/delete?{asked}", data={"typed": account}).status_code == 303
    assert site.world.metadata.accounts.find(customer_id=customer.customer_id) == []
    assert version(site, customer) == 1, "its secret stays"
    shown = root.get(f"/accounts/settings?{asked}")
    assert "It is not collected" in text_of(shown)
    again = re.search(r'href="(/accounts/connect\?again=[^"]+)"', shown.text)
    assert again
    form = root.get(html.unescape(again[1])).text
    assert 'value="main"' in form
    assert f'value="{cloud.endpoint}"' in form
    assert root.post(f"/accounts/delete?{asked}", data={"typed": account}).status_code == 303
    assert version(site, customer) is None, "the secret is erased"


def test_a_secret_is_erased_with_its_account(site: Site, customer: Customer, root: httpx.Client, asked: str) -> None:
    form = {"typed": f"{customer.customer_id}.main", "erases": "1"}
    assert root.post(f"/accounts/delete?{asked}", data=form).status_code == 303
    assert version(site, customer) is None


def test_the_audit_log_says_who_did_what(customer: Customer, root: httpx.Client, asked: str) -> None:
    root.post(f"/accounts/test?{asked}")
    credentials = text_of(root.get(f"/settings/audit?log=credentials&customer={customer.customer_id}"))
    assert re.search(rf"Reveal {customer.customer_id}\.main root 127\.0\.0\.1 to test", credentials)
    assert re.search(rf"Create {customer.customer_id}\.main root", credentials)
    access = text_of(root.get(f"/settings/audit?customer={customer.customer_id}"))
    assert "Create token test platform" in access


def test_the_audit_log_comes_in_pages(site: Site, customer: Customer) -> None:
    for number in range(55):
        site.world.metadata.tokens.issue(f"robot {number}", customer.customer_id, "viewer")
    with site.signed_in(customer.token) as browser:
        page = browser.get("/settings/audit")
        assert "robot 54" in page.text
        assert "robot 3<" not in page.text
        older = re.search(r'href="(/settings/audit\?[^"]*after=[^"]+)">Older', page.text)
        assert older
        assert "robot 3<" in browser.get(html.unescape(older[1])).text


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_change_accounts_and_read_the_log(
    site: Site, customer: Customer, asked: str, role: Any
) -> None:
    token = site.world.metadata.tokens.issue("x", customer.customer_id, role).plaintext
    account = f"{customer.customer_id}.main"
    with site.signed_in(token) as browser:
        assert "Only an administrator" in text_of(browser.get("/settings/audit"))
        assert "Settings and secret" not in browser.get(f"/accounts/account?account={account}").text
        for path in ("settings", "delete"):
            assert "role" in text_of(browser.get(f"/accounts/{path}?account={account}"))
        for path, form in (("settings", {"apiKey": OTHER}), ("delete", {"typed": account}), ("test", {})):
            assert "role" in text_of(browser.post(f"/accounts/{path}?account={account}", data=form))
    assert version(site, customer) == 1
    assert site.world.metadata.accounts.find(customer_id=customer.customer_id)


def test_what_is_stopped_needs_a_person_who_may_know_of_it(site: Site, customer: Customer) -> None:
    root = site.world.metadata.tokens.issue("root", None, "admin").plaintext
    with site.signed_in(root) as browser:
        assert "Dagster does not answer : nothing is collected by itself" in text_of(browser.get("/"))
    with site.signed_in(customer.token) as browser:
        assert "Dagster" not in text_of(browser.get("/"))
