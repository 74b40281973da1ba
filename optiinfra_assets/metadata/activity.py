"""What is known of each account at a glance, and what was asked of its provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from optiinfra_assets.database.postgres import Repository


@dataclass(frozen=True, slots=True)
class AccountActivity:
    """One account. Times are UTC, None before the first.

    Attributes:
        status: ``active`` or ``disabled``.
        last_probe_at: the last probe that got an answer.
        last_change_at: the last probe that found something changed.
        last_error: one line of the last probe, None if it went well.
        probe_not_before: the provider asked to be left alone until then.
        last_published_at: when the newest generation of any of its periods was published.
        last_checked_at: the last successful collection, also one that found nothing new.
        known_periods: billing periods its source has shown.
        due_periods: those of them that wait to be collected.
        requests: made to the provider so far, for probes and collections.
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
    """The part of `Metadata` on what accounts do."""

    def record_requests(
        self, purpose: Literal["probe", "collect"], made: Mapping[str, tuple[int, Decimal]], at: datetime
    ) -> None:
        """Add requests `made` by account id, with their price in USD, to those of the UTC day of `at`."""
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
        """At most `first` accounts of a customer, disabled ones too, by id above `after`; each filter that is given must match."""
        values = {
            "customer_id": customer_id,
            "first": first,
            "after": after,
            "provider": provider,
            "account_id": account_id,
        }
        return [AccountActivity(**row) for row in self._database.rows("account_activity.sql", values)]
