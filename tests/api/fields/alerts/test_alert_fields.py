"""Alerts over GraphQL: what is stored is shown, secrets once or never, refusals name what is wrong, and a test is really sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alert_world import NOW, PAGES, Receiver, claimed, occasion, receiving
from world import Customer, World

from optiinfra_assets.notifications.sender import Sender

CHANNEL = "channelId kind name server recipients byOperator"
TIMING = "timing { digest digestHour quietFrom quietUntil timezone }"
RULE = f"ruleId kind name options {{ name value }} accounts channels mutedUntil checkedAt {TIMING}"
ADD = f"""mutation($name: String!, $channel: AlertChannelInput!, $customer: String) {{
  addAlertChannel(name: $name, channel: $channel, customerId: $customer) {{
    ... on AlertChannelAdded {{ signingKey channel {{ {CHANNEL} }} }} ... on Refusal {{ code message remedy }}
  }}
}}"""
SAVE = f"""mutation($rule: AlertRuleInput!, $id: String) {{
  saveAlertRule(rule: $rule, ruleId: $id) {{ ... on AlertRuleSaved {{ rule {{ {RULE} }} }} ... on Refusal {{ code message }} }}
}}"""
MUTE = f"""mutation($id: String!, $until: DateTime) {{
  muteAlertRule(ruleId: $id, until: $until) {{ ... on AlertRuleSaved {{ rule {{ {RULE} }} }} ... on Refusal {{ code message }} }}
}}"""
TEST = """mutation($id: String!, $customer: String) {
  testAlertChannel(channelId: $id, customerId: $customer) { ... on AlertChannelTested { note } ... on Refusal { code message } }
}"""
RESEND = """mutation($id: String!) {
  resendAlert(deliveryId: $id) { ... on AlertResent { delivery { deliveryId state attempts } } ... on Refusal { code message } }
}"""
REMOVE = """mutation($rule: String!, $channel: String!) {
  removeAlertRule(ruleId: $rule) { ... on AlertRuleRemoved { rule { name } } ... on Refusal { code } }
  removeAlertChannel(channelId: $channel) { ... on AlertChannelRemoved { channel { name } } ... on Refusal { code } }
}"""
SHOWN = f"""{{ alertRules {{ nodes {{ {RULE} }} kinds {{ name options {{ name default }} }} }}
  alertChannels {{ nodes {{ {CHANNEL} }} }} }}"""
DELIVERIES = """query($first: Int!, $after: String, $state: AlertState) {
  alertDeliveries(first: $first, after: $after, state: $state) {
    nodes { deliveryId ruleName channelName state titles attempts dueAt sentAt error } pageInfo { hasNextPage endCursor }
  }
}"""


@pytest.fixture
def admin(world: World) -> Customer:
    """An administrator of a customer of its own."""
    return world.customer("admin")


def added(world: World, admin: Customer, receiver: Receiver, name: str = "hook") -> dict[str, Any]:
    """A webhook that an administrator of all customers adds, as it leads into a private network."""
    root = world.metadata.tokens.issue("root", None, "admin").plaintext
    channel = {"webhook": {"url": f"{receiver.url}/secret-path"}}
    found = world.data(ADD, root, name=name, channel=channel, customer=admin.customer_id)["addAlertChannel"]
    assert found["signingKey"].startswith("whsec_")
    made: dict[str, Any] = found["channel"]
    return made


def rule_of(channel: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A rule that tells by a channel."""
    return {"kind": "restatement", "name": "bills", "channels": [channel["channelId"]], **values}


