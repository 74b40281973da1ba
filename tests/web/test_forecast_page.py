"""The page Forecast and budgets, and what the overview says of both."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal

import httpx
from site_world import NOW, Site, spend

from optiinfra_api.web.outlook import band
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata.tokens import Principal


def text_of(answer: httpx.Response) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_the_page_shows_sums_with_their_bounds_and_budgets(site: Site) -> None:
    customer = site.world.customer()
    with site.signed_in(site.world.customer().token) as browser:
        said = text_of(browser.get("/forecast"))
        assert "Nothing is forecast yet" in said
        assert "There is no budget" in said
    spend(customer, hostile=True)
    with site.signed_in(customer.token) as browser:
        author = Principal("author", "author", customer.customer_id, "operator")
        for name, amount in (("<b>tight</b>", 1), ("wide", 100_000)):
            budget = Budget(name, Cadence.MONTHLY, Decimal(amount), "USD")
            site.world.metadata.budgets.save(budget, customer_id=customer.customer_id, principal=author, now=NOW)
        shown = browser.get("/forecast")
        assert "<b>tight</b>" not in shown.text
        assert '<span class="badge wrong">Over</span>' in shown.text
        said = text_of(shown)
        for part in (
            "Rest of this month",
            "Next month",
            "90 days",
            "12 months",
            "<b>tight</b>",
            "Over",
            "wide",
            "Within",
        ):
            assert part in said
        (data,) = re.findall(r'id="chart-data">(.*?)</script>', shown.text)
        chart = json.loads(html.unescape(data))
        assert len(chart["dates"]) == len(chart["came"]) == len(chart["beforeCredits"]) == len(chart["upper95"])
        assert chart["dates"][0] == "2026-11-01"
        overview = text_of(browser.get("/"))
        assert "Expected for the rest of the month" in overview
        assert "Budgets that are over, or likely to be" in overview
        assert "wide" not in overview


def test_a_day_that_is_final_for_most_accounts_does_not_fall_to_nothing() -> None:
    days = ["2026-11-28", "2026-11-29", "2026-11-30"]
    bounds = {name: ["1", "9"] for name in ("lower80", "upper80", "lower95", "upper95")}
    drawn = band(
        {
            "currency": "USD",
            "actualDates": days,
            "actualAmounts": ["400", "390", "20"],
            "dates": days[1:],
            "beforeCredits": ["5", "410"],
            **bounds,
        }
    )
    assert drawn["dates"] == days
    assert drawn["came"] == ["400", "390", None]
    assert drawn["beforeCredits"] == [None, None, "410"]
    assert drawn["upper95"] == [None, None, "9"]
