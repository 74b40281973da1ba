"""What axe-core finds on every page, in light and dark, on a wide and a narrow screen, with data and without: nothing serious."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from site_world import NOW, Site, spend
from test_pages_in_a_browser import ALL, IS_LOOKED_AT, MISSING, chromium
from world import Customer

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.failures import AFTER_TRANSIENT, Fault
from optiinfra_assets.vault.credential_audit import Actor

__all__ = ["chromium"]

AXE = Path(__file__).with_name("vendor") / "axe.js"
IS_CHECKED = IS_LOOKED_AT and AXE.is_file()
MISSING = (
    MISSING if not IS_LOOKED_AT else f"NO axe-core HERE: nothing is checked; run `make install` where npm is ({AXE})"
)
if not IS_CHECKED:
    warnings.warn(MISSING, stacklevel=1)
pytestmark = pytest.mark.skipif(not IS_CHECKED, reason=MISSING)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 1280), ("dark", 360), ("light", 360)]
OF_LOOKS = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"]
"""Rules that a theme or a width can break."""

RUN = """async rules => (await axe.run(document, {runOnly: rules, resultTypes: ["violations"]})).violations.map(
  one => `${one.impact} ${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | ")}`)"""
OUTSIDE = ["/sign-in", "/sign-in/link/x", "/sign-in/openid/callback"]
PAGES = [
    "/",
    "/?currency=EUR",
    f"{ALL}&compare=1",
    f"{ALL}&service=Compute&group=REGION&group=TAG&tag=team",
    "/explore?period=wrong",
    "/forecast",
    "/anomalies",
    "/resources",
    "/resources?view=gone&service=Compute",
    "/resources/resource?account=ACCOUNT&resource=i-1",
    "/resources/resource?account=ACCOUNT&resource=none",
    "/invoices?month=2026-10",
    "/accounts",
    "/accounts/account?account=ACCOUNT&month=2026-11",
    "/accounts/connect",
    "/accounts/connect?provider=aws",
    "/accounts/settings?account=ACCOUNT",
    "/accounts/delete?account=ACCOUNT",
    "/alerts",
    "/settings",
    "/settings/audit",
    "/settings/audit?log=credentials",
    "/no-such-page",
    "/sign-out",
]
WITHOUT_DATA = [
    "/",
    "/explore",
    "/forecast",
    "/anomalies",
    "/resources",
    "/resources/resource?account=ACCOUNT&resource=none",
    "/invoices?month=2026-10",
    "/accounts",
    "/accounts/account?account=ACCOUNT&month=2026-11",
    "/alerts",
    "/settings",
    "/settings/audit",
]
"""What looks otherwise where there is nothing yet; other pages are the same, or say as these that there is no such account."""


@pytest.fixture(scope="module")
def customers(site: Site) -> dict[str, Customer]:
    """One with costs, failures, views and tokens, and one that has nothing."""
    full, empty = site.world.customer("admin"), site.world.customer("admin")
    slice_ = spend(full, is_simulated=True)
    metadata = site.world.metadata
    metadata.slices.record_probe(slice_.account_id, {slice_.billing_period: "token"}, NOW)
    metadata.failures.record(slice_, "the provider answered 503", Fault.PROVIDER, NOW, AFTER_TRANSIENT)
    account = Account(slice_.account_id, full.customer_id, "aws", is_simulated=True)
    metadata.credentials.put(account, {"secret_access_key": "x"}, Actor("test", "x"))
    metadata.collections.finish(metadata.collections.start("task", "cli", slice_, "run"), "failed", error="it broke")
    metadata.accounts.add(Account(f"{full.customer_id}.new", full.customer_id, "aws"))
    principal = metadata.tokens.authenticate(full.token)
    assert principal
    view = {"customer_id": full.customer_id, "principal": principal, "actor": Actor("test", "x")}
    metadata.saved_views.save("Compute", "/explore?service=Compute", None, **view)
    return {"with data": full, "without data": empty}


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab; axe is put into each of its pages."""
    with chromium.new_context() as context:
        context.add_init_script(path=AXE)
        yield context.new_page()


def found(page: Page, url: str) -> list[str]:
    """What axe finds on a page that is serious or critical: once all of it, and in the other looks what depends on them."""
    page.goto(url)
    page.wait_for_load_state()
    if page.query_selector("#chart"):
        page.wait_for_selector("html[data-chart=drawn]")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    problems = []
    for number, (theme, width) in enumerate(LOOKS):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        violations = page.evaluate(RUN, OF_LOOKS if number else RULES)
        serious = [one for one in violations if one.startswith(("serious", "critical"))]
        problems += [f"{url} {theme} {width}: {one}" for one in serious]
    return problems


@pytest.mark.parametrize(
    ("has", "outside", "inside"),
    [("with data", OUTSIDE, PAGES), ("without data", [], WITHOUT_DATA)],
    ids=["with data", "without data"],
)
def test_nothing_serious_is_found(
    page: Page, site: Site, customers: dict[str, Customer], has: str, outside: list[str], inside: list[str]
) -> None:
    customer = customers[has]
    problems = [one for path in outside for one in found(page, f"{site.url}{path}")]
    page.goto(f"{site.url}/sign-in")
    page.fill("#token", customer.token)
    page.press("#token", "Enter")
    page.wait_for_url(f"{site.url}/")
    for path in inside:
        problems += found(page, f"{site.url}{path.replace('ACCOUNT', f'{customer.customer_id}.main')}")
    assert problems == []


def test_something_serious_would_be_found(chromium: Browser) -> None:
    """The check itself works: a picture without a text, and grey on grey."""
    page = chromium.new_page()
    page.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><img src=x><p style='color:#aaa;background:#bbb'>grey on grey</p></main>"
    )
    page.add_script_tag(path=AXE)
    violations: list[Any] = page.evaluate(RUN, RULES)
    assert {one.split()[1].rstrip(":") for one in violations} >= {"image-alt", "color-contrast"}
    page.close()
