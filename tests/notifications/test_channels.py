"""Channels: what each sends over real sockets, where it may lead, and that its secrets are nowhere in clear."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from alert_world import ALICE, NOW, PAGES, find, hook, receiving, rule, send
from mail_server import MailServer, mail_served

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.alerts import AlertChannel
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.notifications.channels import add_channel, try_channel
from optiinfra_assets.notifications.errors import ChannelNotAccepted, NotReceived
from optiinfra_assets.notifications.message_texts import slack_body, teams_body
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.channel_secrets import ChannelSecretRepository
from optiinfra_assets.vault.keyring import Keyring
from optiinfra_assets.vault.master_keys import CiphertextTampered

PLANTED = "pl4nted-channel-s3cret"


@pytest.fixture
def acme(metadata: Metadata) -> Metadata:
    """A customer."""
    metadata.customers.add("acme")
    return metadata


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server whose certificate this process trusts."""
    with mail_served(PLANTED) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate.path))
        yield server


def add(metadata: Metadata, kind: str, *, name: str = "ours", is_operator: bool = True, **values: Any) -> AlertChannel:
    """A channel of the customer."""
    return add_channel(metadata, kind, name, values, is_operator=is_operator, customer_id="acme", actor=ALICE).channel


def tried(metadata: Metadata, channel: AlertChannel) -> str | None:
    """Test a channel."""
    return try_channel(metadata, channel, PAGES, lambda: NOW, ALICE)


def mailbox(server: MailServer, **values: Any) -> dict[str, Any]:
    """The fields of a channel of e-mail."""
    usual = {"username": "costs", "password": PLANTED, "sender": "costs@example.com", "recipients": ["a@example.com"]}
    return {"host": "127.0.0.1", "port": server.port, **usual, **values}


def test_slack_and_teams_get_what_they_show(acme: Metadata) -> None:
    with receiving() as receiver:
        for kind in ("slack", "teams"):
            url = f"{receiver.url}/services/T0/B0/{PLANTED}?sig={PLANTED}"
            rule(acme, add(acme, kind, name=kind, url=url), name=f"of <{kind}>")
        find(acme, *range(15))
        assert send(acme) == (2, 0, 0)
    slack, teams = sorted((one.json for one in receiver.got), key=lambda body: "text" not in body)
    assert {one.path for one in receiver.got} == {f"/services/T0/B0/{PLANTED}?sig={PLANTED}"}
    assert slack["text"] == "15 alerts of of &lt;slack&gt;: Number 0"
    *sections, foot = slack["blocks"]
    assert [one["type"] for one in sections] == ["section"] * 10
    assert sections[1]["text"] == {
        "type": "mrkdwn",
        "text": "*Number 1*\nIt has come.\n<https://costs.example.com/numbers?number=1|Open>",
        "verbatim": True,
    }
    assert foot["elements"][0]["text"] == "and 5 more · OptiInfra, customer acme, rule of &lt;slack&gt;"
    assert teams["type"] == "message"
    (attachment,) = teams["attachments"]
    card = attachment["content"]
    assert (attachment["contentType"], card["type"]) == ("application/vnd.microsoft.card.adaptive", "AdaptiveCard")
    texts = [one["text"] for block in card["body"] for one in block["inlines"]]
    assert texts[:2] == ["Number 0", "It has come."]
    assert texts[-1] == "and 5 more · OptiInfra, customer acme, rule of <teams>"
    assert card["actions"][0]["url"] == "https://costs.example.com/numbers?number=0"


def test_mail_goes_encrypted_and_names_its_delivery(acme: Metadata, mail_server: MailServer) -> None:
    recipients = ["a@example.com", "gone@example.com"]
    rule(acme, add(acme, "email", **mailbox(mail_server, recipients=recipients)), name="Zürich")
    mail_server.refused = frozenset({"gone@example.com"})
    find(acme, 1, 2, 3, 4, 5, 6)
    assert send(acme) == (1, 0, 0)
    (mail,) = mail_server.mails
    (delivery,) = acme.alert_outbox.deliveries(customer_id="acme")
    assert delivery.error == "refused for some recipients (gone@example.com 550)"
    assert mail["Message-ID"] == f"<{delivery.delivery_id}@example.com>"
    assert mail["X-OptiInfra-Delivery"] == delivery.delivery_id
    assert (mail["Subject"], mail["To"]) == ("6 alerts of Zürich: Number 1", ", ".join(recipients))
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith("Number 1\n\nIt has come.\n\nhttps://costs.example.com/numbers?number=1\n")
    assert "rule Zürich" in text
    before = mail_server.said[: mail_server.said.index("STARTTLS")]
    assert all(one.lower().startswith("ehlo") for one in before), "nothing is said before there is encryption"


