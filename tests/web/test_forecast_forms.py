"""The forms of the page Forecast and budgets: what each role may do with them, and what a change leaves as it was."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from site_world import HOSTILE, NOW, Site, spend
from test_alerts_page import ids
from test_states import text_of
from world import Customer

from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.charge_filters import FILTERS
from optiinfra_assets.metadata.budgets import StoredBudget
from optiinfra_assets.metadata.tokens import Principal

FORM = {"name": f"web {HOSTILE}", "amount": "1250.50", "currency": "usd", "cadence": "QUARTERLY"}
EXPECTED = {"month": "2026-12", "amount": "4321", "currency": "usd", "services": "Compute", "note": HOSTILE}


def kept(customer: Customer) -> list[StoredBudget]:
    """The budgets of a customer."""
    return customer.world.metadata.budgets.find(customer_id=customer.customer_id)


def test_an_operator_makes_changes_and_removes_a_budget(site: Site) -> None:
    customer = site.world.customer("operator")
    with site.signed_in(customer.token) as browser:
        assert "Make the first one below" in text_of(browser.get("/forecast"))
        narrow = {"providers": "aws", "accounts": "a, b", "services": "Compute, small\r\nStorage"}
        made = browser.post("/forecast/budgets", data={**FORM, **narrow})
        assert made.status_code == 303, text_of(made)
        (one,) = kept(customer)
        assert (one.budget.amount, one.budget.currency) == (Decimal("1250.50"), "USD")
        assert one.budget.cadence is Cadence.QUARTERLY
        filter_ = {"provider": ["aws"], "account": ["a", "b"], "service": ["Compute, small", "Storage"]}
        assert one.budget.filters == (filter_,)
        shown = browser.get(f"/forecast?budget={one.budget_id}")
        assert HOSTILE not in shown.text
        assert f"Change the budget web {HOSTILE}" in text_of(shown)
        assert "Compute, small\nStorage</textarea>" in shown.text
        days = {"cadence": "BETWEEN", "start": "2026-01-01", "last": "2026-01-31"}
        changed = browser.post("/forecast/budgets", data={**FORM, **days, "name": "once", "id": one.budget_id})
        assert changed.status_code == 303, text_of(changed)
        (now,) = kept(customer)
        assert (now.budget_id, now.budget.name, now.budget.filters) == (one.budget_id, "once", ())
        assert (now.budget.start, now.budget.end) == (date(2026, 1, 1), date(2026, 2, 1))
        shown = browser.get(f"/forecast?budget={one.budget_id}")
        assert 'value="2026-01-31"' in shown.text
        assert ids(shown.text, "/forecast/remove-budget") == [one.budget_id]
        assert browser.post("/forecast/remove-budget", data={"id": one.budget_id}).status_code == 303
        assert not kept(customer)
        again = browser.post("/forecast/remove-budget", data={"id": one.budget_id})
        assert (again.status_code, again.text.count('role="alert"')) == (422, 1)


def fields_of(page: str) -> dict[str, str]:
    """The fields of the form of a budget, as a browser would send them."""
    form = page.split('id="budget-form"')[1]
    inputs = re.findall(r'<input (?:type="hidden" )?name="([a-z_-]+[0-9]*)"[^>]* value="([^"]*)"', form)
    areas = re.findall(r'(?s)<textarea name="([a-z_]+(?:-[0-9]+)?)"[^>]*>(.*?)</textarea>', form)
    chosen = re.findall(r'(?s)<select name="([a-z]+)">(?:(?!</select>).)*?<option value="([A-Z]+)" selected>', form)
    return {name: html.unescape(value) for name, value in (*inputs, *areas, *chosen)}


EVERY = {
    **{name: ["a", "b"] for name in FILTERS if name not in ("charge_category", "billing_period", "service")},
    "charge_category": ["Tax", "Usage"],
    "billing_period": ["2026-10", "2026-11"],
    "service": [None, "Compute, small"],
}
GROUPS = (
    {"service": ["Compute"], "tag": {"key": "team", "values": [None, "", "web"]}},
    {
        "service": ["Storage"],
        "sub_account": [None, "dev"],
        "tags": [{"key": "Env", "values": ["x=y"], "ignore_case": True}],
    },
)


@pytest.mark.parametrize("filters", [(EVERY,), GROUPS], ids=["every dimension", "groups and tags"])
def test_a_form_shows_all_of_a_budget_and_changes_what_is_changed(
    site: Site, filters: tuple[dict[str, Any], ...]
) -> None:
    customer = site.world.customer("operator")
    amounts = {date(2026, 12, 1): Decimal("7.5"), date(2027, 1, 1): Decimal(8)}
    budget = Budget("odd", Cadence.YEARLY, Decimal(9), "EUR", "effective_cost", filters, amounts=amounts)
    over = Budget("past", Cadence.MONTHLY, Decimal(1), "EUR", end=date(2026, 1, 1))
    author = Principal("author", "author", customer.customer_id, "operator")
    save = site.world.metadata.budgets.save
    made, _ = (save(one, customer_id=customer.customer_id, principal=author, now=NOW) for one in (budget, over))
    with site.signed_in(customer.token) as browser:
        shown = browser.get(f"/forecast?budget={made.budget_id}")
        assert "past all charges No period now" in text_of(shown)
        sent = fields_of(shown.text)
        assert "keeps" not in sent
        assert browser.post("/forecast/budgets", data={**sent, "amount": "10"}).status_code == 303
        (now, _) = kept(customer)
        assert now.budget.filters == filters
        assert (now.budget.amount, now.budget.cost_basis, now.budget.amounts) == (10, "effective_cost", amounts)
        changes = {"basis": "LIST", "months": "2026-12 = 3", "services-3": "Network", "regions-3": "(none)"}
        assert browser.post("/forecast/budgets", data={**sent, **changes}).status_code == 303, changes
        now = kept(customer)[0]
        assert (now.budget.cost_basis, now.budget.amounts) == ("list_cost", {date(2026, 12, 1): Decimal(3)})
        assert now.budget.filters[-1] == {"service": ["Network"], "region": [None]}


def test_filters_that_the_form_cannot_show_stay_and_what_cannot_be_used_says_what_to_do(site: Site) -> None:
    customer = site.world.customer("operator")
    odd = ({"tag": {"key": "a=b", "values": ["c"]}}, {"tag": {"key": "a=b", "values": ["d"]}})
    author = Principal("author", "author", customer.customer_id, "operator")
    budget = Budget("odd", Cadence.MONTHLY, Decimal(9), "EUR", filters=odd)
    made = site.world.metadata.budgets.save(budget, customer_id=customer.customer_id, principal=author, now=NOW)
    never = Budget("never", Cadence.BETWEEN, Decimal(5), "USD", start=date(1, 1, 1), end=date(9999, 1, 1))
    values = {"customer_id": customer.customer_id, "name": "never", "budget_id": f"{customer.customer_id} never"}
    by = {"now": NOW, "actor": "test", "author_name": "test", "origin": "test", "detail": ""}
    site.world.metadata.rows("save_budget.sql", values | by | {"definition": Jsonb(never.stored())})
    with site.signed_in(customer.token) as browser:
        shown = browser.get(f"/forecast?budget={made.budget_id}")
        assert "they stay as they are" in text_of(shown)
        assert re.search("Cannot be used .* start: 0001-01-01 is not accepted", text_of(shown))
        sent = fields_of(shown.text)
        assert browser.post("/forecast/budgets", data={**sent, "amount": "10"}).status_code == 303
        bad = browser.get(f"/forecast?budget={values['budget_id']}")
        fixed = {**fields_of(bad.text), "cadence": "MONTHLY", "start": "", "last": ""}
        assert browser.post("/forecast/budgets", data=fixed).status_code == 303
        assert "Cannot be used" not in text_of(browser.get("/forecast"))
    assert kept(customer)[1].budget.filters == odd


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("budgets", {**FORM, "amount": "1,190"}, "1,190"),
        ("budgets", {**FORM, "cadence": "BETWEEN"}, "start: needed with end"),
        ("budgets", {**FORM, "last": "31.12."}, "31.12."),
        ("budgets", {**FORM, "cadence": "DAILY"}, "DAILY"),
        ("budgets", {"name": "web"}, "amount"),
        ("overrides", {**EXPECTED, "month": "soon"}, "soon"),
        ("overrides", {**EXPECTED, "factor": "2"}, "either an amount"),
        ("overrides", {**EXPECTED, "amount": "-1"}, "-1"),
        ("overrides", {}, "month"),
    ],
)
def test_what_is_refused_is_said_at_its_form_which_keeps_what_was_typed(
    site: Site, path: str, form: dict[str, str], said: str
) -> None:
    customer = site.world.customer("operator")
    with site.signed_in(customer.token) as browser:
        refused = browser.post(f"/forecast/{path}", data=form)
    assert (refused.status_code, refused.text.count('role="alert"')) == (422, 1), text_of(refused)
    (at,) = re.findall(rf'(?s)<details class="card" id="{path[:-1]}-form" open>(.*?)</details>', refused.text)
    (alert,) = re.findall(r'(?s)role="alert">(.*?)</p>', at)
    assert said in alert
    assert all(f'value="{value}"' in at for name, value in form.items() if name in ("amount", "factor", "last"))
    assert HOSTILE not in refused.text
    assert not kept(customer)


def test_an_operator_expects_something_else_and_takes_it_back(site: Site) -> None:
    customer = site.world.customer("operator")
    spend(customer)
    with site.signed_in(customer.token) as browser:
        assert "Nobody expects a month to differ" in text_of(browser.get("/forecast"))
        done = browser.post("/forecast/overrides", data=EXPECTED)
        assert done.status_code == 303, text_of(done)
        shown = browser.get(done.headers["location"])
        assert HOSTILE not in shown.text
        author = site.world.metadata.tokens.authenticate(customer.token)
        assert author is not None
        assert f"2026-12: {author.name} expects 4321 USD of Compute: {HOSTILE}" in text_of(shown)
        factor = browser.post("/forecast/overrides", data={"month": "2027-01", "factor": "2", "currency": "USD"})
        assert factor.status_code == 303, text_of(factor)
        shown = browser.get("/forecast")
        assert "expects times 2 of all costs" in text_of(shown)
        for override_id in ids(shown.text, "/forecast/remove-override"):
            assert browser.post("/forecast/remove-override", data={"id": override_id}).status_code == 303
        assert "Nobody expects a month to differ" in text_of(browser.get("/forecast"))


def test_a_viewer_sees_no_form_and_nobody_changes_what_is_anothers(site: Site) -> None:
    customer, other = site.world.customer("operator"), site.world.customer("operator")
    spend(customer)
    viewer = site.world.metadata.tokens.issue("v", customer.customer_id, "viewer").plaintext
    with site.signed_in(customer.token) as browser:
        assert browser.post("/forecast/budgets", data=FORM).status_code == 303
        assert browser.post("/forecast/overrides", data=EXPECTED).status_code == 303
        override_id = ids(browser.get("/forecast").text, "/forecast/remove-override")[0]
    (budget,) = kept(customer)
    posts = {
        "/forecast/budgets": {**FORM, "name": "mine", "id": budget.budget_id},
        "/forecast/remove-budget": {"id": budget.budget_id},
        "/forecast/remove-override": {"id": override_id},
    }
    with site.signed_in(viewer) as browser:
        shown = browser.get(f"/forecast?budget={budget.budget_id}")
        assert 'action="/forecast/' not in shown.text
        assert "4321 USD of Compute" in text_of(shown)
        for path, form in {**posts, "/forecast/overrides": EXPECTED}.items():
            refused = browser.post(path, data=form)
            assert refused.status_code == 422
            assert "role" in text_of(refused)
            assert 'action="/forecast/' not in refused.text
    with site.signed_in(other.token) as browser:
        for path, form in posts.items():
            refused = browser.post(path, data=form)
            assert (refused.status_code, refused.text.count('role="alert"')) == (422, 1), text_of(refused)
    assert kept(customer) == [budget]
    assert not kept(other)
    with site.signed_in(customer.token) as browser:
        assert ids(browser.get("/forecast").text, "/forecast/remove-override") == [override_id]
        elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for path, form in posts.items():
            assert browser.post(path, data=form, headers=elsewhere).status_code == 403
    assert kept(customer) == [budget]
