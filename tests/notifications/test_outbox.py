"""The outbox: each occasion is told once, when it may be; a message that is not received is tried for a day, given up, and sent again."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from alert_world import ALICE, NOW, claimed, find, hook, occasion, receiving, rule, send

from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.domain.alerts import AlertDelivery
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.settings import Settings

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def acme(metadata: Metadata) -> Metadata:
    """Two customers."""
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
    return metadata


def deliveries(metadata: Metadata, customer_id: str = "acme") -> list[AlertDelivery]:
    """All messages, newest first."""
    return metadata.alert_outbox.deliveries(customer_id=customer_id, first=1000)


def test_an_occasion_is_told_once_by_each_channel_of_each_rule(acme: Metadata) -> None:
    with receiving() as receiver:
        first, key = hook(acme, f"{receiver.url}/first")
        second, _ = hook(acme, f"{receiver.url}/second", "other")
        rule(acme, first, name="one")
        both = WantedRule("restatement", "two", [first.channel_id, second.channel_id])
        acme.alerts.save_rule(both, NOW, customer_id="acme", actor=ALICE)
        assert find(acme, 1, 2) == 4
        assert send(acme, NOW) == (6, 0, 0)
        assert find(acme, 1, 2, 3, at=NOW + MINUTE) == 2
        assert find(acme, 3, 1, at=NOW + 2 * MINUTE) == 0
        assert send(acme, NOW + HOUR) == (3, 0, 0)
        assert send(acme, NOW + DAY) == (0, 0, 0)
    told = sorted((one.path, one.json["rule"]["name"], one.json["occasions"][0]["key"]) for one in receiver.got)
    assert told == sorted(
        (path, name, f"number {number}")
        for number in (1, 2, 3)
        for path, name in (("/first", "one"), ("/first", "two"), ("/second", "two"))
    )
    one = next(one for one in receiver.got if one.path == "/first")
    assert one.is_signed(key, at=NOW)
    body = one.json
    assert body["occasions"][0] | {"key": "number 1"} == {
        "key": "number 1",
        "foundAt": "2026-11-30T12:00:00+00:00",
        "title": body["occasions"][0]["title"],
        "text": "It has come.",
        "figures": [],
        "dataThrough": None,
        "isSimulated": False,
        "link": "https://costs.example.com" + f"/numbers?number={body['occasions'][0]['key'].split()[1]}",
    }


def test_many_at_once_are_one_message(acme: Metadata) -> None:
    with receiving() as receiver:
        rule(acme, hook(acme, receiver.url)[0])
        assert find(acme, *range(40)) == 40
        assert send(acme) == (1, 0, 0)
    (one,) = receiver.got
    assert [occasion["key"] for occasion in one.json["occasions"]] == [f"number {number}" for number in range(40)]


def test_what_was_not_stored_whole_is_not_told(acme: Metadata) -> None:
    with receiving() as receiver:
        rule(acme, hook(acme, receiver.url)[0])
        (held,) = acme.alerts.rules()
        with suppress(KeyError), acme.transaction():
            assert acme.alert_outbox.record(held, [occasion(1)], NOW) == 1
            raise KeyError("the process dies")
        assert deliveries(acme) == []
        assert find(acme, 1) == 1
        assert send(acme) == (1, 0, 0)


def test_it_is_tried_for_a_day_then_given_up_and_sent_again_with_its_id(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: 500
        rule(acme, hook(acme, receiver.url)[0])
        find(acme, 1)
        at, tried = NOW, []
        while deliveries(acme)[0].state == "waiting":
            (waiting,) = deliveries(acme)
            at = max(at, waiting.due_at)
            tried.append(at)
            assert send(acme, at - timedelta(microseconds=1)) == (0, 0, 0)
            assert sum(send(acme, at)) == 1
        assert DAY <= tried[-1] - NOW <= DAY + HOUR
        assert 20 < len(tried) == len(receiver.got) < 40
        (dead,) = deliveries(acme)
        assert (dead.state, dead.attempts, dead.error) == ("dead", len(tried), f"{receiver.url[7:]}: answers 500")
        (counted,) = acme.alert_outbox.dead(NOW)
        assert (counted.name, counted.messages, counted.error) == ("hook", 1, dead.error)
        assert acme.alert_outbox.dead(NOW + timedelta(microseconds=1)) == [], "it is shown for a while"
        assert acme.platform_figures.read().alert_messages == {"dead": 1}
        assert send(acme, at + DAY) == (0, 0, 0)
        for customer, delivery in (("beta", dead.delivery_id), ("acme", "nobody's")):
            with pytest.raises(RecordNotFound, match="was not given up"):
                acme.alert_outbox.resend(delivery, at, customer_id=customer, actor=ALICE)
        again = acme.alert_outbox.resend(dead.delivery_id, at + DAY, customer_id="acme", actor=ALICE)
        assert (again.state, again.delivery_id) == ("waiting", dead.delivery_id)
        receiver.answers = lambda _: 204
        assert send(acme, at + DAY) == (1, 0, 0)
    assert len({(one.delivery_id, one.body) for one in receiver.got}) == 1
    log = [(one.action, one.name, one.detail) for one in acme.access_audit.find(customer_id="acme")]
    assert log[0] == ("resend_alert", "restatement", dead.delivery_id)


def test_a_server_that_asks_to_wait_is_waited_for(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: (429, {"retry-after": "1800"})
        rule(acme, hook(acme, receiver.url)[0])
        find(acme, 1)
        assert send(acme) == (0, 1, 0)
    assert deliveries(acme)[0].due_at == NOW + 30 * MINUTE


def test_a_channel_that_fails_holds_up_no_other_one(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda one: 500 if one.path == "/bad" else 200
        bad, _ = hook(acme, f"{receiver.url}/bad", "bad")
        good, _ = hook(acme, f"{receiver.url}/good", "good", "beta")
        rule(acme, bad)
        rule(acme, good)
        find(acme, 1, 2, 3, 4)
        sent, failed, _ = send(acme)
    assert sent == 4
    assert failed == len([one for one in receiver.got if one.path == "/bad"]) <= 4


def test_a_digest_gathers_until_its_hour_and_what_comes_meanwhile_goes_into_the_next(acme: Metadata) -> None:
    with receiving() as receiver:
        timing = Timing(digest="daily", digest_hour=8, quiet_from=20, quiet_until=9)
        rule(acme, hook(acme, receiver.url)[0], timing=timing)
        find(acme, 1, at=NOW)
        find(acme, 1, 2, at=NOW + HOUR)
        eight, nine = NOW + 20 * HOUR, NOW + 21 * HOUR
        assert send(acme, eight) == (0, 0, 0)
        find(acme, 3, at=eight + MINUTE)
        receiver.answers = lambda _: 503
        assert send(acme, nine) == (0, 1, 0)
        find(acme, 4, at=nine)
        receiver.answers = lambda _: 200
        assert send(acme, nine + MINUTE) == (1, 0, 0)
        assert send(acme, nine + DAY) == (1, 0, 0)
    told = [[occasion["key"][-1] for occasion in one.json["occasions"]] for one in receiver.got]
    assert told == [["1", "2"], ["1", "2"], ["3", "4"]]


def test_a_digest_that_has_begun_takes_no_more(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: 503
        rule(acme, hook(acme, receiver.url)[0], timing=Timing(digest="daily", digest_hour=13))
        find(acme, 1)
        send(acme, NOW + HOUR)
        # As a process would whose clock is behind that of the sender.
        assert find(acme, 2, at=NOW + 59 * MINUTE) == 1
        receiver.answers = lambda _: 200
        send(acme, NOW + 2 * HOUR)
        send(acme, NOW + HOUR + DAY)
    told = [[occasion["key"][-1] for occasion in one.json["occasions"]] for one in receiver.got]
    assert told == [["1"], ["1"], ["2"]]


def test_quiet_hours_hold_messages_and_repetitions(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: 500
        rule(acme, hook(acme, receiver.url)[0], timing=Timing(quiet_from=12, quiet_until=14))
        find(acme, 1, at=NOW - timedelta(seconds=10))
        assert send(acme, NOW - timedelta(seconds=10)) == (0, 1, 0)
        assert deliveries(acme)[0].due_at == NOW + 2 * HOUR


def test_a_sender_that_comes_late_waits_for_the_end_of_quiet_hours(acme: Metadata) -> None:
    """What was due before they began, because nobody sent it then, or because a sender died with it."""
    with receiving() as receiver:
        rule(acme, hook(acme, receiver.url)[0], timing=Timing(quiet_from=13, quiet_until=15))
        find(acme, 1)
        claimed(acme, "acme", NOW)
        find(acme, 2)
        assert send(acme, NOW + timedelta(hours=1)) == (0, 0, 0)
        waiting = acme.alert_outbox.deliveries(customer_id="acme")
        assert {one.due_at for one in waiting} == {NOW + timedelta(hours=3)}
        assert sorted((one.attempts, one.first_tried_at) for one in waiting) == [(0, None), (1, NOW)]
        assert send(acme, NOW + timedelta(hours=3)) == (2, 0, 0)
    assert sorted(one.json["occasions"][0]["title"] for one in receiver.got) == ["Number 1", "Number 2"]


def test_a_muted_rule_tells_nothing_of_what_happens_meanwhile(acme: Metadata) -> None:
    with receiving() as receiver:
        muted = rule(acme, hook(acme, receiver.url)[0])
        find(acme, 1)
        acme.alerts.mute_rule(muted.rule_id, NOW + HOUR, customer_id="acme", actor=ALICE)
        find(acme, 2)
        assert send(acme, NOW + MINUTE) == (0, 0, 0)
        find(acme, 1, 2, 3, at=NOW + HOUR)
        assert send(acme, NOW + HOUR) == (2, 0, 0)
    assert sorted(one.json["occasions"][0]["key"] for one in receiver.got) == ["number 1", "number 3"]


def test_what_is_removed_sends_nothing_more(acme: Metadata, settings: Settings) -> None:
    with receiving() as receiver:
        channel, _ = hook(acme, receiver.url)
        removed = rule(acme, channel, name="removed")
        kept = rule(acme, channel, name="kept")
        find(acme, 1)
        acme.alerts.remove_rule(removed.rule_id, customer_id="acme", actor=ALICE)
        assert send(acme) == (1, 0, 0)
        find(acme, 2)
        acme.alerts.remove_channel(channel.channel_id, customer_id="acme", actor=ALICE)
        assert send(acme) == (0, 0, 0)
        assert find(acme, 2, 3) == 1
        assert send(acme) == (0, 0, 0)
    assert [one.channels for one in acme.alerts.rules()] == [[]]
    assert acme.alerts.rules()[0].rule_id == kept.rule_id
    assert {one.error for one in deliveries(acme) if one.state == "dead"} == {
        "the rule was removed",
        "the channel was removed",
    }
    with pytest.raises(RecordNotFound, match="its channel was removed"):
        acme.alert_outbox.resend(deliveries(acme)[0].delivery_id, NOW, customer_id="acme", actor=ALICE)
    with psycopg.connect(str(settings.postgres_url)) as connection:
        assert connection.execute("SELECT count(*) FROM optiinfra.channel_secrets").fetchone() == (0,)


def test_rules_and_channels_of_another_customer_are_none(acme: Metadata) -> None:
    channel, _ = hook(acme, "https://example.com/hook")
    mine = rule(acme, channel)
    other, _ = hook(acme, "https://example.com/hook", "hook", "beta")
    save = partial(acme.alerts.save_rule, customer_id="beta", actor=ALICE)
    with pytest.raises(RecordNotFound, match=f"channel: '{channel.channel_id}' does not exist"):
        save(WantedRule("restatement", "theirs", [channel.channel_id]), NOW)
    with pytest.raises(RecordNotFound, match=f"rule: '{mine.rule_id}' does not exist"):
        save(WantedRule("restatement", "theirs", [other.channel_id]), NOW, mine.rule_id)
    with pytest.raises(RecordNotFound, match=r"account: 'beta\.main' does not exist"):
        rule(acme, channel, name="of accounts", accounts=["beta.main"])
    with pytest.raises(RecordNotFound):
        acme.alerts.mute_rule(mine.rule_id, NOW, customer_id="beta", actor=ALICE)
    with pytest.raises(RecordNotFound):
        acme.alerts.remove_rule(mine.rule_id, customer_id="beta", actor=ALICE)
    with pytest.raises(RecordNotFound):
        acme.alerts.remove_channel(channel.channel_id, customer_id="beta", actor=ALICE)
    with pytest.raises(AlreadyExists, match="rule: another one is called 'restatement'"):
        rule(acme, channel)
    with pytest.raises(AlreadyExists, match="channel: another one is called 'hook'"):
        hook(acme, "https://example.com/hook")
    assert [one.rule_id for one in acme.alerts.rules()] == [mine.rule_id]


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("weather", {}, "kind: 'weather' is not known: use collection, restatement, credential"),
        ("restatement", {"amont": 1}, "options: 'amont' is not known: use amount, percent, days"),
        ("restatement", {"amount": "much"}, "amount: 'much' is not accepted: use a number from 0"),
        ("restatement", {"percent": "NaN"}, "percent: 'NaN' is not accepted"),
        ("collection", {"minutes": -1}, "minutes: '-1' is not accepted: use a number from 0 to 10080"),
    ],
)
def test_what_a_rule_may_not_be_is_named(acme: Metadata, kind: str, options: dict[str, object], said: str) -> None:
    channel, _ = hook(acme, "https://example.com/hook")
    with pytest.raises(ValueError, match=said):
        rule(acme, channel, kind, options=options)


def test_what_was_told_long_ago_is_forgotten_and_not_told_again(acme: Metadata) -> None:
    with receiving() as receiver:
        rule(acme, hook(acme, receiver.url)[0])
        find(acme, 1, 2)
        send(acme)
        receiver.answers = lambda _: 500
        find(acme, 3, at=NOW + HOUR)
        send(acme, NOW + HOUR)
        kept = acme.retention.forget(NOW, NOW, NOW - 500 * DAY)
        gone = acme.retention.forget(NOW + DAY, NOW, NOW - 500 * DAY)
    assert (kept.alerts, gone.alerts) == (0, 4), "two messages and two occasions"
    assert [one.titles for one in deliveries(acme)] == [["Number 3"]], "what waits stays"