def test_without_encryption_or_with_a_wrong_password_no_mail_is_sent(acme: Metadata, mail_server: MailServer) -> None:
    channel = add(acme, "email", **mailbox(mail_server))
    mail_server.has_tls = False
    with pytest.raises(NotReceived, match="STARTTLS extension not supported"):
        tried(acme, channel)
    mail_server.has_tls = True
    wrong = add(acme, "email", name="wrong", **mailbox(mail_server, password="another-s3cret"))
    with pytest.raises(NotReceived, match=r"refuses the user or the password \(535\)") as refused:
        tried(acme, wrong)
    assert "another-s3cret" not in str(refused.value)
    assert mail_server.mails == []
    assert tried(acme, channel) is None
    assert len(mail_server.mails) == 1


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(
    acme: Metadata, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = add(acme, "email", **mailbox(mail_server))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotReceived, match="certificate"):
        tried(acme, channel)
    assert (mail_server.users, mail_server.mails) == ([], [])


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://10.0.0.1/x", "https://169.254.169.254/latest", "https://[::1]/x", "https://localhost/x",
        "http://127.0.0.1:80/x", "https://2130706433/x", "https://0x7f000001/", "https://[::ffff:10.0.0.1]/",
    ],
)  # fmt: skip
def test_a_private_address_is_refused_unless_the_operator_gave_it(acme: Metadata, url: str) -> None:
    for kind in ("webhook", "slack", "teams"):
        with pytest.raises(ChannelNotAccepted, match="url: is not accepted over the API") as refused:
            add(acme, kind, url=url, is_operator=False)
        assert refused.value.field == "url"
    host = url.split("/")[2].removesuffix(":80").strip("[]")
    with pytest.raises(ChannelNotAccepted, match="host: is not accepted over the API"):
        add(acme, "email", is_operator=False, host=host, sender="a@example.com", recipients=["a@example.com"])
    assert acme.alerts.channels(customer_id="acme") == []
    assert add(acme, "webhook", url=url).by_operator


def test_a_name_that_leads_inside_later_is_not_followed(acme: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    real, answers = socket.getaddrinfo, ["93.184.215.14", "127.0.0.1", "93.184.215.14", "127.0.0.1"]

    def scripted(host: Any, *rest: Any, **more: Any) -> Any:
        return real(answers.pop(0) if host == "hook.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", scripted)
    monkeypatch.setattr("optiinfra_assets.providers.http.connections.ALIKE_SECONDS", 0.05)
    with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])
        hooked = add(acme, "webhook", url=f"https://hook.test:{port}/x", is_operator=False)
        with pytest.raises(NotReceived, match=r"hook\.test: no usable answer"):
            tried(acme, hooked)
        fields = {"sender": "a@example.com", "recipients": ["a@example.com"]}
        mailed = add(acme, "email", name="mail", is_operator=False, host="hook.test", port=port, **fields)
        with pytest.raises(NotReceived, match=r"hook\.test: no usable answer"):
            tried(acme, mailed)
    assert answers == []
    assert receiver.got == []


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("webhook", {"url": "http://example.com/x"}, "url: an https address without user and fragment is accepted"),
        ("webhook", {"url": f"https://user:{PLANTED}@example.com"}, "url: an https address"),
        ("webhook", {"url": "https://example.com/\r\nx: y"}, "url: an https address"),
        ("webhook", {"url": "https://example.com:0/"}, "url: an https address"),
        ("webhook", {"url": f"ftp://{PLANTED}"}, "url: an https address"),
        ("webhook", {"url": "https://example.com", "signing_key": PLANTED}, "signing_key: use whsec_ and base64"),
        ("slack", {}, "url: Field required"),
        ("slack", {"url": "https://example.com", "host": "x"}, "host: Extra inputs are not permitted"),
        ("sms", {"url": "https://example.com"}, "kind: 'sms' is not known: use webhook, slack, teams, email"),
        ("email", {"host": "smtp.example.com", "sender": "a@b.c", "recipients": []}, "recipients: "),
        ("email", {"host": "smtp.example.com", "sender": "a@b.c\nBcc: x@y.z", "recipients": ["a@b.c"]}, "sender: "),
        ("email", {"host": "a b", "sender": "a@b.c", "recipients": ["a@b.c"]}, "host: 'a b' is not accepted"),
        (
            "email",
            {"host": "smtp.example.com", "sender": "a@b.c", "recipients": ["a@b.c"], "security": "none"},
            "security: none is accepted to 127.0.0.1 or localhost only",
        ),
    ],
)
def test_what_a_channel_may_not_be_is_named_without_a_secret(
    acme: Metadata, kind: str, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ChannelNotAccepted) as refused:
        add(acme, kind, **values)
    assert str(refused.value).startswith(said)
    assert PLANTED not in str(refused.value)


