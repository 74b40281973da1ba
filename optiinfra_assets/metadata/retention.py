"""Removes what nobody needs any more: old collections, attempts, requests by day, snapshots, messages of alerts, and audit records
past their term."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from optiinfra_assets.database.postgres import Repository

BATCH: Final = 10_000
"""Most rows that one statement removes: it holds their locks, and a reader waits for none of them."""


@dataclass(frozen=True, slots=True)
class ForgottenRecords:
    """How many records were removed: rows of the collection history, attempts, days of requests, snapshots, audit records,
    messages and occasions of alerts."""

    collections: int
    generations: int
    request_days: int
    snapshots: int
    audit_records: int
    alerts: int


class RetentionRepository(Repository):
    """Removes records by age. Whatever adds up (collections, requests and their cost) still adds up afterwards."""

    def forget(self, history: datetime, snapshots: datetime, audit: datetime) -> ForgottenRecords:
        """Remove records from before UTC instants.

        Args:
            history: collections that ended, attempts that began, requests that were made and alerts that were told before.
            snapshots: those taken before on which no charge depends.
            audit: audit records from before; it must be more than a year ago.

        Raises:
            psycopg.errors.RestrictViolation: `audit` is less than a year ago, and there are records from before.
        """
        return ForgottenRecords(
            collections=self._batches("forget_collections.sql", history),
            generations=self._batches("forget_generations.sql", history),
            request_days=self._forgotten("forget_requests.sql", history),
            snapshots=self._forgotten("forget_snapshots.sql", snapshots),
            audit_records=self._audit(audit),
            alerts=self._batches("forget_alert_deliveries.sql", history)
            + self._batches("forget_alert_occasions.sql", history),
        )

    def _audit(self, before: datetime) -> int:
        with self._database.transaction():
            self._database.rows("allow_audit_retention.sql", {"before": before})
            return sum(
                self._forgotten(statement, before)
                for statement in ("forget_credential_audit.sql", "forget_access_audit.sql")
            )

    def _batches(self, statement: str, before: datetime) -> int:
        gone = 0
        while found := self._forgotten(statement, before):
            gone += found
        return gone

    def _forgotten(self, statement: str, before: datetime) -> int:
        return len(self._database.rows(statement, {"before": before, "most": BATCH}))