def test_a_channel_is_added_tested_shown_without_its_secret_and_removed(world: World, admin: Customer) -> None:
    with receiving() as receiver:
        channel = added(world, admin, receiver)
        expected = {"kind": "WEBHOOK", "name": "hook", "server": receiver.url, "recipients": [], "byOperator": True}
        assert channel | {"channelId": ""} == {"channelId": "", **expected}
        assert admin.data(SHOWN)["alertChannels"]["nodes"] == [channel]
        assert admin.data(TEST, id=channel["channelId"])["testAlertChannel"] == {"note": None}
        assert receiver.got[0].path == "/secret-path"
        receiver.answers = lambda _: 404
        refused = admin.data(TEST, id=channel["channelId"])["testAlertChannel"]
        assert refused["code"] == "ALERT_NOT_RECEIVED"
        assert "answers 404" in refused["message"]
    rule = admin.data(SAVE, rule=rule_of(channel))["saveAlertRule"]["rule"]
    removed = admin.data(REMOVE, rule=rule["ruleId"], channel=channel["channelId"])
    assert removed["removeAlertRule"] == {"rule": {"name": "bills"}}
    assert removed["removeAlertChannel"] == {"channel": {"name": "hook"}}
    again = admin.data(REMOVE, rule=rule["ruleId"], channel=channel["channelId"])
    assert again["removeAlertRule"] == again["removeAlertChannel"] == {"code": "ALERT_NOT_FOUND"}
    assert admin.data(SHOWN)["alertChannels"]["nodes"] == admin.data(SHOWN)["alertRules"]["nodes"] == []


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"webhook": {"url": "https://10.0.0.1/x"}}, "url: is not accepted over the API"),
        ({"slack": {"url": "http://127.0.0.1/x"}}, "url: is not accepted over the API"),
        ({"teams": {"url": "ftp://example.com"}}, "url: an https address"),
        ({"webhook": {"url": "https://10.0.0.1/x", "signingKey": "short-s3cret"}}, "signing_key: use whsec_"),
        ({"email": {"host": "127.0.0.1", "sender": "a@b.c", "recipients": ["a@b.c"]}}, "host: is not accepted"),
        (
            {"email": {"host": "127.0.0.1", "sender": "a@b.c", "recipients": ["a@b.c"], "security": "NONE"}},
            "host: is not accepted",
        ),
        ({"email": {"host": "mail.test", "sender": "x", "recipients": ["a@b.c"]}}, "sender: 'x' is not accepted"),
    ],
)
def test_what_a_channel_may_not_be(admin: Customer, channel: dict[str, Any], said: str) -> None:
    refused = admin.data(ADD, name="x", channel=channel)["addAlertChannel"]
    assert refused["code"] == "ALERT_NOT_ACCEPTED"
    assert refused["message"].startswith(said)
    assert "s3cret" not in str(refused)


