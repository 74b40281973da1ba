"""Forecasts as they were made, and what people expect of months instead.

A forecast is one row with all series of a customer: it is written in one transaction, read whole, and removed by age. PostgreSQL does that
at the cost of a row; ClickHouse removes rows by rewriting the parts that hold them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.vault.credential_audit import Actor, by

MOST_OVERRIDES: Final = 500
"""Overrides that can stand for a customer at one time."""


@dataclass(frozen=True, slots=True)
class MadeForecast:
    """What a forecast was made of. Times are UTC.

    Attributes:
        generation: the newest publication that it knows.
        is_by_sub_account: its series are told apart by sub account.
    """

    made_at: datetime
    generation: int
    data_through: datetime | None
    published_at: datetime | None
    is_simulated: bool
    is_by_sub_account: bool


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """What a person expects of a month: an amount in a currency, or a factor for what is forecast.

    Attributes:
        chosen: accepted values by dimension of the series it is about; empty: all.
        month: its first day.
    """

    override_id: str
    customer_id: str
    chosen: Mapping[str, Sequence[str]]
    month: date
    currency: str | None
    amount: Decimal | None
    factor: Decimal | None
    note: str
    author: str
    author_name: str
    made_at: datetime


class ForecastRepository(Repository):
    """Stores and finds forecasts and overrides."""

    def due(self) -> dict[str, int]:
        """Return the customers with something published that their newest forecast does not know, and the newest generation of each."""
        return {row["customer_id"]: row["newest"] for row in self._database.rows("customers_to_forecast.sql")}

    def keep(self, customer_id: str, made: MadeForecast, body: bytes, retention_days: int) -> None:
        """Store a forecast as the one of its UTC day, and remove those that are older than `retention_days`."""
        values = {name: getattr(made, name) for name in MadeForecast.__slots__}
        values |= {"customer_id": customer_id, "body": body}
        values["day"] = made.made_at.replace(hour=0, minute=0, second=0, microsecond=0)
        values["oldest"] = made.made_at - timedelta(days=retention_days)
        with self._database.transaction():
            self._database.rows("forget_forecasts.sql", values)
            self._database.rows("keep_forecast.sql", values)

    def newest(self, as_of: datetime, *, customer_id: str) -> MadeForecast | None:
        """Return what the newest forecast by an instant was made of, None if there is none."""
        row = self._database.row("forecast_made.sql", {"customer_id": customer_id, "as_of": as_of})
        return MadeForecast(**row) if row else None

    def body(self, made_at: datetime, *, customer_id: str) -> bytes | None:
        """Return the series of a forecast; None: another has taken its place."""
        row = self._database.row("forecast_body.sql", {"customer_id": customer_id, "made_at": made_at})
        return bytes(row["body"]) if row else None

    def overrides(self, as_of: datetime, *, customer_id: str) -> list[StoredOverride]:
        """Return what people expected of months at an instant, by month."""
        rows = self._database.rows("forecast_overrides.sql", {"customer_id": customer_id, "as_of": as_of})
        return [StoredOverride(**row) for row in rows]

    def override(
        self,
        wanted: Mapping[str, Any],
        *,
        customer_id: str,
        principal: Principal,
        now: datetime,
        origin: str | None = None,
    ) -> StoredOverride:
        """Store what a person expects of a month, in the place of what was expected of the same series and month.

        Args:
            wanted: chosen, month, currency, amount, factor and note, as `StoredOverride` has them.
            origin: the address of the request; None: this process.

        Raises:
            ValueError: too many stand already.
        """
        if len(self.overrides(now, customer_id=customer_id)) >= MOST_OVERRIDES:
            raise ValueError(f"month: {MOST_OVERRIDES} overrides stand already: remove one first")
        found = StoredOverride(
            secrets.token_hex(6),
            customer_id,
            **wanted,
            author=principal.token_id,
            author_name=principal.name,
            made_at=now,
        )
        values: dict[str, Any] = {name: getattr(found, name) for name in StoredOverride.__slots__}
        values["chosen"] = Jsonb({name: list(of) for name, of in sorted(found.chosen.items())})
        values["detail"] = (
            f"times {found.factor}" if found.amount is None else f"{plain(found.amount)} {found.currency}"
        )
        self._database.rows("add_override.sql", values | by(Actor.of(principal.token_id, origin)))
        return found

    def end_override(
        self, override_id: str, *, customer_id: str, principal: Principal, now: datetime, origin: str | None = None
    ) -> StoredOverride:
        """End an override, and return what it was; `origin` as in `override`.

        Raises:
            RecordNotFound: none with that id stands for the customer.
        """
        values = {"customer_id": customer_id, "override_id": override_id, "ended_at": now}
        row = self._database.row("end_override.sql", values | by(Actor.of(principal.token_id, origin)))
        if row is None:
            raise RecordNotFound(f"override: {override_id!r} does not exist")
        return StoredOverride(**row)
