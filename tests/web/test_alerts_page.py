"""The page Alerts: rules, channels and messages by role, as forms without scripts, and never a secret shown again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alert_world import ALICE, NOW, claimed, hook, occasion, receiving, rule
from site_world import HOSTILE, Site
from test_states import text_of

from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata.tokens import Principal

SECRET = "s3cret-path"


def ids(text: str, path: str) -> list[str]:
    """The ids that the forms to a path send."""
    return re.findall(rf'action="{path}[^"]*">\s*<input type="hidden" name="id" value="([^"]+)"', text)


def test_a_channel_and_a_rule_are_added_tested_muted_and_removed(site: Site) -> None:
    customer = site.world.customer()
    root = site.world.metadata.tokens.issue("root", None, "admin").plaintext
    of = f"?customer={customer.customer_id}"
    with receiving() as receiver, site.signed_in(root) as browser:
        asked = {"kind": "webhook", "name": "hook", "url": f"{receiver.url}/{SECRET}"}
        added = browser.post(f"/alerts/channels{of}", data=asked)
        assert re.search("whsec_[A-Za-z0-9+/=]{40}", added.text)
        shown = browser.get(f"/alerts{of}").text
        assert receiver.url in shown
        assert SECRET not in added.text + shown
        assert "whsec_" not in shown
        (channel,) = ids(shown, "/alerts/test")
        assert "hook took a test message" in text_of(browser.post(f"/alerts/test{of}", data={"id": channel}))
        assert len(receiver.got) == 1
        form = {
            "kind": "restatement",
            "name": "bills",
            "option-amount": "10",
            f"channel-{channel}": "1",
            "digest": "DAILY",
        }
        saved = browser.post(f"/alerts/rules{of}", data={**form, "quiet-from": "22", "quiet-until": "7"})
        assert saved.status_code == 303, text_of(saved)
        said = browser.get(f"/alerts{of}")
        assert (
            "bills restatement amount 10, days 7, percent 0 all hook daily at 8:00, quiet 22\N{EN DASH}7 UTC"
            in text_of(said)
        )
        (rule_id,) = ids(said.text, "/alerts/mute")
        until = datetime.now(UTC) + timedelta(days=1)
        metadata = site.world.metadata
        metadata.alerts.mute_rule(rule_id, until, customer_id=customer.customer_id, actor=ALICE)
        for hours in ("-1", "soon", "1.5", "745", ""):
            refused = browser.post(f"/alerts/mute{of}", data={"id": rule_id, "hours": hours})
            assert refused.status_code == 422
            assert "hours: use 1 to 744" in text_of(refused)
        assert "Muted until" in text_of(browser.get(f"/alerts{of}"))
        assert browser.post(f"/alerts/mute{of}", data={"id": rule_id, "hours": "0"}).status_code == 303
        assert "Muted until" not in text_of(browser.get(f"/alerts{of}"))
        refused = browser.post(f"/alerts/rules{of}", data={**form, "name": "more", "option-amount": "much"})
        assert refused.status_code == 422
        assert "amount: 'much' is not accepted" in text_of(refused)
        assert browser.post(f"/alerts/remove-rule{of}", data={"id": rule_id}).status_code == 303
        assert browser.post(f"/alerts/remove-channel{of}", data={"id": channel}).status_code == 303
        assert "There is no channel" in text_of(browser.get(f"/alerts{of}"))


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_each_role_changes_what_it_may(site: Site, role: Any) -> None:
    customer = site.world.customer(role)
    metadata = site.world.metadata
    channel, _ = hook(metadata, "https://example.com/x", HOSTILE, customer.customer_id)
    made = rule(metadata, channel, name=f"bills {HOSTILE}")
    with metadata.transaction():
        metadata.alert_outbox.record(made, [occasion(1)], NOW)
    due = claimed(metadata, customer.customer_id, NOW)
    metadata.alert_outbox.failed(due, "answers 500", None)
    with site.signed_in(customer.token) as browser:
        shown = browser.get("/alerts")
        assert HOSTILE not in shown.text
        assert "Number 1" in text_of(shown)
        assert "Given up answers 500" in text_of(shown)
        assert "A new channel" not in shown.text
        assert ("A new rule" in shown.text) == (role == "operator")
        assert ids(shown.text, "/alerts/test") == []
        added = browser.post("/alerts/channels", data={"kind": "slack", "name": "x", "url": "https://example.com/x"})
        assert "role" in text_of(added)
        again = browser.post("/alerts/resend", data={"id": due.delivery_id})
        assert again.status_code == (303 if role == "operator" else 422)
    assert len(metadata.alerts.channels(customer_id=customer.customer_id)) == 1
    (delivery,) = metadata.alert_outbox.deliveries(customer_id=customer.customer_id)
    assert delivery.state == ("waiting" if role == "operator" else "dead")


def test_a_rule_on_a_budget_and_one_on_anomalies_are_made_by_their_forms(site: Site) -> None:
    customer = site.world.customer("operator")
    metadata = site.world.metadata
    channel, _ = hook(metadata, "https://example.com/x", customer_id=customer.customer_id)
    principal = Principal("test", "test", customer.customer_id, "operator")
    budget = Budget(HOSTILE[:90], Cadence.MONTHLY, Decimal(5), "USD")
    made = metadata.budgets.save(budget, customer_id=customer.customer_id, principal=principal, now=NOW)
    with site.signed_in(customer.token) as browser:
        form = {"name": "overruns", "kind": "budget", f"channel-{channel.channel_id}": "1", "option-actual": "80"}
        shown = browser.get("/alerts").text
        assert shown.count(f'name="budget-{made.budget_id}"') == 1
        assert shown.count('name="services"') == 2
        assert browser.post("/alerts/rules", data={**form, f"budget-{made.budget_id}": "1"}).status_code == 303
        odd = {**form, "kind": "anomaly", "name": "odd", "services": "Compute, small\r\nStorage\r\n"}
        del odd["option-actual"]
        assert browser.post("/alerts/rules", data=odd).status_code == 303
        said = browser.get("/alerts")
        assert HOSTILE not in said.text
        assert "odd anomaly amount 0, days 3, percent 0 Compute, small, Storage" in text_of(said)
    rules = metadata.alerts.rules(customer_id=customer.customer_id)
    assert [(one.kind, one.budgets, one.services) for one in rules] == [
        ("anomaly", [], ["Compute, small", "Storage"]),
        ("budget", [made.budget_id], []),
    ]


def test_the_overview_shows_what_was_told_lately_and_what_was_not_received(site: Site) -> None:
    customer, now = site.world.customer("viewer"), datetime.now(UTC)
    metadata = site.world.metadata
    with site.signed_in(customer.token) as browser:
        assert "Alerts of the last days" not in browser.get("/").text
        channel, _ = hook(metadata, "https://example.com/x", HOSTILE, customer.customer_id)
        watching = rule(metadata, channel)
        for days in (30, 2, 1, 0):
            with metadata.transaction():
                metadata.alert_outbox.record(watching, [occasion(days)], now - timedelta(days=days))
            if days in (30, 2):
                due = claimed(metadata, customer.customer_id, now, timedelta(minutes=1))
                metadata.alert_outbox.failed(due, "answers 500", None)
        shown = browser.get("/")
    said = text_of(shown)
    assert HOSTILE not in shown.text
    assert "Number 30" not in said
    assert said.index("Number 2 ") < said.index("Number 0 ") < said.index("Number 1 "), (
        "what was not received comes first"
    )
    assert (said.count("Not received"), said.count("To be sent")) == (1, 2)