def test_a_rule_is_saved_changed_and_muted(world: World, admin: Customer) -> None:
    with receiving() as receiver:
        channel = added(world, admin, receiver)
    saved = admin.data(SAVE, rule=rule_of(channel, options=[{"name": "amount", "value": "10.50"}]))["saveAlertRule"]
    rule = saved["rule"]
    assert rule | {"ruleId": ""} == {
        "ruleId": "",
        "kind": "restatement",
        "name": "bills",
        "options": [
            {"name": "amount", "value": "10.50"},
            {"name": "days", "value": "7"},
            {"name": "percent", "value": "0"},
        ],
        "accounts": [],
        "channels": [channel["channelId"]],
        "mutedUntil": None,
        "checkedAt": None,
        "timing": {"digest": "NONE", "digestHour": 8, "quietFrom": None, "quietUntil": None, "timezone": "UTC"},
    }
    timing = {"digest": "DAILY", "digestHour": 6, "quietFrom": 22, "quietUntil": 7, "timezone": "Europe/Berlin"}
    changed = admin.data(SAVE, id=rule["ruleId"], rule=rule_of(channel, name="all bills", timing=timing))
    assert changed["saveAlertRule"]["rule"]["name"] == "all bills"
    assert changed["saveAlertRule"]["rule"]["timing"] == timing
    until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    muted = admin.data(MUTE, id=rule["ruleId"], until=until)["muteAlertRule"]["rule"]
    assert muted["mutedUntil"] == until
    assert admin.data(SHOWN)["alertRules"]["nodes"] == [muted]
    assert admin.data(MUTE, id=rule["ruleId"])["muteAlertRule"]["rule"]["mutedUntil"] is None
    assert admin.data(MUTE, id=rule["ruleId"], until="2020-01-01T00:00:00Z")["muteAlertRule"]["code"]
    kinds = {one["name"]: one["options"] for one in admin.data(SHOWN)["alertRules"]["kinds"]}
    assert kinds["collection"] == [{"name": "minutes", "default": "60"}]
    log = admin.data("{ accessAuditLog(first: 4) { nodes { action name detail } } }")["accessAuditLog"]["nodes"]
    assert log[0] == {"action": "MUTE_ALERT_RULE", "name": "all bills", "detail": "no longer"}


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        ({"kind": "weather"}, "ALERT_NOT_ACCEPTED", "kind: 'weather' is not known"),
        ({"channels": []}, "ALERT_NOT_ACCEPTED", "channels: needed"),
        ({"channels": ["nobody"]}, "ALERT_NOT_FOUND", "channel: 'nobody' does not exist"),
        ({"accounts": ["nobody.main"]}, "ALERT_NOT_FOUND", "account: 'nobody.main' does not exist"),
        ({"options": [{"name": "amount", "value": "-1"}]}, "ALERT_NOT_ACCEPTED", "amount: '-1' is not accepted"),
        ({"timing": {"timezone": "Mars"}}, "ALERT_NOT_ACCEPTED", "timezone: 'Mars' is not known"),
        ({"timing": {"quietFrom": 3}}, "ALERT_NOT_ACCEPTED", "quiet_from: needed together"),
        ({"name": " "}, "ALERT_NOT_ACCEPTED", "name: ' ' is not accepted"),
    ],
)
def test_what_a_rule_may_not_be(world: World, admin: Customer, values: dict[str, Any], code: str, said: str) -> None:
    with receiving() as receiver:
        channel = added(world, admin, receiver)
    refused = admin.data(SAVE, rule=rule_of(channel, **values))["saveAlertRule"]
    assert refused["code"] == code
    assert refused["message"].startswith(said)


def test_messages_are_shown_in_pages_and_sent_again(world: World, admin: Customer) -> None:
    with receiving() as receiver:
        channel = added(world, admin, receiver)
        saved = admin.data(SAVE, rule=rule_of(channel))["saveAlertRule"]["rule"]
        rule = world.metadata.alerts.rule(saved["ruleId"], customer_id=admin.customer_id)
        with world.metadata.transaction():
            world.metadata.alert_outbox.record(rule, [occasion(number) for number in (1, 2, 3)], NOW)
        receiver.answers = lambda _: 500
        first = world.metadata.alert_outbox.deliveries(customer_id=admin.customer_id)[0]
        due = claimed(world.metadata, admin.customer_id, NOW, first.due_at - NOW)
        world.metadata.alert_outbox.failed(due, "no", None)
        page = admin.data(DELIVERIES, first=2)["alertDeliveries"]
        rest = admin.data(DELIVERIES, first=2, after=page["pageInfo"]["endCursor"])["alertDeliveries"]
        nodes = page["nodes"] + rest["nodes"]
        assert [page["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]] == [True, False]
        assert sorted(one["titles"][0] for one in nodes) == ["Number 1", "Number 2", "Number 3"]
        (dead,) = admin.data(DELIVERIES, first=9, state="DEAD")["alertDeliveries"]["nodes"]
        assert (dead["state"], dead["error"], dead["ruleName"], dead["channelName"]) == ("DEAD", "no", "bills", "hook")
        again = admin.data(RESEND, id=dead["deliveryId"])["resendAlert"]
        assert again == {"delivery": {"deliveryId": dead["deliveryId"], "state": "WAITING", "attempts": 1}}
        assert admin.data(RESEND, id=dead["deliveryId"])["resendAlert"]["code"] == "ALERT_NOT_FOUND"
        receiver.answers = lambda _: 200
        last = max(one.due_at for one in world.metadata.alert_outbox.deliveries(customer_id=admin.customer_id))
        Sender(world.metadata, PAGES, lambda: last).run()
    sent = admin.data(DELIVERIES, first=9, state="SENT")["alertDeliveries"]["nodes"]
    assert len(sent) == 3
    assert dead["deliveryId"] in {one.delivery_id for one in receiver.got}
