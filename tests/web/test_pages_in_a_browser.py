"""The pages in a real browser: what it shows is what GraphQL answers, it asks no other origin, and the keyboard alone suffices."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pytest
from loopback import real_clock
from playwright.sync_api import Browser, Page, sync_playwright
from site_world import HOSTILE, Site, spend
from world import Customer

from optiinfra_api.web.assets import ASSETS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "NO CHROMIUM ON THIS MACHINE: the pages are not looked at; install Debian's package chromium"
if not ASSETS.has("echarts.js"):
    MISSING = "NO FILES OF NPM PACKAGES HERE: the pages are not looked at; run `python -m optiinfra_api.web.fetch_assets` where npm is"
IS_LOOKED_AT = CHROMIUM is not None and ASSETS.has("echarts.js")
if not IS_LOOKED_AT:
    warnings.warn(MISSING, stacklevel=1)
pytestmark = pytest.mark.skipif(not IS_LOOKED_AT, reason=MISSING)

TOTAL = """query ($period: Period!, $basis: CostBasis!, $filter: CostFilter) {
  totalCost(period: $period, costBasis: $basis, filter: $filter) { totals { cost { amount currency } } } }"""
ALL = "/explore?from=2026-11-01&to=2026-11-17"


Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass
class Look:
    """One tab of the browser, signed in, and what it must not have: see `faults`."""

    page: Page
    url: str
    theme: Theme
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page and wait until its scripts have run."""
        self.page.goto(f"{self.url}{path}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page is there, with its chart if it has one."""
        self.page.wait_for_load_state()
        if self.page.query_selector("#chart"):
            self.page.wait_for_selector("html[data-chart=drawn]")

    def amounts(self, selector: str) -> list[Decimal]:
        """The exact amounts that the page shows somewhere."""
        shown = self.page.eval_on_selector_all(f"{selector} data.amount", "all => all.map(one => one.value)")
        return [Decimal(one) for one in shown]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    with sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options, env=real_clock())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def customer(site: Site) -> Customer:
    """A customer with two months of costs in two currencies."""
    found = site.world.customer("admin")
    spend(found)
    return found


@pytest.fixture
def look(chromium: Browser, site: Site, customer: Customer, request: pytest.FixtureRequest) -> Iterator[Look]:
    """A tab that is signed in; at its end it asked no other origin, and its console is empty."""
    theme, width = getattr(request, "param", ("light", 1280))
    context = chromium.new_context(color_scheme=theme, viewport={"width": width, "height": 800})
    found = Look(context.new_page(), site.url, theme)
    found.page.on("console", lambda said: found.faults.append(said.text) if said.type in ("error", "warning") else None)
    found.page.on("pageerror", lambda error: found.faults.append(str(error)))
    found.page.on("request", lambda sent: _is_ours(sent.url, site.url) or found.faults.append(sent.url))
    with site.signed_in(customer.token) as session:
        context.add_cookies([{"name": one.name, "value": one.value, "url": site.url} for one in session.cookies.jar])
    yield found
    context.close()
    assert found.faults == []


def test_who_signs_in_comes_to_the_page_that_was_asked_for(look: Look, customer: Customer) -> None:
    look.page.context.clear_cookies()
    look.open("/explore")
    assert "/sign-in" in look.page.url
    look.page.fill("#token", customer.token)
    look.page.press("#token", "Enter")
    look.page.wait_for_url(f"{look.url}/explore")
    look.settle()


def _is_ours(url: str, origin: str) -> bool:
    return url.startswith((f"{origin}/", "data:"))


def asked(customer: Customer, start: str, end: str, basis: str = "BILLED", **filter_: Any) -> dict[str, Decimal]:
    """What GraphQL answers for a period, by currency."""
    variables = {"period": {"start": start, "end": end}, "basis": basis, "filter": filter_ or None}
    totals = customer.data(TOTAL, **variables)["totalCost"]["totals"]
    return {one["cost"]["currency"]: Decimal(one["cost"]["amount"]) for one in totals}


@pytest.mark.parametrize("look", [("light", 1440), ("dark", 360)], indirect=True)
def test_every_page_fits_its_screen_in_light_and_dark(look: Look, customer: Customer) -> None:
    """A page is opened at each width and in each theme; it fits, and has its ground, in the other theme too."""
    grounds = set()
    for path in (
        "/",
        "/explore?compare=1",
        f"{ALL}&group=TAG&tag=team&group=REGION",
        f"{ALL}&group=SKU&compare=1&currency=USD",
        "/explore?service=Nothing",
        "/forecast",
        "/resources",
        f"/resources/resource?account={customer.customer_id}.main&resource=i-1",
        "/accounts",
        f"/accounts/account?account={customer.customer_id}.main&month=2026-11",
        "/accounts/connect?provider=aws",
        "/alerts",
        "/settings",
        "/settings/audit",
        "/settings/audit?log=credentials",
        f"/accounts/settings?account={customer.customer_id}.main",
        f"/accounts/delete?account={customer.customer_id}.main",
    ):
        look.open(path)
        assert look.page.locator("h1").count() == 1
        for theme in THEMES:
            look.page.emulate_media(color_scheme=theme)
            assert look.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, theme)
            grounds.add((theme, look.page.evaluate("getComputedStyle(document.body).backgroundColor")))
        look.page.emulate_media(color_scheme=look.theme)
    assert len(grounds) == len(dict(grounds)) == len({ground for _, ground in grounds}) == len(THEMES)


