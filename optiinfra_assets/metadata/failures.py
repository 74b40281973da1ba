"""The failures that stand, by account and slice: the next success of the same clears them."""

from __future__ import annotations

from datetime import datetime

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.failures import Failure, Fault, RetryPause
from optiinfra_assets.metadata.slices import key


class FailureRepository(Repository):
    """Reads and writes failures."""

    def record(
        self, slice_: Slice, error: str, fault: Fault, at: datetime, pause: RetryPause, until: datetime | None = None
    ) -> None:
        """Store that the collection of a slice failed at the UTC instant `at`. A slice that was never seen has no row and stores nothing.

        Args:
            slice_: what could not be collected.
            error: why, in one line without secrets.
            fault: whose fault it is.
            at: the UTC instant.
            pause: how long the schedule waits, unless a probe sees another token.
            until: UTC instant before which a retry is useless, None if there is none.
        """
        values = {
            **key(slice_),
            "error": error,
            "fault": fault.value,
            "at": at,
            "until": until,
            "first_pause": pause.first,
            "pause": pause.base,
            "longest_pause": pause.longest,
        }
        self._database.rows("record_failure.sql", values)

    def retry_now(self, account_id: str) -> None:
        """Let the next tick try the failed slices of an account, because a person changed something about it."""
        self._database.rows("retry_failures.sql", {"account_id": account_id})

    def find(
        self,
        *,
        customer_id: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
    ) -> list[Failure]:
        """Return the failures of active accounts, by account id, each with the newest periods first; they match every given filter."""
        filters = {"customer_id": customer_id, "provider": provider, "account_id": account_id}
        rows = self._database.rows("failures.sql", filters)
        for row in rows:
            period = row.pop("billing_period")
            row["billing_period"] = BillingPeriod.parse(period) if period else None
            row["fault"] = Fault(row["fault"])
        return [Failure(**row) for row in rows]
