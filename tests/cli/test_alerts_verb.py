"""The verb alerts: channels that are tested, rules, muting, and messages that are listed and sent again; no secret is printed twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alert_world import Receiver, occasion, receiving
from command_line import Run

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes messages."""
    with receiving() as opened:
        yield opened


@pytest.fixture
def acme(connected: Run, receiver: Receiver) -> str:
    """A customer with a channel; the id of that."""
    assert connected("customers", "add", "acme").code == 0
    url = f"{receiver.url}/s3cret-path"
    added = connected("alerts", "add-channel", "webhook", "--customer", "acme", "--name", "hook", "--url", url)
    assert "signing key, shown only now: whsec_" in added.out
    assert "s3cret-path" not in added.out + added.err
    (channel,) = json.loads(connected("alerts", "channels", "--customer", "acme", "--json").out)
    assert channel["settings"] == {"server": receiver.url}
    return str(channel["channel_id"])


def test_a_channel_is_tested(connected: Run, acme: str, receiver: Receiver) -> None:
    assert connected("alerts", "test", "--customer", "acme", acme).out == "received by hook\n"
    assert receiver.got[0].json["occasions"][0]["title"] == "Test of the channel hook"
    receiver.answers = lambda _: 503
    refused = connected("alerts", "test", "--customer", "acme", acme)
    assert (refused.code, "answers 503" in refused.error, "s3cret" in refused.error) == (1, True, False)


def test_a_rule_is_added_changed_muted_and_removed(connected: Run, acme: str) -> None:
    given = ["--name", "bills", "--channel", acme, "--set", "amount=10", "--digest", "daily", "--quiet", "22-7"]
    added = connected(
        "alerts", "add", "restatement", "--customer", "acme", *given, "--timezone", "Europe/Berlin", "--json"
    )
    rule = json.loads(added.out)
    assert rule["options"] == {"amount": "10", "percent": "0", "days": "7"}
    assert rule["timing"]["quiet_until"] == 7
    again = ["--name", "all bills", "--channel", acme, "--replace", rule["rule_id"]]
    changed = connected("alerts", "add", "restatement", "--customer", "acme", *again)
    assert changed.out == f"saved {rule['rule_id']} (all bills)\n"
    assert "muted" in connected("alerts", "mute", "--customer", "acme", rule["rule_id"], "--hours", "8").out
    (listed,) = json.loads(connected("alerts", "list", "--customer", "acme", "--json").out)
    assert listed["muted_until"] is not None
    assert "all bills" in connected("alerts", "list", "--customer", "acme").out
    assert connected("alerts", "mute", "--customer", "acme", rule["rule_id"], "--off").code == 0
    assert connected("alerts", "remove", "--customer", "acme", rule["rule_id"]).out.startswith("removed")
    assert connected("alerts", "remove", "--customer", "acme", acme).out == f"removed {acme} (hook)\n"
    assert "no rule yet" in connected("alerts", "list", "--customer", "acme").out
    assert "no channel yet" in connected("alerts", "channels", "--customer", "acme").out


def test_a_rule_names_budgets_and_services(connected: Run, acme: str) -> None:
    budget = ["--customer", "acme", "--name", "web", "--amount", "10", "--currency", "USD"]
    made = json.loads(connected("budgets", "add", *budget, "--json").out)
    given = ["--customer", "acme", "--channel", acme, "--json"]
    numbers = ["--set", "actual=80", "--set", "probability=90"]
    rule = json.loads(
        connected("alerts", "add", "budget", *given, "--name", "overruns", "--budget", "web", *numbers).out
    )
    assert rule["budgets"] == [made["budget_id"]]
    assert rule["options"] == {"actual": "80", "forecast": "100", "probability": "90"}
    odd = json.loads(connected("alerts", "add", "anomaly", *given, "--name", "odd", "--service", "Compute").out)
    assert odd["services"] == ["Compute"]
    listed = connected("alerts", "list", "--customer", "acme").out
    assert made["budget_id"] in listed
    assert "Compute" in listed
    refused = connected("alerts", "add", "budget", *given, "--name", "x", "--service", "Compute")
    assert refused.error == "services: rules of the kind budget are narrowed to budgets"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "weather", "--name", "x", "--channel", "y"], "kind: 'weather' is not known: use collection (minutes=60)"),
        (["add", "collection", "--name", "x", "--channel", "y"], "channel: 'y' does not exist"),
        (["add", "collection", "--name", "x", "--channel", "CHANNEL", "--set", "minutes"], "--set: 'minutes' is not accepted"),
        (["add", "collection", "--name", "x", "--channel", "CHANNEL", "--set", "minutes=x"], "minutes: 'x' is not accepted"),
        (["add", "collection", "--name", "x", "--channel", "CHANNEL", "--quiet", "night"], "--quiet: 'night' is not"),
        (["mute", "nobody", "--hours", "1"], "rule: 'nobody' does not exist"),
        (["mute", "nobody"], "--hours: needed, or --off"),
        (["resend", "nobody"], "delivery: 'nobody' was not given up, or its channel was removed"),
        (["test", "nobody"], "channel: 'nobody' does not exist"),
        (["add-channel", "slack", "--name", "x", "--url", "http://example.com/s3cret"], "url: an https address"),
        (["add-channel", "webhook", "--name", "hook", "--url", "https://10.0.0.1/x"], "channel: another one is called 'hook'"),
    ],
)  # fmt: skip
def test_what_is_not_accepted(connected: Run, acme: str, arguments: list[str], said: str) -> None:
    given = [acme if one == "CHANNEL" else one for one in arguments]
    refused = connected("alerts", given[0], "--customer", "acme", *given[1:])
    assert refused.code != 0
    assert said in refused.error
    assert "s3cret" not in refused.error


def test_messages_are_listed_and_sent_again(connected: Run, acme: str, settings: Settings) -> None:
    given = ["--name", "bills", "--channel", acme, "--json"]
    rule_id = json.loads(connected("alerts", "add", "restatement", "--customer", "acme", *given).out)["rule_id"]
    metadata, now = Metadata.connect(settings), datetime.now(UTC)
    rule = metadata.alerts.rule(rule_id, customer_id="acme")
    with metadata.transaction():
        metadata.alert_outbox.record(rule, [occasion(1)], now)
    due = metadata.alert_outbox.claim(now, timedelta(0))
    assert due is not None
    metadata.alert_outbox.failed(due, "answers 500", None)
    metadata.close()
    (dead,) = json.loads(connected("alerts", "deliveries", "--customer", "acme", "--state", "dead", "--json").out)
    assert (dead["titles"], dead["error"]) == (["Number 1"], "answers 500")
    assert "Number 1" in connected("alerts", "deliveries", "--customer", "acme").out
    said = "acme: 1 message was not received by the channel hook and given up: answers 500"
    assert said in connected("status").out
    assert connected("alerts", "resend", "--customer", "acme", dead["delivery_id"]).code == 0
    assert connected("alerts", "deliveries", "--customer", "acme", "--state", "dead").out == "no message\n"
    assert said not in connected("status").out
