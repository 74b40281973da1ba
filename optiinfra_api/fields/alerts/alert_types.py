"""The types of rules, channels and messages of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.enums import described
from optiinfra_assets.domain import alerts as domain
from optiinfra_assets.domain.alerts import MOST_CHANNELS, MOST_RULES, PLACES, RULE_KINDS, Option


@strawberry.enum(description="How messages of a channel are sent.")
class AlertChannelKind(Enum):
    WEBHOOK = described("webhook", "As signed JSON, to a program of yours.")
    SLACK = described("slack", "To an incoming webhook of Slack.")
    TEAMS = described("teams", "To a workflow of Microsoft Teams.")
    EMAIL = described("email", "By e-mail.")


@strawberry.enum(description="Whether messages are gathered.")
class AlertDigest(Enum):
    NONE = described("none", "Each is sent at once.")
    DAILY = described("daily", "One a day.")
    WEEKLY = described("weekly", "One a week.")


@strawberry.enum(description="How far a message has come.")
class AlertState(Enum):
    WAITING = described("waiting", "It is sent at `dueAt`, for the first time or again.")
    SENT = described("sent", "It was received.")
    DEAD = described("dead", "It was not received for a day and is given up, until somebody sends it again.")


@strawberry.type(description="A number that rules of a kind can set.")
class AlertOptionKind:
    name: str = strawberry.field(description="What rules call it.")
    help: str = strawberry.field(description="What it means.")
    default: str = strawberry.field(description="What applies to a rule that does not set it.")
    least: str = strawberry.field(description="The least that is accepted.")
    most: str = strawberry.field(description="The most that is accepted.")


@strawberry.type(description="A kind of rules.")
class AlertRuleKind:
    name: str = strawberry.field(description="What `saveAlertRule` takes as `kind`.")
    help: str = strawberry.field(description="What such rules watch for.")
    options: list[AlertOptionKind] = strawberry.field(description="The numbers that they can set.")
    places: list[str] = strawberry.field(
        description="What they can be narrowed to: which of `accounts`, `services` and `budgets` a rule may give."
    )


@strawberry.type(description="A number of a rule.")
class AlertOption:
    name: str = strawberry.field(description="Which one.")
    value: str = strawberry.field(description="What it is.")


@strawberry.type(description="When a rule tells; hours and days are those of its time zone.")
class AlertTiming:
    digest: AlertDigest = strawberry.field(description="Whether messages are gathered.")
    digest_hour: int = strawberry.field(description="Hour of digests, 0 to 23.")
    digest_weekday: int = strawberry.field(description="Day of weekly digests, 1 (Monday) to 7.")
    quiet_from: int | None = strawberry.field(description="Hour from which nothing is sent. Null: no quiet hours.")
    quiet_until: int | None = strawberry.field(description="Hour from which it is sent again.")
    timezone: str = strawberry.field(description="Name of the time zone.")


@strawberry.type(description="A rule: what is watched for, and who is told when.")
class AlertRule:
    rule_id: str = strawberry.field(description="Its id.")
    kind: str = strawberry.field(description="What it watches for: the name of one of `kinds`.")
    name: str = strawberry.field(description="What it is called; no other rule of the customer is.")
    options: list[AlertOption] = strawberry.field(description="Its numbers.")
    accounts: list[str] = strawberry.field(description="Only these account ids. Empty: all.")
    services: list[str] = strawberry.field(description="Only these services. Empty: all.")
    budgets: list[str] = strawberry.field(description="Only these ids of budgets. Empty: all.")
    channels: list[str] = strawberry.field(description="Ids of the channels by which it tells.")
    timing: AlertTiming = strawberry.field(description="When it tells.")
    muted_until: datetime | None = strawberry.field(
        description="Until then it tells nothing, nor later of what happens meanwhile. Null: it is not muted."
    )
    created_at: datetime = strawberry.field(description="When it was made; it tells of nothing that happened before.")
    checked_at: datetime | None = strawberry.field(description="When it was last looked for. Null: not yet.")

    @classmethod
    def of(cls, rule: domain.AlertRule) -> AlertRule:
        """Make one from its record."""
        options = [AlertOption(name=name, value=f"{rule.number(name):f}") for name in sorted(rule.options)]
        lists = {name: list(getattr(rule, name)) for name in (*PLACES, "channels")}
        return from_record(cls, rule, options=options, timing=from_record(AlertTiming, rule.timing), **lists)


@strawberry.type(description="The rules of a customer, by name, and what rules there can be.")
class AlertRules:
    nodes: list[AlertRule] = strawberry.field(description=f"All of them, at most {MOST_RULES}.")
    kinds: list[AlertRuleKind] = strawberry.field(description="What can be watched for.")


def rule_kinds() -> list[AlertRuleKind]:
    """Every kind of rules."""
    return [
        from_record(AlertRuleKind, kind, options=[_option(one) for one in kind.options], places=list(kind.places))
        for kind in RULE_KINDS.values()
    ]


def _option(option: Option) -> AlertOptionKind:
    numbers = {name: f"{getattr(option, name):f}" for name in ("default", "least", "most")}
    return from_record(AlertOptionKind, option, **numbers)


@strawberry.type(description="A channel by which people or programs are told, without its secrets.")
class AlertChannel:
    channel_id: str = strawberry.field(description="Its id.")
    kind: AlertChannelKind = strawberry.field(description="How its messages are sent.")
    name: str = strawberry.field(description="What it is called; no other channel of the customer is.")
    server: str = strawberry.field(description="Where its messages are taken; the rest of an address is secret.")
    recipients: list[str] = strawberry.field(description="For e-mail, to whom. Empty for others.")
    by_operator: bool = strawberry.field(
        description="Whoever runs the platform added it, so that it may lead into a private network."
    )
    created_at: datetime = strawberry.field(description="When it was added.")

    @classmethod
    def of(cls, channel: domain.AlertChannel) -> AlertChannel:
        """Make one from its record."""
        settings = channel.settings
        return from_record(cls, channel, server=_server(settings), recipients=list(settings.get("recipients", ())))


def _server(settings: Mapping[str, Any]) -> str:
    return str(settings["server"]) if "server" in settings else f"smtp://{settings['host']}:{settings['port']}"


@strawberry.type(description="The channels of a customer, by name.")
class AlertChannels:
    nodes: list[AlertChannel] = strawberry.field(description=f"All of them, at most {MOST_CHANNELS}.")


@strawberry.type(description="A message of a rule by a channel.")
class AlertDelivery:
    delivery_id: str = strawberry.field(
        description="It is sent with the message, and the same at each attempt: a receiver takes a message once by it."
    )
    rule_id: str = strawberry.field(description="The rule.")
    rule_name: str = strawberry.field(description="What it is called.")
    channel_id: str = strawberry.field(description="The channel.")
    channel_name: str = strawberry.field(description="What it is called.")
    state: AlertState = strawberry.field(description="How far it has come.")
    titles: list[str] = strawberry.field(description="What it tells, oldest first.")
    created_at: datetime = strawberry.field(description="When the first of it was found.")
    due_at: datetime = strawberry.field(description="When it is, or was, to be sent next.")
    first_tried_at: datetime | None = strawberry.field(description="When it was first tried. Null: not yet.")
    attempts: int = strawberry.field(description="How often it was tried.")
    sent_at: datetime | None = strawberry.field(description="When it was received. Null: it was not.")
    error: str | None = strawberry.field(description="Why the last attempt failed. Null: it did not.")

    @classmethod
    def of(cls, delivery: domain.AlertDelivery) -> AlertDelivery:
        """Make one from its record."""
        return from_record(cls, delivery, titles=list(delivery.titles))


@strawberry.type(description="A page of messages, newest first.")
class AlertDeliveries:
    nodes: list[AlertDelivery] = strawberry.field(description="The messages of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(description="This customer has no such rule, channel, account or message.")
class AlertNotFound(Refusal):
    pass


@strawberry.type(description="A value is not accepted; nothing is stored.")
class AlertNotAccepted(Refusal):
    pass


@strawberry.type(description="The channel did not take the message.")
class AlertNotReceived(Refusal):
    pass
