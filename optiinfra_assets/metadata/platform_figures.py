"""Figures on the whole platform, over all customers, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from optiinfra_assets.database.postgres import Repository


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """Active accounts at one provider; `failing`: their last probe failed. `oldest_probe` is UTC."""

    provider: str
    accounts: int
    failing: int
    oldest_probe: datetime


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Slices of active accounts at one provider. Times are UTC, None if there is no such slice.

    Attributes:
        last_success: when the newest collection went well.
        due: slices whose source shows what was not collected.
        due_since: since when the first of them does.
    """

    provider: str
    last_success: datetime | None
    due: int
    due_since: datetime | None


@dataclass(frozen=True, slots=True)
class CollectionStatistics:
    """All collections of one provider and status; `request_cost` is in USD."""

    provider: str
    status: str
    collections: int
    requests: int
    request_cost: Decimal


@dataclass(frozen=True, slots=True)
class PlatformStatistics:
    """All of them; `generations` by state."""

    accounts: list[AccountStatistics]
    slices: list[SliceStatistics]
    collections: list[CollectionStatistics]
    generations: dict[str, int]


class StatisticsRepository(Repository):
    """The part of `Metadata` that counts."""

    def read(self) -> PlatformStatistics:
        """Counted now; reads whole tables.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        return PlatformStatistics(
            accounts=[AccountStatistics(**row) for row in self._database.rows("figures_accounts.sql")],
            slices=[SliceStatistics(**row) for row in self._database.rows("figures_slices.sql")],
            collections=[CollectionStatistics(**row) for row in self._database.rows("figures_collections.sql")],
            generations={row["state"]: row["generations"] for row in self._database.rows("figures_generations.sql")},
        )