def test_the_overview_shows_what_graphql_answers(look: Look, customer: Customer) -> None:
    look.open("/")
    now = asked(customer, "2026-11-01", "2026-11-18")
    assert now.keys() == {"USD", "EUR"}
    for currency, amount in now.items():
        assert look.amounts(f"[data-figure='now {currency}']") == [amount]
    text = look.page.inner_text("main")
    assert "1 Nov 2026 to 17 Nov 2026, against 1 Oct 2026 to 17 Oct 2026" in text
    assert "Data through 17 Nov 2026" in text
    before = asked(customer, "2026-10-01", "2026-10-18")
    assert look.amounts(".figure:has([data-figure='now USD'])")[1] == before["USD"]


def test_explore_shows_what_graphql_answers_and_chart_and_table_agree(look: Look, customer: Customer) -> None:
    look.open(f"{ALL}&compare=1&currency=USD")
    total = asked(customer, "2026-11-01", "2026-11-18")["USD"]
    assert look.amounts("[data-figure=total]") == [total]
    assert look.amounts("#figures tfoot .all") == [total, asked(customer, "2026-10-01", "2026-10-18")["USD"]]
    assert sum(look.amounts("#figures tbody td:nth-child(2)")) == total
    changes = [abs(now - was) for now, was in zip(*[iter(look.amounts("#figures tbody"))] * 2, strict=True)]
    assert changes == sorted(changes, reverse=True), "what moved most comes first"
    drawn = look.page.evaluate("JSON.parse(document.getElementById('chart-data').textContent)")
    assert sum(Decimal(one) for series in drawn["series"] for one in series["amounts"]) == total
    assert look.page.evaluate("document.querySelector('#chart canvas').toDataURL().length") > 3000, "it is drawn"


def test_a_click_looks_closer_and_a_filter_is_taken_away(look: Look, customer: Customer) -> None:
    look.open(f"{ALL}&currency=USD")
    look.page.click("#figures tbody a:has-text('Compute')")
    look.settle()
    assert look.amounts("[data-figure=total]") == [
        asked(customer, "2026-11-01", "2026-11-18", service=["Compute"])["USD"]
    ]
    assert look.page.inner_text("#figures thead th >> nth=0") == "Region"
    look.page.click(".chips a >> nth=0")
    look.settle()
    assert look.amounts("[data-figure=total]") == [asked(customer, "2026-11-01", "2026-11-18")["USD"]]
    look.page.go_back()
    assert "service=Compute" in look.page.url, "every state has its address"


def test_a_view_is_saved_opened_and_removed(look: Look, customer: Customer) -> None:
    look.open(f"{ALL}&service=Compute&currency=USD")
    look.page.click("summary:has-text('Saved views')")
    look.page.fill("#views [name=name]", "Compute")
    look.page.press("#views [name=name]", "Enter")
    look.page.wait_for_url("**view=**")
    look.open("/explore")
    look.page.click("summary:has-text('Saved views')")
    look.page.click("#views a:has-text('Compute')")
    look.page.wait_for_url("**view=**")
    look.settle()
    compute = asked(customer, "2026-11-01", "2026-11-18", service=["Compute"])["USD"]
    assert look.amounts("[data-figure=total]") == [compute]
    look.page.click("summary:has-text('Saved views')")
    look.page.click("#views button:has-text('Remove')")
    look.page.wait_for_url("**/explore")
    assert look.page.locator("#views a").count() == 0


def test_a_search_offers_values_and_adds_a_filter(look: Look, customer: Customer) -> None:
    look.open(ALL)
    look.page.focus("#value")
    look.page.wait_for_selector("#values option:nth-child(2):last-child", state="attached")
    look.page.fill("#value", "stor")
    look.page.wait_for_selector("#values option:only-child", state="attached")
    look.page.fill("#value", "Storage")
    look.page.click("#filters button")
    look.settle()
    shown = look.amounts("[data-figure=total]")
    assert shown[0] in asked(customer, "2026-11-01", "2026-11-18", service=["Storage"]).values()
    assert "Storage" in look.page.inner_text(".chips")


def test_a_choice_shows_at_once(look: Look, customer: Customer) -> None:
    look.open(ALL)
    look.page.select_option("[name=basis]", "EFFECTIVE")
    look.page.wait_for_url("**basis=EFFECTIVE**")
    look.settle()
    effective = asked(customer, "2026-11-01", "2026-11-18", "EFFECTIVE")
    assert look.amounts("[data-figure=total]")[0] in effective.values()


