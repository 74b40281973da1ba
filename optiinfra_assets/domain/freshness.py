"""How fresh the data of a customer's accounts are, beyond their publications: which are disabled, complete to when, still due.

And how long ago a time was that a clock may have recorded which was ahead: once it is right again, nothing may wait for that time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod

SKEW: Final = timedelta(minutes=30)
"""A time that is later by more than this was recorded by a clock that was ahead. A tick that comes late has an instant that is older
than what was recorded since, by a quarter of an hour and the time it was late."""

UNCHECKED: Final = timedelta(hours=1)
"""An account is stale after this time without an answer from the source: four ticks."""
UNCOLLECTED: Final = timedelta(hours=2)
"""An account is stale if a change seen this long ago was not collected: neither the queue nor three retries take that long."""


def is_ahead(recorded: datetime, now: datetime) -> bool:
    """Whether a clock that was ahead of `now` recorded a time; both are UTC."""
    return recorded > now + SKEW


def elapsed(since: datetime, now: datetime) -> timedelta:
    """Return how long ago `since` was; what a clock recorded that was ahead was longer ago than anything."""
    return timedelta.max if is_ahead(since, now) else now - since


@dataclass(frozen=True, slots=True)
class DuePeriods:
    """Billing periods of an active account whose source has changes that were not collected yet.

    Attributes:
        periods: due period -> UTC instant at which a probe saw the change; None: the account was never probed, so any period may be due.
    """

    provider: str
    account_id: str
    periods: Mapping[BillingPeriod, datetime] | None

    def is_in(self, start: date | None, end: date | None, as_of: datetime | None = None) -> bool:
        """Whether charges on UTC days of [start, end) may still be missing, as known at `as_of`; None: no bound, or now."""
        if self.periods is None:
            return True
        return any(
            (start is None or period.end.date() > start)
            and (end is None or period.start.date() < end)
            and (as_of is None or since <= as_of)
            for period, since in self.periods.items()
        )


@dataclass(frozen=True, slots=True)
class Freshness:
    """The freshness of one customer's accounts.

    Attributes:
        disabled: ids of accounts that are not collected any more.
        reached: account id -> UTC instant (exclusive) up to which its collections were complete, whether or not they published
            something. An account that is missing here is complete up to its publications.
        due: accounts that have uncollected changes, or were never probed.
    """

    disabled: frozenset[str] = frozenset()
    reached: Mapping[str, datetime] = field(default_factory=dict)
    due: tuple[DuePeriods, ...] = ()

    @classmethod
    def of(cls, rows: Collection[Mapping[str, Any]]) -> Freshness:
        """Build it from the rows of ``standing.sql``."""
        return cls(
            disabled=frozenset(row["account_id"] for row in rows if row["is_disabled"]),
            reached={row["account_id"]: row["reached"].astimezone(UTC) for row in rows if row["reached"] is not None},
            due=tuple(_due(row) for row in rows if row["due"] or row["is_unknown"]),
        )

    def is_complete(
        self,
        start: date | None,
        end: date | None,
        *,
        providers: Collection[str] = (),
        accounts: Collection[str] = (),
        as_of: datetime | None = None,
    ) -> bool:
        """Whether no account has known uncollected changes to charges on UTC days of [start, end).

        Args:
            start: first day (inclusive), None: no bound.
            end: day after the last (exclusive), None: no bound.
            providers: only these, all if empty.
            accounts: only these account ids, all if empty.
            as_of: ignore changes that were seen after this instant; None: ignore none.
        """
        return not any(
            one.is_in(start, end, as_of)
            for one in self.due
            if (not providers or one.provider in providers) and (not accounts or one.account_id in accounts)
        )


NOTHING = Freshness()
"""No freshness is known beyond the publications."""


def _due(row: Mapping[str, Any]) -> DuePeriods:
    seen = zip(row["due"], row["due_since"], strict=True)
    periods = {BillingPeriod.parse(period): since.astimezone(UTC) for period, since in seen}
    return DuePeriods(row["provider"], row["account_id"], None if row["is_unknown"] else periods)
