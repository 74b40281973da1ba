"""The currency switch: every page shows its costs in the chosen currency, keeps the choice, and says why it cannot."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal
from typing import Final

import httpx
import pytest
from site_world import Site, spend
from world import Customer

CHF: Final = Decimal("0.9")
USD: Final = Decimal("1.2")
"""Per euro, on every day: 1 USD is 0.75 CHF."""
DAYS: Final = 17
"""Of November that have charges."""
SPENT: Final = DAYS * ((Decimal("11.25") + Decimal("2.5")) * CHF / USD + Decimal("0.003") * CHF)


@pytest.fixture(scope="module")
def customer(site: Site) -> Customer:
    """A customer with costs in dollars and euros."""
    rates = [(date(2026, month, day), code, rate)
             for month in (9, 10, 11) for day in range(1, 31) for code, rate in (("CHF", CHF), ("USD", USD))]  # fmt: skip
    site.world.metadata.rates.update("ECB", rates)
    customer = site.world.customer()
    spend(customer)
    return customer


def figures(answer: httpx.Response, name: str) -> list[Decimal]:
    """The exact figures of a page under a name."""
    assert answer.status_code == 200
    return [
        Decimal(one)
        for one in re.findall(
            rf'data-figure="{name}[^"]*"><data class="amount" value="([^"]+)"', re.sub(r">\s+<", "><", answer.text)
        )
    ]


def said(answer: httpx.Response) -> str:
    """What a page says."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_every_page_shows_its_costs_in_the_chosen_currency(site: Site, customer: Customer) -> None:
    account = f"{customer.customer_id}.main"
    with site.signed_in(customer.token) as browser:
        overview = browser.get("/?display=CHF")
        assert figures(overview, "now") == [SPENT]
        assert "Month to date in" not in said(overview), "there is one currency"
        explore = browser.get("/explore?period=this-month&display=CHF")
        assert figures(explore, "total") == [SPENT]
        storage = DAYS * (Decimal("2.5") * CHF / USD + Decimal("0.003") * CHF)
        assert f'value="{storage.normalize():f}"' in explore.text, "what was billed in two currencies is one row"
        assert "displayCurrency=CHF" in explore.text
        assert 'displayCurrency: "CHF"' in html.unescape(explore.text)
        resources = browser.get("/resources?period=this-month&display=CHF")
        assert f'value="{(DAYS * Decimal("11.25") * CHF / USD).normalize():f}"' in resources.text
        assert f'value="{storage.normalize():f}"' in resources.text
        disk = browser.get(f"/resources/resource?account={account}&resource=disk&period=this-month&display=CHF")
        assert figures(disk, "total") == [storage]
        for page in (overview, explore, resources, disk):
            assert 'id="display-note"' not in page.text
            links = [
                html.unescape(one)
                for one in re.findall(r'href="(/(?:explore|resources|accounts|settings)?(?:\?[^"]*)?)"', page.text)
            ]
            assert links
            assert all("display=CHF" in one for one in links)


def test_the_switch_keeps_what_is_seen_and_stands_on_every_page(site: Site, customer: Customer) -> None:
    with site.signed_in(customer.token) as browser:
        for path in ("/", "/explore", "/resources", "/accounts", "/settings"):
            page = browser.get(f"{path}?period=last-month&display=GBP")
            assert '<select id="display" name="display" data-submits>' in page.text
            assert "<option selected>GBP</option>" in page.text
            assert '<input type="hidden" name="period" value="last-month">' in page.text


def test_costs_without_a_rate_are_shown_as_billed_with_one_sentence(site: Site, customer: Customer) -> None:
    with site.signed_in(customer.token) as browser:
        plain, lost = (browser.get(f"/explore?period=this-month{more}") for more in ("", "&display=XTS"))
        assert figures(lost, "total") == figures(plain, "total")
        sentence = (
            "Costs are shown as billed, since not all of them can be shown in XTS. No rate from EUR to XTS on 17 days"
        )
        assert said(lost).count(sentence) == 1
        assert "<option selected>XTS</option>" in lost.text
        for wrong in ("chf", "%3Cb%3E"):
            assert figures(browser.get(f"/explore?period=this-month&display={wrong}"), "total") == figures(
                plain, "total"
            )
