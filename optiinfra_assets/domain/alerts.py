"""Alerts: the kinds of rules and channels, what rules and channels hold, and the message that tells of one occasion.

An occasion is something that a rule watches for and that has happened: an account that fails, a restated month. A new kind of rule is one
more `AlertKind` in `RULE_KINDS`, and what finds its occasions, in `optiinfra_assets.notifications.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.domain.exact_amounts import written

ChannelKind = Literal["webhook", "slack", "teams", "email"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)

MOST_RULES: Final = 200
MOST_CHANNELS: Final = 50
"""Rules, and channels, that a customer can have."""
PLACES: Final = ("accounts", "services", "budgets")
"""What rules can be narrowed to: account ids, names of services, ids of budgets; as each kind says."""
MOST_PLACES: Final = 1000
LONGEST_PLACE: Final = 500
"""Characters."""


@dataclass(frozen=True, slots=True)
class Option:
    """A number that a rule of some kind can set.

    Attributes:
        name: as rules name it.
        help: what it means, one sentence.
        default: what applies if a rule sets none.
        least: the least that is accepted.
        most: the most that is accepted.
    """

    name: str
    help: str
    default: Decimal
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class AlertKind:
    """What rules of one kind watch for.

    Attributes:
        name: for programs.
        help: what they watch for, one sentence.
        options: the numbers that such a rule can set.
        places: what such a rule can be narrowed to, of `PLACES`.
        needs_one_of: of these numbers, one at least has to be above 0; none: all may be 0.
    """

    name: str
    help: str
    options: tuple[Option, ...]
    places: tuple[str, ...] = ("accounts",)
    needs_one_of: tuple[str, ...] = ()

    def checked(self, given: Mapping[str, object]) -> dict[str, str]:
        """Return the options of a rule, each with the given value or its default, as texts.

        Raises:
            ValueError: a name or a value is not accepted.
        """
        known = {one.name: one for one in self.options}
        for name in given:
            if name not in known:
                raise ValueError(f"options: {name[:100]!r} is not known: use {', '.join(known)}")
        found = {name: _number(one, given.get(name, one.default)) for name, one in known.items()}
        if self.needs_one_of and not any(Decimal(found[name]) for name in self.needs_one_of):
            which = " or ".join(self.needs_one_of)
            raise ValueError(f"{which}: needed: a rule of the kind {self.name} needs a number above 0")
        return found

    def check_places(self, given: Mapping[str, Sequence[str]]) -> None:
        """Check what a rule is narrowed to: values by name of `PLACES`.

        Raises:
            ValueError: rules of this kind do not have that, or a value is not accepted.
        """
        for name, values in given.items():
            if values and name not in self.places:
                raise ValueError(f"{name}: rules of the kind {self.name} are narrowed to {' and '.join(self.places)}")
            if len(values) > MOST_PLACES:
                raise ValueError(f"{name}: {len(values)} are not accepted: use at most {MOST_PLACES}, or none for all")
            for value in values:
                if not value.strip() or len(value) > LONGEST_PLACE or "\0" in value:
                    raise ValueError(
                        f"{name}: {value[:100]!r} is not accepted: use what costs, accounts and budgets show"
                    )


def _number(option: Option, value: object) -> str:
    try:
        number = written(option.name, str(value))
    except ValueError:
        number = None
    if number is None or not option.least <= number <= option.most:
        raise ValueError(
            f"{option.name}: {str(value)[:100]!r} is not accepted: use a number from {option.least} to {option.most}"
        )
    return f"{number:f}"


COLLECTION: Final = AlertKind(
    "collection",
    "An account cannot be read or collected, or nobody looks any more whether it has changed.",
    (Option("minutes", "Minutes that it has to last before it is told.", Decimal(60), most=Decimal(10_080)),),
)
RESTATEMENT: Final = AlertKind(
    "restatement",
    "A publication changes the total of a closed month: one that its provider called final, or that ended some days ago.",
    (
        Option("amount", "Least change of the billed cost, in the currency of the month.", Decimal(0)),
        Option("percent", "Least change of the billed cost, in percent of what it was.", Decimal(0)),
        Option("days", "Days after its end from which a month counts as closed.", Decimal(7), most=Decimal(3660)),
    ),
)
CREDENTIAL: Final = AlertKind(
    "credential",
    "The provider rejects the credential of an account, or the credential is about to expire.",
    (
        Option(
            "lifetime",
            "Days that a secret is accepted after it was stored, as the provider or your rules say; 0: they do not expire.",
            Decimal(0),
            most=Decimal(3660),
        ),
        Option("days", "Days before its end from which it is told.", Decimal(14), most=Decimal(365)),
    ),
)
BUDGET: Final = AlertKind(
    "budget",
    "Of a budget's amount more is spent, or expected at the end of its period, than a part; or an overrun is so likely.",
    (
        Option(
            "actual", "Percent of the amount that is spent; 0: that is not looked at.", Decimal(100), most=Decimal(1000)
        ),
        Option(
            "forecast",
            "Percent of the amount that is expected at the end of the period; 0: that is not looked at.",
            Decimal(100),
            most=Decimal(1000),
        ),
        Option(
            "probability",
            "Percent that more than the amount will be spent; 0: that is not looked at.",
            Decimal(0),
            most=Decimal(100),
        ),
    ),
    places=("budgets",),
    needs_one_of=("actual", "forecast", "probability"),
)
FORECAST: Final = AlertKind(
    "forecast",
    "This month is expected to cost more than an amount, in any of the currencies of its charges.",
    (Option("amount", "What the month may cost (billed cost), in the currency of the charges; needed.", Decimal(0)),),
    places=("accounts", "services"),
    needs_one_of=("amount",),
)
ANOMALY: Final = AlertKind(
    "anomaly",
    "Costs are odd: other than was to be expected, and nobody has said that they are planned, expected, false or fixed.",
    (
        Option("amount", "Least difference to what was expected, in the currency of the costs.", Decimal(0)),
        Option("percent", "Least difference, in percent of what was expected.", Decimal(0)),
        Option(
            "days",
            "Days from the last odd day to the last final day of the account, at most.",
            Decimal(3),
            most=Decimal(62),
        ),
    ),
    places=("accounts", "services"),
)
RULE_KINDS: Final[Mapping[str, AlertKind]] = {
    one.name: one for one in (COLLECTION, RESTATEMENT, CREDENTIAL, BUDGET, FORECAST, ANOMALY)
}


def rule_kind(name: str) -> AlertKind:
    """Return a kind of rules.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in RULE_KINDS:
        raise ValueError(f"kind: {name[:100]!r} is not known: use {', '.join(RULE_KINDS)}")
    return RULE_KINDS[name]


