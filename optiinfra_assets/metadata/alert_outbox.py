"""The outbox of alerts: occasions, the messages that tell them, and how far each message has come.

`record` belongs into the transaction that finds the occasions: it stores them with all that has to be sent, or nothing. A message has one
id from then on; whichever process dies, it is sent until it was received, each time with that id and the same content.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.domain.alerts import AlertChannel, AlertDelivery, AlertRule, DueDelivery, Occasion
from optiinfra_assets.vault.credential_audit import Actor, by

MOST_APART: Final = 5
"""Occasions that are found at once and told in a message each; more of them are told in one."""
_SLOTS: Final = 3
"""Digests that are tried for an occasion: the next one may just have begun to be sent."""


@dataclass(frozen=True, slots=True)
class DeadMessages:
    """Messages of a channel in use that were given up. `since` is when the oldest was found, in UTC; `error` why one was not received."""

    customer_id: str
    channel_id: str
    name: str
    messages: int
    since: datetime
    error: str | None


class AlertOutboxRepository(Repository):
    """Writes occasions and their messages, gives them to the sender, and shows them."""

    def record(
        self, rule: AlertRule, occasions: Sequence[Occasion], at: datetime, standing: Collection[str] = ()
    ) -> int:
        """Store what was found for a rule at the UTC instant `at`, with the messages that tell it; return how many occasions are new.

        Call it in the transaction in which the rule is held. `standing` is where its condition holds, for kinds that watch one.
        """
        found: list[int] = []
        if occasions:
            values = {
                "customer_id": rule.customer_id,
                "rule_id": rule.rule_id,
                "at": at,
                "is_muted": rule.is_muted(at),
                "keys": [one.key for one in occasions],
                "messages": [Jsonb(one.message.values()) for one in occasions],
            }
            found = sorted(row["occasion_id"] for row in self._database.rows("alert_record_occasions.sql", values))
        if found and not rule.is_muted(at):
            for channel_id in rule.channels:
                self._queue(rule, channel_id, found, at)
        checked = {"rule_id": rule.rule_id, "at": at, "standing": sorted(standing)}
        self._database.rows("alert_check_rule.sql", checked)
        return len(found)

    def told(self, rule_id: str, keys: Collection[str]) -> set[str]:
        """Return which of some occasions a rule has found already, also those that nobody was told because it was muted."""
        return {
            row["occasion_key"]
            for row in self._database.rows("alert_told.sql", {"rule_id": rule_id, "keys": list(keys)})
        }

    def dead(self, since: datetime) -> list[DeadMessages]:
        """Return the channels with messages that were tried first at or after an instant and given up, of all customers."""
        return [DeadMessages(**row) for row in self._database.rows("alert_dead.sql", {"since": since})]

    def claim(
        self,
        at: datetime,
        lease: timedelta,
        *,
        without_channels: Collection[str] = (),
        without_customers: Collection[str] = (),
    ) -> DueDelivery | None:
        """Take the message that has waited longest, None if none is due; another attempt may begin after the lease.

        What it tells is fixed by the first attempt, in the same transaction. One that is quiet now is put off: it may have been due before.
        """
        values = {
            "at": at,
            "lease_end": at + lease,
            "channels": list(without_channels),
            "customers": list(without_customers),
        }
        with self._database.transaction():
            while True:
                row = self._database.row("alert_claim.sql", values)
                if row is None:
                    return None
                timing = Timing.of(row["timing"])
                until = timing.after_quiet(at)
                if until == at:
                    break
                self._database.rows("alert_hold.sql", {"delivery_id": row["delivery_id"], "due_at": until})
            if row["content"] is None:
                about = {
                    "customer": row["customer_id"],
                    "rule": {"id": row["rule_id"], "name": row["rule_name"], "kind": row["rule_kind"]},
                }
                frozen = {"delivery_id": row["delivery_id"], "about": Jsonb(about)}
                (content,) = self._database.rows("alert_freeze.sql", frozen)
                row["content"] = content["content"]
        return DueDelivery(
            delivery_id=row["delivery_id"],
            attempt=row["attempt"],
            first_tried_at=row["first_tried_at"],
            channel=_channel(row["channel"]),
            timing=timing,
            content=row["content"],
        )

    def sent(self, delivery: DueDelivery, at: datetime, note: str | None = None) -> None:
        """Record that a message was received; `note`: what was wrong all the same."""
        self._finish(delivery, state="sent", sent_at=at, error=note, due_at=None)

    def failed(self, delivery: DueDelivery, error: str, due_at: datetime | None) -> None:
        """Record that an attempt failed, and when the next one is due; None: the message is given up."""
        state = "dead" if due_at is None else "waiting"
        self._finish(delivery, state=state, sent_at=None, error=error, due_at=due_at)

    def deliveries(
        self,
        *,
        customer_id: str,
        first: int = 50,
        before: tuple[datetime, str] | None = None,
        state: str | None = None,
        delivery_id: str | None = None,
    ) -> list[AlertDelivery]:
        """Return at most `first` messages of a customer, newest first, after the one made at and named by `before`."""
        before_at, before_id = before or (None, None)
        values = {
            "customer_id": customer_id,
            "first": first,
            "before_at": before_at,
            "before_id": before_id,
            "state": state,
            "delivery_id": delivery_id,
        }
        return [AlertDelivery(**row) for row in self._database.rows("alert_deliveries.sql", values)]

    def resend(self, delivery_id: str, at: datetime, *, customer_id: str, actor: Actor) -> AlertDelivery:
        """Let a message that was given up be tried again, with the same id, for another day.

        Raises:
            RecordNotFound: the customer has no such message that was given up, or its channel was removed.
        """
        values = {"delivery_id": delivery_id, "customer_id": customer_id, "at": at, **by(actor)}
        if not self._database.rows("alert_resend.sql", values):
            raise RecordNotFound(f"delivery: {delivery_id!r} was not given up, or its channel was removed")
        (found,) = self.deliveries(customer_id=customer_id, delivery_id=delivery_id)
        return found

    def _queue(self, rule: AlertRule, channel_id: str, found: Sequence[int], at: datetime) -> None:
        if rule.timing.digest != "none":
            self._queue_digest(rule, channel_id, found, at)
        elif len(found) > MOST_APART:
            self._add(rule, channel_id, f"occasions from {found[0]}", found, at, rule.timing.due(at))
        else:
            for one in found:
                self._add(rule, channel_id, f"occasion {one}", [one], at, rule.timing.due(at))

    def _queue_digest(self, rule: AlertRule, channel_id: str, found: Sequence[int], at: datetime) -> None:
        due = at
        for _ in range(_SLOTS):
            due = rule.timing.next_digest(due)
            quiet_until = rule.timing.after_quiet(due)
            if self._add(rule, channel_id, f"{rule.timing.digest} {due.isoformat()}", found, at, quiet_until):
                return
        # All of them are being sent already, by a clock that is ahead: then as a message of its own.
        self._add(rule, channel_id, f"occasions from {found[0]}", found, at, rule.timing.due(at))

    def _add(
        self, rule: AlertRule, channel_id: str, slot: str, found: Sequence[int], at: datetime, due_at: datetime
    ) -> bool:
        values = {
            "delivery_id": secrets.token_hex(12),
            "customer_id": rule.customer_id,
            "rule_id": rule.rule_id,
            "channel_id": channel_id,
            "slot": slot,
            "at": at,
            "due_at": due_at,
        }
        row = self._database.row("alert_open_delivery.sql", values)
        if row is None:
            return False
        self._database.rows(
            "alert_outbox_add.sql", {**values, "delivery_id": row["delivery_id"], "occasions": list(found)}
        )
        return True

    def _finish(self, delivery: DueDelivery, **values: Any) -> None:
        finished = {"delivery_id": delivery.delivery_id, "attempt": delivery.attempt, **values}
        self._database.rows("alert_finish.sql", finished)


def _channel(row: dict[str, Any]) -> AlertChannel:
    made = AlertChannel(**row)
    return replace(made, created_at=datetime.fromisoformat(row["created_at"]))
