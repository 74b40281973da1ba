"""Anomalies as they were found, what was expected of each day, and what people say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg.types.json import Jsonb

from optiinfra_assets.analytics.expectations import Expectations
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.anomalies import (
    AnomalyDay,
    AnomalyStatus,
    StateChange,
    StoredAnomaly,
    UsageKey,
    check_said,
)
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata.tokens import Principal

_STATE: Final = ("set_at", "state", "until_day", "up_to", "note", "author", "author_name", "from_day")


@dataclass(frozen=True, slots=True)
class AnomalyRefresh:
    """What days were judged by. Times are UTC. generation: the newest publication that was known."""

    made_at: datetime
    generation: int
    data_through: datetime | None
    published_at: datetime | None
    is_simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyFilter:
    """Which anomalies of a customer are asked for; what is None or empty is not looked at.

    Attributes:
        services: '' is the whole account.
        states: values of `AnomalyStatus`.
        kinds: names of `analytics.anomalies.Kind`.
        start: only those with a day from this UTC day on.
        end: only those with a day before this UTC day.
        least: only those that cost at least so much too much, or too little.
        is_folded: whether those that another one tells are among them.
        as_of: as they were at this instant (inclusive).
        after: last day and id of the one that they come after.
        most: most rows.
    """

    anomaly_id: str | None = None
    providers: Sequence[str] = ()
    accounts: Sequence[str] = ()
    services: Sequence[str] = ()
    currency: str | None = None
    states: Sequence[str] = ()
    kinds: Sequence[str] = ()
    start: date | None = None
    end: date | None = None
    least: Decimal | None = None
    is_folded: bool = False
    is_gone: bool = False
    as_of: datetime | None = None
    after: tuple[str, str] | None = None
    most: int | None = None

    def values(self, customer_id: str) -> Row:
        """Return the parameters of a statement."""
        found: Row = {name: getattr(self, name) for name in AnomalyFilter.__slots__}
        found |= {name: list(found[name]) for name in ("providers", "accounts", "services", "states", "kinds")}
        after_day, after_id = self.after or (None, None)
        return {**found, "after_day": after_day, "after_id": after_id, "customer_id": customer_id}


class AnomalyRepository(Repository):
    """Stores and finds anomalies."""

    def due(self) -> dict[str, int]:
        """Return the customers with something published since their days were judged, and the newest generation of each."""
        return {row["customer_id"]: row["newest"] for row in self._database.rows("customers_to_judge.sql")}

    def keep(
        self,
        customer_id: str,
        refresh: AnomalyRefresh,
        bodies: Mapping[date, bytes],
        changed: Sequence[StoredAnomaly],
        retention_days: int,
    ) -> None:
        """Store what was expected of days and the anomalies that are new or another, all or nothing; remove what is older than
        `retention_days`."""
        oldest = refresh.made_at - timedelta(days=retention_days)
        values = {name: getattr(refresh, name) for name in AnomalyRefresh.__slots__}
        values |= {"customer_id": customer_id, "oldest": oldest}
        with self._database.transaction():
            self._database.rows("keep_anomaly_refresh.sql", values)
            self._database.many(
                "keep_expectations.sql",
                [
                    {"customer_id": customer_id, "charge_date": day, "judged_at": refresh.made_at, "body": body}
                    for day, body in bodies.items()
                ],
            )
            self._database.many("keep_anomaly.sql", [_version(customer_id, one) for one in changed])
            for statement in ("forget_expectations.sql", "forget_anomalies.sql", "forget_anomaly_refreshes.sql"):
                self._database.rows(statement, values)

    def refreshed(self, as_of: datetime | None, *, customer_id: str) -> AnomalyRefresh | None:
        """Return what days were judged by last, by an instant; None: never."""
        row = self._database.row("anomaly_refreshed.sql", {"customer_id": customer_id, "as_of": as_of})
        return AnomalyRefresh(**row) if row else None

    def expectations(
        self, start: date, end: date, as_of: datetime | None = None, *, customer_id: str
    ) -> dict[date, Expectations]:
        """Return what was expected of the UTC days of [start, end), as it was at an instant (inclusive)."""
        values = {"customer_id": customer_id, "start": start, "end": end, "as_of": as_of}
        rows = self._database.rows("expectations.sql", values)
        return {row["charge_date"]: Expectations.from_bytes(bytes(row["body"])) for row in rows}

    def all(self, *, customer_id: str) -> list[StoredAnomaly]:
        """Return all anomalies as they are, those that are folded or gone too."""
        return self.find(AnomalyFilter(is_folded=True, is_gone=True), customer_id=customer_id)

    def find(self, asked: AnomalyFilter, *, customer_id: str) -> list[StoredAnomaly]:
        """Return anomalies, the latest first."""
        return [_anomaly(row) for row in self._database.rows("anomalies.sql", asked.values(customer_id))]

    def history(self, anomaly_id: str, as_of: datetime | None = None, *, customer_id: str) -> list[StateChange]:
        """Return what people said of an anomaly by an instant (inclusive), oldest first."""
        return self.histories([anomaly_id], as_of, customer_id=customer_id)

    def histories(
        self, anomaly_ids: Sequence[str], as_of: datetime | None = None, *, customer_id: str
    ) -> list[StateChange]:
        """Return what people said of anomalies by an instant (inclusive), oldest first."""
        values = {"customer_id": customer_id, "anomaly_ids": list(anomaly_ids), "as_of": as_of}
        return [_state(row["anomaly_id"], row) for row in self._database.rows("anomaly_states.sql", values)]

    def say(
        self,
        anomaly_id: str,
        state: AnomalyStatus,
        *,
        until_day: date | None = None,
        up_to: Decimal | None = None,
        note: str = "",
        customer_id: str,
        principal: Principal,
        now: datetime,
    ) -> StoredAnomaly:
        """Store what a person says of an anomaly, and return the anomaly with it. It teaches the days after those that the anomaly has.

        Raises:
            RecordNotFound: the customer has no such anomaly.
            ValueError: something of what is said is not accepted.
        """
        check_said(state, until_day, up_to, note)
        found = self.find(AnomalyFilter(anomaly_id=anomaly_id, is_folded=True), customer_id=customer_id)
        if not found:
            raise RecordNotFound(f"anomaly: {anomaly_id!r} does not exist")
        before = found[0].state
        change = StateChange(
            anomaly_id=anomaly_id,
            set_at=now if before is None else max(now, before.set_at + timedelta(microseconds=1)),
            state=state,
            until_day=until_day,
            up_to=up_to,
            note=note,
            author=principal.token_id,
            author_name=principal.name,
            from_day=found[0].last_day + timedelta(days=1),
        )
        values: dict[str, Any] = {name: getattr(change, name) for name in ("anomaly_id", *_STATE)}
        self._database.rows("set_anomaly_state.sql", {**values, "state": state.value, "customer_id": customer_id})
        return replace(found[0], state=change)


def _version(customer_id: str, one: StoredAnomaly) -> Row:
    return {
        "customer_id": customer_id,
        "anomaly_id": one.anomaly_id,
        "made_at": one.made_at,
        "found_at": one.found_at,
        "provider": one.series.provider,
        "account_id": one.series.account,
        "service_name": one.series.service,
        "currency": one.series.currency,
        "kind": one.kind,
        "first_day": one.first_day,
        "last_day": one.last_day,
        "cost": one.cost,
        "expected": one.expected,
        "excess": one.excess,
        "projected": one.projected,
        "score": one.score,
        "folded_into": one.folded_into,
        "is_gone": one.is_gone,
        "is_simulated": one.is_simulated,
        "days": Jsonb(
            [[str(day), plain(amounts.cost), plain(amounts.expected)] for day, amounts in sorted(one.days.items())]
        ),
        "causes": Jsonb(dict(one.causes)),
    }


def _anomaly(row: Row) -> StoredAnomaly:
    return StoredAnomaly(
        **{
            name: row[name]
            for name in ("anomaly_id", "made_at", "found_at", "kind", "projected", "score", "folded_into")
        },
        series=UsageKey(row["provider"], row["account_id"], row["service_name"], row["currency"]),
        days={
            date.fromisoformat(day): AnomalyDay(Decimal(cost), Decimal(expected)) for day, cost, expected in row["days"]
        },
        causes=row["causes"],
        is_gone=row["is_gone"],
        is_simulated=row["is_simulated"],
        state=None if row["set_at"] is None else _state(row["anomaly_id"], row),
    )


def _state(anomaly_id: str, row: Row) -> StateChange:
    values = {name: row[name] for name in _STATE}
    return StateChange(anomaly_id=anomaly_id, **{**values, "state": AnomalyStatus(row["state"])})
