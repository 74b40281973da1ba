"""The page Forecast and budgets, and what the overview says of both."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
from charges import Charge, slice_of
from site_world import NOW, Site, spend

from optiinfra_api.web.outlook import band
from optiinfra_assets.domain.accounts import BillingPeriod
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
    days = [date(2026, 11, day) for day in range(1, 31)]  # all of them: other tests quote some
    site.world.metadata.rates.update("ECB", [(day, "USD", Decimal("1.2")) for day in days])
    with site.signed_in(customer.token) as browser:
        author = Principal("author", "author", customer.customer_id, "operator")
        for name, amount in (("<b>tight</b>", 1), ("wide", 100_000)):
            budget = Budget(name, Cadence.MONTHLY, Decimal(amount), "USD")
            site.world.metadata.budgets.save(budget, customer_id=customer.customer_id, principal=author, now=NOW)
        unquoted = Budget("unquoted", Cadence.MONTHLY, Decimal(1), "XPG")
        site.world.metadata.budgets.save(unquoted, customer_id=customer.customer_id, principal=author, now=NOW)
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
            "Spent in EUR at 1.2 USD (ECB, 1 Nov 2026 to 17 Nov 2026). Expected in EUR at 1.2 USD (ECB, 18 Nov 2026).",
            "Cannot be told 1.00 XPG",
            "There is no rate from EUR to XPG on days from 2026-11-01 to 2026-11-17 and from USD to XPG",
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


def test_a_day_that_is_final_for_some_accounts_has_their_costs_and_what_is_expected_of_the_others() -> None:
    days = ["2026-11-28", "2026-11-29", "2026-11-30"]
    bounds = {name: ["1", "9"] for name in ("lower80", "upper80", "lower95", "upper95")}
    series = {
        "currency": "USD",
        "actualDates": days,
        "actualAmounts": ["400", "390", "20"],
        "dates": days[1:],
        "beforeCredits": ["5", "410"],
        **bounds,
    }
    drawn = band(series, {"2026-11-29": Decimal("385.10")})
    assert drawn["dates"] == days
    assert drawn["came"] == ["400", None, None]
    assert drawn["beforeCredits"] == [None, "390.1", "410"]
    assert drawn["upper95"] == [None, "386.1", "9"]


def test_accounts_whose_days_are_not_final_yet_are_named(site: Site) -> None:
    customer = site.world.customer()
    spend(customer)
    late = slice_of(customer.customer_id, "late", BillingPeriod(2026, 11))
    charges = [Charge(date(2026, 11, day), Decimal(1000)) for day in range(1, 17)]
    customer.publish(late, charges, published_at=NOW, data_through=datetime(2026, 11, 13, tzinfo=UTC))
    with site.signed_in(customer.token) as browser:
        shown = browser.get("/forecast?currency=USD")
    assert f"Not final yet, and so expected: {customer.customer_id}.late after 12 Nov 2026." in text_of(shown)
    (data,) = re.findall(r'id="chart-data">(.*?)</script>', shown.text)
    chart = json.loads(html.unescape(data))
    place = chart["dates"].index("2026-11-13")
    assert chart["came"][place - 1] is not None is chart["came"][place]
    own = Decimal(chart["came"][place - 1]) - 1000
    assert Decimal(chart["beforeCredits"][place]) - 1000 >= own / 2, "the other account's day is final and in the line"
