"""What tests of alerts share: a receiver over loopback that checks what it gets, rules and channels, and a sender that can be killed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import served

from optiinfra_assets.domain.alerts import AlertChannel, AlertMessage, AlertRule, DueDelivery, Occasion
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.notifications.channel_models import key_bytes
from optiinfra_assets.notifications.channels import add_channel
from optiinfra_assets.notifications.finding import find_occasions
from optiinfra_assets.notifications.kinds.base import Facts, Found
from optiinfra_assets.notifications.sender import Sender
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor

ALICE = Actor("token-a", "192.0.2.7")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PAGES = "https://costs.example.com"


@dataclass(slots=True)
class Received:
    """One request: headers in lower case, and the body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def delivery_id(self) -> str:
        """The id by which a receiver takes a message once."""
        return self.headers["x-optiinfra-delivery"]

    def is_signed(self, key: str, *, at: datetime | None = None) -> bool:
        """Whether the signature is that of the key over id, time and body, as a receiver computes it; and the time is `at`."""
        stamp = self.headers["webhook-timestamp"]
        signed = f"{self.headers['webhook-id']}.{stamp}.".encode() + self.body
        wanted = base64.b64encode(hmac.new(key_bytes(key), signed, hashlib.sha256).digest()).decode()
        return self.headers["webhook-signature"] == f"v1,{wanted}" and (at is None or int(stamp) == at.timestamp())


@dataclass(slots=True)
class Receiver:
    """A server that takes messages.

    `answers` says for a request: a status, 0 to break off without one, or a status, headers and perhaps a text.
    """

    url: str = ""
    got: list[Received] = field(default_factory=list)
    answers: Callable[[Received], Any] = lambda _: 200

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Take one request and answer it."""
        length = int(handler.headers["content-length"])
        body = handler.rfile.read(length)
        if len(body) < length:  # the sender was killed while it sent: no server takes half a request
            handler.close_connection = True
            return
        one = Received(handler.path, {name.lower(): value for name, value in handler.headers.items()}, body)
        answer = self.answers(one)
        status, headers, *said = answer if isinstance(answer, tuple) else (answer, {})
        text = "".join(said).encode()
        self.got.append(one)
        if status == 0:
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in {"content-length": str(len(text)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens as long as the context is open."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with served(Handler) as receiver.url:
        yield receiver


def hook(metadata: Metadata, url: str, name: str = "hook", customer_id: str = "acme") -> tuple[AlertChannel, str]:
    """A webhook that the operator added, and its key."""
    made = add_channel(metadata, "webhook", name, {"url": url}, is_operator=True, customer_id=customer_id, actor=ALICE)
    assert made.signing_key
    return made.channel, made.signing_key


def rule(metadata: Metadata, channel: AlertChannel, kind: str = "restatement", **wanted: Any) -> AlertRule:
    """A rule that tells by a channel."""
    name = wanted.pop("name", kind)
    given = WantedRule(kind, name, [channel.channel_id], **wanted)
    return metadata.alerts.save_rule(given, NOW, customer_id=channel.customer_id, actor=ALICE)


def occasion(number: int) -> Occasion:
    """Something that happened."""
    return Occasion(f"number {number}", AlertMessage(f"Number {number}", "It has come.", f"/numbers?number={number}"))


def happening(*occasions: Occasion) -> dict[str, Callable[[Facts, AlertRule], Found]]:
    """Finders that find these for every rule of the kind restatement."""
    return {"restatement": lambda _facts, _rule: Found(occasions)}


def no_warehouse() -> Any:
    """ClickHouse, where nothing needs it."""
    raise AssertionError("nothing here needs ClickHouse")


def find(metadata: Metadata, *numbers: int, at: datetime = NOW) -> int:
    """Look for occasions when these numbers have come; how many are new."""
    return find_occasions(metadata, no_warehouse, at, happening(*map(occasion, numbers)))


def claimed(metadata: Metadata, customer_id: str, at: datetime, lease: timedelta = timedelta(0)) -> DueDelivery:
    """The message of a customer that has waited longest; other tests' customers have some too in the same database."""
    others = {one.customer_id for one in metadata.customers.find()} - {customer_id}
    due = metadata.alert_outbox.claim(at, lease, without_customers=others)
    assert due is not None
    return due


def send(metadata: Metadata, at: datetime = NOW) -> tuple[int, int, int]:
    """Run the sender once at an instant: how many were sent, failed and given up."""
    done = Sender(metadata, PAGES, lambda: at).run()
    return done.sent, done.failed, done.dead


SPEED = 2000
"""Seconds of the sender's clock in one second: its lease is over after 60 ms."""


@dataclass(frozen=True, slots=True)
class FastClock:
    """A clock that all processes share, and that goes `SPEED` times as fast as time."""

    begun: float = field(default_factory=time.time)

    def __call__(self) -> datetime:
        """Return the instant."""
        return NOW + timedelta(seconds=(time.time() - self.begun) * SPEED)


def three_more(facts: Facts, rule: AlertRule) -> Found:
    """Find three numbers more than were told so far, and those before again."""
    told = len(facts.metadata.alert_outbox.deliveries(customer_id=rule.customer_id, first=10_000))
    return Found(tuple(map(occasion, range(told + 3))))


def work_for_ever(settings: Settings, clock: FastClock) -> None:
    """Find and send in this process, until it is killed."""
    with closing(Metadata.connect(settings)) as metadata:
        while True:
            find_occasions(metadata, no_warehouse, clock(), {"restatement": three_more})
            Sender(metadata, PAGES, clock).run()


def flaky(random_: random.Random) -> Callable[[Received], int]:
    """Answers of a receiver of which a third are none or a failure; with a failure it may have taken the message or not."""
    lock = threading.Lock()

    def answer(_: Received) -> int:
        with lock:
            chance, pause = random_.random(), random_.random()
        time.sleep(pause * 0.02)
        return 0 if chance < 0.15 else 503 if chance < 0.3 else 200

    return answer