def test_the_graphql_text_is_the_one_that_was_asked(look: Look, customer: Customer) -> None:
    look.open(f"{ALL}&service=Compute&currency=USD")
    look.page.click("summary:has-text('GraphQL of what is seen')")
    editor = look.page.get_attribute("a:has-text('Open in the editor')", "href")
    assert editor
    look.open(editor)
    with look.page.expect_response(lambda answer: "query Explore" in (answer.request.post_data or "")) as answered:
        look.page.click("button.graphiql-execute-button")
    (series,) = (one for one in answered.value.json()["data"]["costs"]["series"] if one["currency"] == "USD")
    assert Decimal(series["cost"]["amount"]) == asked(customer, "2026-11-01", "2026-11-18", service=["Compute"])["USD"]


def test_the_keyboard_alone_suffices(look: Look) -> None:
    look.open("/")
    look.page.keyboard.press("Tab")
    assert (
        look.page.evaluate("document.activeElement.outerHTML") == '<a class="skip" href="#main">Skip to the content</a>'
    )
    reached = set()
    for _ in range(60):
        look.page.keyboard.press("Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        reached.add(look.page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
        assert look.page.evaluate(f"document.activeElement === document.body || {outline} !== 'none'")
    assert {"Explore", "All", "Compute"} <= reached
    look.page.focus("nav a:has-text('Explore')")
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/explore")
    look.page.focus(".me summary")
    look.page.keyboard.press("Enter")
    look.page.focus(".themes button[value=dark]")
    look.page.keyboard.press("Enter")
    look.page.wait_for_selector("html[data-theme=dark]")
    look.page.focus(".me summary")
    look.page.keyboard.press("Enter")
    look.page.focus("form[action='/sign-out'] button")
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/sign-in")


def test_what_is_collected_meanwhile_appears_but_takes_no_focus_away(look: Look) -> None:
    look.open("/")
    look.page.evaluate("window.before = true")
    assert look.page.locator("[data-refresh='5']").count() == 1
    look.page.focus("nav a:has-text('Explore')")
    look.page.wait_for_timeout(6000)
    assert look.page.evaluate("window.before === true && document.activeElement.textContent.includes('Explore')")
    with look.page.expect_navigation():
        look.page.evaluate("document.activeElement.blur()")


def test_what_is_stored_stays_text(look: Look, site: Site) -> None:
    customer = site.world.customer()
    spend(customer, hostile=True, is_simulated=True)
    look.page.context.clear_cookies()
    look.open("/sign-in")
    look.page.fill("#token", customer.token)
    look.page.press("#token", "Enter")
    look.page.wait_for_url(f"{site.url}/")
    look.open("/resources")
    assert HOSTILE in look.page.inner_text("main")
    assert look.page.locator("img").count() == 0
    for path in ("/", ALL, f"{ALL}&group=TAG&tag=team&group=SUB_ACCOUNT", f"{ALL}&group=REGION"):
        look.open(path)
        assert HOSTILE in look.page.inner_text("main"), path
        assert "Simulated data" in look.page.inner_text("main")
        box = look.page.locator("#chart").bounding_box()
        assert box
        look.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
        look.page.wait_for_selector(".tip")
        assert look.page.locator("img").count() == 0
        assert look.page.title().endswith("OptiInfra")


def test_the_first_visit_is_small_and_the_next_page_is_smaller(
    chromium: Browser, site: Site, customer: Customer
) -> None:
    """At most 400 KB compressed, and then 30 KB a page."""
    sizes: list[int] = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("requestfinished", lambda done: sizes.append(done.sizes()["responseBodySize"]))
        page.goto(f"{site.url}/sign-in")
        page.fill("#token", customer.token)
        page.press("#token", "Enter")
        page.wait_for_selector("html[data-chart=drawn]")
        assert sum(sizes) <= 400 * 1024, sizes
        sizes.clear()
        page.goto(f"{site.url}/explore?compare=1")
        page.wait_for_selector("html[data-chart=drawn]")
        assert sum(sizes) <= 30 * 1024, sizes


@pytest.mark.parametrize("path", ["/", f"{ALL}&compare=1"])
def test_without_scripts_the_same_figures_stand_there(
    chromium: Browser, site: Site, customer: Customer, path: str
) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site.url}/sign-in")
        page.fill("#token", customer.token)
        page.press("#token", "Enter")
        page.wait_for_url(f"{site.url}/")
        page.goto(f"{site.url}{path}")
        assert "11.25" in page.inner_text("main") or "191.25" in page.inner_text("main")
        assert "The chart needs JavaScript" in page.inner_text("main")
        page.goto(f"{site.url}/explore")
        page.select_option("[name=basis]", "LIST")
        page.click("#controls button")
        assert "basis=LIST" in page.url


def test_the_files_of_packages_are_here() -> None:
    """Otherwise the tests above saw no chart: `make install` fetches them where npm is."""
    assert ASSETS.has("echarts.js")
    assert ASSETS.has("graphiql.js")