def test_a_planted_secret_is_nowhere_in_clear(
    acme: Metadata, settings: Settings, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    key = "whsec_" + base64.b64encode(PLANTED.encode().ljust(32, b"!")).decode()
    with receiving() as receiver:
        receiver.answers = lambda _: 500
        rule(acme, add(acme, "webhook", name="1", url=f"{receiver.url}/{PLANTED}", signing_key=key), name="1")
        rule(acme, add(acme, "slack", name="2", url=f"{receiver.url}/{PLANTED}?{PLANTED}"), name="2")
        mail_server.refused = frozenset({"a@example.com"})
        rule(acme, add(acme, "email", name="3", **mailbox(mail_server)), name="3")
        find(acme, 1)
        sent, failed, _ = send(acme)
        assert (sent, failed, len(receiver.got)) == (0, 3, 2)
        channels = acme.alerts.channels(customer_id="acme")
        shown = repr(channels) + repr(acme.alert_outbox.deliveries(customer_id="acme"))
        everything = _dumped(settings) + caplog.text + shown
        for form in (PLANTED, key, key[10:], PLANTED.encode().hex(), base64.b64encode(PLANTED.encode()).decode()[:24]):
            assert form not in everything
        assert channels[0].settings == {"server": receiver.url}, "what is shown is where a channel leads"
        reveals = [one for one in acme.credentials.audit(customer_id="acme") if one.action == "reveal"]
        assert {(one.actor, one.purpose, one.outcome) for one in reveals} == {("alerts", "notify", "done")}
        send(acme, NOW + timedelta(hours=1))
        again = [one for one in acme.credentials.audit(customer_id="acme") if one.action == "reveal"]
        assert again == reveals, "once a day is enough"


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams"])
def test_a_server_that_repeats_the_address_does_not_tell_it(acme: Metadata, kind: str) -> None:
    """Many servers answer a path that they do not know with the path."""
    with receiving() as receiver:
        channel = add(acme, kind, url=f"{receiver.url}/hooks/{PLANTED}?sig={PLANTED[::-1]}")
        receiver.answers = lambda one: (404, {}, f"Cannot POST {one.path}; try /help")
        with pytest.raises(NotReceived, match=r"answers 404: Cannot POST .*\*\*\*; try /help") as refused:
            tried(acme, channel)
    assert not any(part in str(refused.value) for part in (PLANTED, PLANTED[::-1], PLANTED[4:14]))


def test_a_mail_server_that_repeats_the_password_does_not_tell_it(acme: Metadata, mail_server: MailServer) -> None:
    mail_server.quotes = True
    with pytest.raises(NotReceived, match=r"answers 550: not for\s+costs \*\*\*$"):
        tried(acme, add(acme, "email", **mailbox(mail_server)))


@pytest.mark.parametrize(
    "wait", ["9" * 5000, "Mon, 01 Jan 0001 00:00:00 +2300", "Fri, 31 Dec 9999 23:59:59 -2300", "-5", "1e9"]
)
def test_a_pause_that_nobody_can_wait_for_is_none_of_our_faults(acme: Metadata, wait: str) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: (503, {"retry-after": wait})
        rule(acme, hook(acme, receiver.url)[0])
        find(acme, 1)
        assert send(acme) == (0, 1, 0)
    (delivery,) = acme.alert_outbox.deliveries(customer_id="acme")
    assert (delivery.error or "").endswith("answers 503")
    assert delivery.due_at <= NOW + timedelta(hours=6)


def _dumped(settings: Settings) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(str(settings.postgres_url)) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'optiinfra'::regnamespace AND relkind = 'r'"
        ).fetchall()
        rows = [
            connection.execute(f"SELECT t::text FROM optiinfra.{name} AS t".encode()).fetchall() for (name,) in tables
        ]
    return "\n".join(str(row) for found in rows for row in found)


