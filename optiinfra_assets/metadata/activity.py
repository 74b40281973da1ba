"""A summary of each account's activity, and the requests made to its provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from optiinfra_assets.database.postgres import Repository


@dataclass(frozen=True, slots=True)
class AccountActivity:
    """The activity of one account. Times are UTC, None before the first.

    Attributes:
        status: ``active`` or ``disabled``.
        last_probe_at: when the last successful probe was made.
        last_change_at: when a probe last found a change.
        last_error: why the last probe failed, or else the newest failing billing period, in one line; None if nothing fails.
        probe_not_before: the provider throttles probes until then.
        last_published_at: when the newest generation of any of its periods was published.
        last_checked_at: when a collection last succeeded, also if it found nothing new.
        known_periods: number of billing periods that its source has shown.
        due_periods: number of those that wait to be collected.
        requests: number of requests made to the provider so far, for probes and collections.
        request_cost: what the provider charges for them, in USD.
    """

    account_id: str
    provider: str
    status: str
    is_simulated: bool
    created_at: datetime
    last_probe_at: datetime | None
    last_change_at: datetime | None
    last_error: str | None
    probe_not_before: datetime | None
    last_published_at: datetime | None
    last_checked_at: datetime | None
    known_periods: int
    due_periods: int
    requests: int
    request_cost: Decimal


class ActivityRepository(Repository):
    """Records requests to providers and summarizes accounts."""

    def record_requests(
        self, purpose: Literal["probe", "collect"], made: Mapping[str, tuple[int, Decimal]], at: datetime
    ) -> None:
        """Add the requests in `made` (account id -> number and cost in USD) to the counts of the UTC day of `at`."""
        values = {
            "purpose": purpose,
            "accounts": list(made),
            "requests": [requests for requests, _ in made.values()],
            "costs": [cost for _, cost in made.values()],
            "at": at,
        }
        self._database.rows("record_requests.sql", values)

    def find(
        self,
        customer_id: str,
        *,
        first: int = 50,
        after: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
    ) -> list[AccountActivity]:
        """Return at most `first` accounts of a customer, also disabled ones, ordered by id above `after`; they match every given filter."""
        values = {
            "customer_id": customer_id,
            "first": first,
            "after": after,
            "provider": provider,
            "account_id": account_id,
        }
        return [AccountActivity(**row) for row in self._database.rows("account_activity.sql", values)]
