"""What is known of a customer's accounts beyond what they published: what is still to come, and what is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod


@dataclass(frozen=True, slots=True)
class DuePeriods:
    """Billing periods of an active account whose source shows what was not collected.

    Attributes:
        periods: each with the UTC instant since when that is known; None: the account was never probed, so it may be any.
    """

    provider: str
    account_id: str
    periods: Mapping[BillingPeriod, datetime] | None

    def is_in(self, start: date | None, end: date | None, as_of: datetime | None = None) -> bool:
        """Whether a charge on a day of [start, end) may be still to come, as was known at an instant; None is unbounded, or now."""
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
    """The accounts of one customer.

    Attributes:
        disabled: accounts of which nothing will come any more.
        reached: the UTC instant that an account's collections were complete to (exclusive), whether or not they published
            something; an account that is not in it reaches as far as what it published.
        due: accounts of which something is known to be still to come.
    """

    disabled: frozenset[str] = frozenset()
    reached: Mapping[str, datetime] = field(default_factory=dict)
    due: tuple[DuePeriods, ...] = ()

    @classmethod
    def of(cls, rows: Collection[Mapping[str, Any]]) -> Freshness:
        """From the rows of ``standing.sql``."""
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
        """Whether nothing is known to be still to come of the charges on UTC days of [start, end).

        Args:
            start: first day, None: no bound.
            end: first day after, None: no bound.
            providers: only these, all if empty.
            accounts: only these, all if empty.
            as_of: leave out what was seen after this instant, None: nothing.
        """
        return not any(
            one.is_in(start, end, as_of)
            for one in self.due
            if (not providers or one.provider in providers) and (not accounts or one.account_id in accounts)
        )


NOTHING = Freshness()
"""Nothing is known but what is published."""


def _due(row: Mapping[str, Any]) -> DuePeriods:
    seen = zip(row["due"], row["due_since"], strict=True)
    periods = {BillingPeriod.parse(period): since.astimezone(UTC) for period, since in seen}
    return DuePeriods(row["provider"], row["account_id"], None if row["is_unknown"] else periods)
