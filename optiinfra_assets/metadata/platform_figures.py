"""Statistics of the whole platform, over all customers, for monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from optiinfra_assets.database.postgres import Repository


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """Number of active accounts at one provider, and of those whose last probe failed. `oldest_probe` is UTC."""

    provider: str
    accounts: int
    failing: int
    oldest_probe: datetime


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Slices of active accounts at one provider. Times are UTC, None if there is no such slice.

    Attributes:
        last_success: when a collection last succeeded.
        due: number of slices whose source has changes that were not collected.
        due_since: since when the first of them is due.
    """

    provider: str
    last_success: datetime | None
    due: int
    due_since: datetime | None


@dataclass(frozen=True, slots=True)
class CollectionStatistics:
    """Number of collections of one provider and status, and their requests; `request_cost` is in USD."""

    provider: str
    status: str
    collections: int
    requests: int
    request_cost: Decimal


@dataclass(frozen=True, slots=True)
class FailureStatistics:
    """Number of failing slices of active accounts at one provider, by whose fault it is; `since` is when the first failed first, in UTC."""

    provider: str
    fault: str
    slices: int
    since: datetime


@dataclass(frozen=True, slots=True)
class PlatformStatistics:
    """All statistics of the platform; `generations` and `alert_messages` are their numbers by state."""

    accounts: list[AccountStatistics]
    slices: list[SliceStatistics]
    failures: list[FailureStatistics]
    collections: list[CollectionStatistics]
    generations: dict[str, int]
    alert_messages: dict[str, int]


class StatisticsRepository(Repository):
    """Computes the statistics."""

    def read(self) -> PlatformStatistics:
        """Compute the statistics now; this reads whole tables.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        return PlatformStatistics(
            accounts=[AccountStatistics(**row) for row in self._database.rows("figures_accounts.sql")],
            slices=[SliceStatistics(**row) for row in self._database.rows("figures_slices.sql")],
            failures=[FailureStatistics(**row) for row in self._database.rows("figures_failures.sql")],
            collections=[CollectionStatistics(**row) for row in self._database.rows("figures_collections.sql")],
            generations={row["state"]: row["generations"] for row in self._database.rows("figures_generations.sql")},
            alert_messages={row["state"]: row["messages"] for row in self._database.rows("figures_alerts.sql")},
        )