def test_secrets_outlive_a_rotation_and_open_in_no_other_channel(acme: Metadata, settings: Settings) -> None:
    with receiving() as receiver:
        channel, _ = hook(acme, receiver.url)
        old = acme.credentials.master_keys()[0]
        assert old.credentials == 1
        assert acme.credentials.rotate_keys(ALICE).done == 1
        acme.credentials.retire_key(ALICE, old.key_id)
        assert tried(acme, channel) is None
    another = add(acme, "slack", url="https://example.com/x")
    with psycopg.connect(str(settings.postgres_url)) as connection:
        connection.execute(
            "UPDATE optiinfra.channel_secrets AS one SET ciphertext = other.ciphertext, nonce = other.nonce, "
            "wrapped_key = other.wrapped_key FROM optiinfra.channel_secrets AS other "
            "WHERE one.channel_id = %s AND other.channel_id = %s",
            (another.channel_id, channel.channel_id),
        )
    fresh = ChannelSecretRepository(acme, Keyring.configured(settings))
    with pytest.raises(CiphertextTampered):
        fresh.reveal(another.channel_id, ALICE, "notify")
    acme.alerts.remove_channel(channel.channel_id, customer_id="acme", actor=ALICE)
    with pytest.raises(RecordNotFound, match="has no secrets: it was removed"):
        fresh.reveal(channel.channel_id, ALICE, "notify")


def test_a_test_says_that_it_is_one_and_is_signed_as_documented(acme: Metadata) -> None:
    with receiving() as receiver:
        channel, key = hook(acme, receiver.url)
        assert tried(acme, channel) is None
    (one,) = receiver.got
    assert one.json["occasions"][0]["title"] == "Test of the channel hook"
    assert one.json["rule"]["kind"] == "test"
    secret = base64.b64decode(key.removeprefix("whsec_"))
    signed = f"{one.headers['webhook-id']}.{int(NOW.timestamp())}.".encode() + one.body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert one.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert one.headers["webhook-signature"] == f"v1,{digest}"


def test_a_redirect_is_not_followed(acme: Metadata) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: (302, {"location": f"{receiver.url}/elsewhere"})
        channel, _ = hook(acme, receiver.url)
        with pytest.raises(NotReceived, match="answers 302"):
            tried(acme, channel)
    assert len(receiver.got) == 1


def test_a_name_is_no_link_and_a_long_text_keeps_the_link() -> None:
    """Names of services and tags come from elsewhere: what Teams and Slack would make of them is only shown."""
    text = "[free](https://example.com) & <b>" * 200
    one = {"title": text, "text": text, "path": "/anomalies", "data_through": None, "is_simulated": True}
    content = {"customer": "acme", "rule": {"name": "any"}, "occasions": [one]}
    card = json.loads(teams_body(content, "https://costs.example.com"))["attachments"][0]["content"]
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    section, foot = json.loads(slack_body(content, "https://costs.example.com"))["blocks"]
    assert section["text"]["verbatim"], "an address is no link, and a channel no mention"
    assert foot["elements"][0]["verbatim"]
    shown = section["text"]["text"]
    assert len(shown) <= 3000
    assert shown.endswith("\n<https://costs.example.com/anomalies|Open>")
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)
