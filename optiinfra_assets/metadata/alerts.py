"""Rules and channels of alerts. Each change is in the access audit log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import check_name
from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.domain.alerts import (
    MOST_CHANNELS,
    MOST_RULES,
    PLACES,
    AlertChannel,
    AlertRule,
    ChannelKind,
    rule_kind,
)
from optiinfra_assets.vault.credential_audit import Actor, by


@dataclass(frozen=True, slots=True)
class WantedRule:
    """A rule as a person gives it; see `AlertRule`."""

    kind: str
    name: str
    channels: Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)
    accounts: Sequence[str] = ()
    timing: Timing = field(default_factory=Timing)
    services: Sequence[str] = ()
    budgets: Sequence[str] = ()

    @property
    def places(self) -> dict[str, Sequence[str]]:
        """What it is narrowed to."""
        return {name: getattr(self, name) for name in PLACES}


class AlertRepository(Repository):
    """Reads and changes rules and channels."""

    def channels(self, *, customer_id: str) -> list[AlertChannel]:
        """Return the channels of a customer that are in use, by name."""
        values = {"customer_id": customer_id, "channel_id": None}
        return [AlertChannel(**row) for row in self._database.rows("alert_channels.sql", values)]

    def channel(self, channel_id: str, *, customer_id: str) -> AlertChannel:
        """Return a channel of a customer.

        Raises:
            RecordNotFound: the customer has no such channel in use.
        """
        values = {"customer_id": customer_id, "channel_id": channel_id}
        row = self._database.row("alert_channels.sql", values)
        if row is None or row["deleted_at"] is not None:
            raise _no_channel(channel_id)
        return AlertChannel(**row)

    def add_channel(
        self,
        kind: ChannelKind,
        name: str,
        settings: Mapping[str, Any],
        *,
        by_operator: bool,
        customer_id: str,
        actor: Actor,
    ) -> AlertChannel:
        """Store a new channel. Its secrets are stored apart, in the same transaction of the caller.

        Raises:
            ValueError: the name is not accepted, or the customer has too many channels.
            AlreadyExists: another channel of the customer has the name.
            RecordNotFound: there is no such customer.
        """
        check_name("name", name)
        values = {
            "channel_id": secrets.token_hex(6),
            "customer_id": customer_id,
            "kind": kind,
            "name": name,
            "settings": Jsonb(dict(settings)),
            "by_operator": by_operator,
            **by(actor),
        }
        try:
            with self._database.transaction():
                self._database.rows("lock_customer.sql", {"customer_id": customer_id})
                if len(self.channels(customer_id=customer_id)) >= MOST_CHANNELS:
                    raise ValueError(f"name: this customer has {MOST_CHANNELS} channels already: remove one first")
                (row,) = self._database.rows("alert_add_channel.sql", values)
        except UniqueViolation:
            raise AlreadyExists(f"channel: another one is called {name!r}") from None
        except ForeignKeyViolation:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist") from None
        return AlertChannel(**row)

    def remove_channel(self, channel_id: str, *, customer_id: str, actor: Actor) -> AlertChannel:
        """Take a channel out of use and erase its secrets; what waits for it is given up.

        Raises:
            RecordNotFound: the customer has no such channel in use.
        """
        row = self._database.row(
            "alert_remove_channel.sql", {"channel_id": channel_id, "customer_id": customer_id, **by(actor)}
        )
        if row is None:
            raise _no_channel(channel_id)
        return AlertChannel(**row)

    def rules(self, *, customer_id: str | None = None) -> list[AlertRule]:
        """Return rules that are in use, by customer and name."""
        return self._rules(customer_id, None)

    def rule(self, rule_id: str, *, customer_id: str) -> AlertRule:
        """Return a rule of a customer.

        Raises:
            RecordNotFound: the customer has no such rule in use.
        """
        found = self._rules(customer_id, rule_id)
        if not found:
            raise _no_rule(rule_id)
        return found[0]

    def hold_rule(self, rule_id: str) -> AlertRule | None:
        """Return a rule, locked until the end of the transaction; None if it was removed, or another process is at work on it."""
        row = self._database.row("alert_hold_rule.sql", {"rule_id": rule_id})
        return _rule(row) if row else None

    def save_rule(
        self, wanted: WantedRule, at: datetime, rule_id: str | None = None, *, customer_id: str, actor: Actor
    ) -> AlertRule:
        """Store a rule: a new one, or in the place of the one with that id, whose kind stays.

        Args:
            wanted: the rule; options that it leaves out have their defaults.
            at: the present UTC instant: what happened before is no matter of a new rule.
            rule_id: the rule to replace, None: a new one.
            customer_id: whose.
            actor: who does it, for the log.

        Raises:
            ValueError: a value is not accepted; the message names it.
            RecordNotFound: the customer has no such rule, channel, account or budget, or there is no such customer.
            AlreadyExists: another rule of the customer has the name.
        """
        check_name("name", wanted.name)
        kind = rule_kind(wanted.kind)
        options = kind.checked(wanted.options)
        kind.check_places(wanted.places)
        if not wanted.channels:
            raise ValueError("channels: needed: name at least one")
        values = {
            "rule_id": rule_id or secrets.token_hex(6),
            "customer_id": customer_id,
            "kind": wanted.kind,
            "name": wanted.name,
            "options": Jsonb(options),
            **{name: sorted(set(values)) for name, values in wanted.places.items()},
            "channels": sorted(set(wanted.channels)),
            "timing": Jsonb(wanted.timing.values()),
            "at": at,
            **by(actor),
        }
        try:
            with self._database.transaction():
                if not self._database.rows("lock_customer.sql", {"customer_id": customer_id}):
                    raise RecordNotFound(f"customer: {customer_id!r} does not exist")
                self._check(wanted, rule_id, customer_id)
                (row,) = self._database.rows("alert_save_rule.sql", values)
        except UniqueViolation:
            raise AlreadyExists(f"rule: another one is called {wanted.name!r}") from None
        return _rule(row)

    def mute_rule(self, rule_id: str, until: datetime | None, *, customer_id: str, actor: Actor) -> AlertRule:
        """Mute a rule until a UTC instant, or end that with None.

        Raises:
            RecordNotFound: the customer has no such rule in use.
        """
        return self._changed("alert_mute_rule.sql", rule_id, customer_id, actor, until=until)

    def remove_rule(self, rule_id: str, *, customer_id: str, actor: Actor) -> AlertRule:
        """Take a rule out of use; what waits of it is given up.

        Raises:
            RecordNotFound: the customer has no such rule in use.
        """
        return self._changed("alert_remove_rule.sql", rule_id, customer_id, actor)

    def _changed(self, statement: str, rule_id: str, customer_id: str, actor: Actor, **values: Any) -> AlertRule:
        row = self._database.row(statement, {"rule_id": rule_id, "customer_id": customer_id, **values, **by(actor)})
        if row is None:
            raise _no_rule(rule_id)
        return _rule(row)

    def _check(self, wanted: WantedRule, rule_id: str | None, customer_id: str) -> None:
        """Check what a rule names, in the transaction that stores it."""
        if rule_id is not None and self.rule(rule_id, customer_id=customer_id).kind != wanted.kind:
            raise ValueError("kind: it stays as it is: remove this rule and save a new one")
        if rule_id is None and len(self.rules(customer_id=customer_id)) >= MOST_RULES:
            raise ValueError(f"name: this customer has {MOST_RULES} rules already: remove one first")
        channels = {one.channel_id for one in self.channels(customer_id=customer_id)}
        for channel_id in wanted.channels:
            if channel_id not in channels:
                raise _no_channel(channel_id)
        rows = self._database.rows("accounts.sql", _EVERY_ACCOUNT | {"customer_id": customer_id})
        accounts = {row["account_id"] for row in rows}
        for account_id in wanted.accounts:
            if account_id not in accounts:
                raise RecordNotFound(f"account: {account_id!r} does not exist")
        self._check_budgets(wanted.budgets, customer_id)

    def _check_budgets(self, budgets: Sequence[str], customer_id: str) -> None:
        for budget_id in budgets:
            values = {"customer_id": customer_id, "budget_id": budget_id, "after": None, "after_id": None, "most": 1}
            if not self._database.rows("budgets.sql", values):
                raise RecordNotFound(f"budget: {budget_id!r} does not exist")

    def _rules(self, customer_id: str | None, rule_id: str | None) -> list[AlertRule]:
        values = {"customer_id": customer_id, "rule_id": rule_id}
        return [_rule(row) for row in self._database.rows("alert_rules.sql", values)]


_EVERY_ACCOUNT = {"provider": None, "account_id": None, "include_disabled": True}


def _rule(row: Row) -> AlertRule:
    return AlertRule(**row | {"timing": Timing.of(row["timing"])})


def _no_channel(channel_id: str) -> RecordNotFound:
    return RecordNotFound(f"channel: {channel_id!r} does not exist")


def _no_rule(rule_id: str) -> RecordNotFound:
    return RecordNotFound(f"rule: {rule_id!r} does not exist")
