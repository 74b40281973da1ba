"""The forms of the page Forecast and budgets: what each role may do with them, and what a change leaves as it was."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from site_world import HOSTILE, NOW, Site, spend
from test_alerts_page import ids
from test_states import text_of
from world import Customer

from optiinfra_assets.domain.budgets import Budget, Cadence
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


def test_a_change_leaves_what_the_form_does_not_show(site: Site) -> None:
    customer = site.world.customer("operator")
    filters = [
        {"service": ["Compute"], "tag": {"key": "team", "values": ["web", None]}},
        {"service": ["Storage"], "sub_account": [None, "dev"], "region": ["eu"], "charge_category": ["Tax"]},
    ]
    amounts = {date(2026, 12, 1): Decimal("7.5")}
    budget = Budget("odd", Cadence.YEARLY, Decimal(9), "EUR", "effective_cost", filters, amounts=amounts)
    over = Budget("past", Cadence.MONTHLY, Decimal(1), "EUR", end=date(2026, 1, 1))
    author = Principal("author", "author", customer.customer_id, "operator")
    save = site.world.metadata.budgets.save
    made, _ = (save(one, customer_id=customer.customer_id, principal=author, now=NOW) for one in (budget, over))
    with site.signed_in(customer.token) as browser:
        shown = browser.get(f"/forecast?budget={made.budget_id}")
        assert "past all charges No period now" in text_of(shown)
        form = shown.text.split('id="budget-form"')[1]
        assert "they stay as they are" in form
        sent = dict(re.findall(r'<input name="([a-z]+)"[^>]* value="([^"]*)"', form))
        assert (sent["name"], sent["amount"]) == ("odd", "9")
        changed = {**sent, "id": made.budget_id, "cadence": "YEARLY", "keeps": "1", "amount": "10"}
        assert browser.post("/forecast/budgets", data=changed).status_code == 303
    assert kept(customer)[0].budget == Budget(
        "odd", Cadence.YEARLY, Decimal(10), "EUR", "effective_cost", tuple(filters), amounts=amounts
    )


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