@dataclass(frozen=True, slots=True)
class AlertChannel:
    """A channel by which a customer is told, without its secrets. Times are UTC.

    Attributes:
        settings: what is not secret, such as the recipients of e-mail; for the others the beginning of their address.
        by_operator: the operator of the platform gave its address, which may be private.
        deleted_at: since when nothing is sent by it, None: it is in use.
    """

    channel_id: str
    customer_id: str
    kind: ChannelKind
    name: str
    settings: Mapping[str, Any]
    by_operator: bool
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule: what is watched for, where, and who is told when. Times are UTC.

    Attributes:
        kind: name of a `AlertKind`.
        options: its numbers by name, as texts.
        accounts: only these account ids, all if empty; so are services and budgets (ids).
        channels: ids of channels.
        muted_until: until then nothing is told; what happens meanwhile is not told later. None: it is not muted.
        checked_at: when it was last looked for occasions, None: never.
        standing: for kinds that watch a condition: where it held when it was last looked for; for those that look after news only: which
            news they know.
    """

    rule_id: str
    customer_id: str
    kind: str
    name: str
    options: Mapping[str, str]
    accounts: Sequence[str]
    channels: Sequence[str]
    timing: Timing
    muted_until: datetime | None
    created_at: datetime
    checked_at: datetime | None
    standing: Sequence[str] = ()
    services: Sequence[str] = ()
    budgets: Sequence[str] = ()

    def number(self, option: str) -> Decimal:
        """Return one of its numbers, or the default of its kind if it was stored before there was such an option."""
        if option in self.options:
            return Decimal(self.options[option])
        return next(one.default for one in RULE_KINDS[self.kind].options if one.name == option)

    def covers(self, account_id: str) -> bool:
        """Whether it watches an account."""
        return not self.accounts or account_id in self.accounts

    def is_muted(self, at: datetime) -> bool:
        """Whether it is muted at a UTC instant."""
        return self.muted_until is not None and self.muted_until > at


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a message: an exact amount with its currency, or None where it is no money."""

    name: str
    amount: str
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What is told of one occasion, in plain words.

    Attributes:
        title: what happened, in one line.
        text: what is known and what to do, in a few sentences.
        path: path and query of the page that shows more.
        figures: the numbers, exact.
        data_through: ISO 8601 instant up to which the data behind it are complete, None if unknown.
        is_simulated: the figures come from a simulator or from sample files.
    """

    title: str
    text: str
    path: str
    figures: tuple[Figure, ...] = ()
    data_through: str | None = None
    is_simulated: bool = False

    def values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that a rule watches for and that has happened. `key` is its name within the rule: the same key is told once."""

    key: str
    message: AlertMessage


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """One message of a rule by one channel. Times are UTC, None if it has not happened.

    Attributes:
        delivery_id: also sent with the message, and the same at each attempt: a receiver takes a message once by it.
        state: ``waiting``, ``sent`` or ``dead`` (given up, until a person sends it again).
        titles: what it tells, oldest first.
        due_at: when it is tried next; the past while it waits for the sender.
        error: why the last attempt failed, in one line without secrets.
    """

    delivery_id: str
    customer_id: str
    rule_id: str
    rule_name: str
    channel_id: str
    channel_name: str
    state: Literal["waiting", "sent", "dead"]
    titles: Sequence[str]
    created_at: datetime
    due_at: datetime
    first_tried_at: datetime | None
    attempts: int
    sent_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A message that the sender has taken, with all that it tells.

    Attributes:
        attempt: number of this attempt, from 1.
        first_tried_at: UTC instant of the first.
        content: rule, customer and occasions as JSON values; the same at each attempt.
    """

    delivery_id: str
    attempt: int
    first_tried_at: datetime
    channel: AlertChannel
    timing: Timing
    content: Mapping[str, Any] = field(repr=False)
