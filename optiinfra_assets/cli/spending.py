"""What was spent by group: series of GraphQL in -> rows with exact amounts, and lines of blocks that show how they went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

BLOCKS: Final = "▁▂▃▄▅▆▇█"
_MOST_DAYS: Final = 62
_MOST_WEEKS: Final = 400
_DAY: Final = timedelta(days=1)
FIRST_DAY: Final = date(1971, 1, 1)
LAST_DAY: Final = date(2099, 12, 31)
"""The days that GraphQL takes."""


@dataclass(frozen=True, slots=True)
class DayRange(DaySpan):
    """The UTC days that the command line shows."""

    @classmethod
    def of_month(cls, month: str, today: date) -> DayRange:
        """The days of ``this`` month up to `today`, of the ``last`` one, or of one as ``YYYY-MM``.

        Raises:
            ValueError: the month is none of these.
        """
        current = BillingPeriod.of(today)
        if month not in ("this", "last"):
            try:
                chosen = BillingPeriod.parse(month)
            except ValueError:
                chosen = None
            if chosen is None or not FIRST_DAY.year <= chosen.year <= LAST_DAY.year:
                said = f"use this, last or YYYY-MM from {FIRST_DAY:%Y-%m} to {LAST_DAY:%Y-%m}"
                raise ValueError(f"month: {month!r} is not accepted: {said}")
        else:
            chosen = current if month == "this" else current.shift(-1)
        return cls(chosen.start.date(), today + _DAY if chosen == current else chosen.end.date())

    @property
    def granularity(self) -> str:
        """What makes one block of a line."""
        return "DAILY" if self.count <= _MOST_DAYS else "WEEKLY" if self.count <= _MOST_WEEKS else "MONTHLY"

    def buckets(self) -> list[date]:
        """The first day of each block; the first may lie before `start`."""
        if self.granularity == "MONTHLY":
            month, found = BillingPeriod.of(self.start), []
            while month.start.date() < self.end:
                found.append(month.start.date())
                month = month.shift(1)
            return found
        step = 1 if self.granularity == "DAILY" else 7
        first = self.start if step == 1 else self.start - timedelta(days=self.start.weekday())
        return [first + timedelta(days=count) for count in range(0, (self.end - first).days, step)]

    def __str__(self) -> str:
        return f"{self.start}" if self.last == self.start else f"{self.start} to {self.last}"


@dataclass(slots=True)
class Spent:
    """One group in one currency; amounts are exact. `group` None: charges without one. `days`: amounts by first day. `others`: how many
    groups it is, if it is those that were left out."""

    group: str | None
    cost: Decimal = Decimal(0)
    before: Decimal = Decimal(0)
    days: dict[date, Decimal] = field(default_factory=dict)
    others: int = 0

    @property
    def label(self) -> str | None:
        """What people read for it; '' or None for what has no name."""
        return f"{self.others} others" if self.others else self.group

    @property
    def change(self) -> Decimal:
        """What it costs more than before."""
        return exact_difference(self.cost, self.before)

    def add(self, other: Spent) -> None:
        """Add another group to this one."""
        self.cost = exact_sum((self.cost, other.cost))
        self.before = exact_sum((self.before, other.before))
        for day, amount in other.days.items():
            self.days[day] = exact_sum((self.days.get(day, Decimal(0)), amount))


def by_currency(
    now: Iterable[Mapping[str, Any]], moved: Iterable[Mapping[str, Any]] | None, name: str
) -> dict[str, list[Spent]]:
    """The groups of each currency, the most expensive first; if they are compared, as they come, the largest movement first.

    Args:
        now: series of `costTrends` with the field `name`, `currency`, `cost`, `dates` and `amounts`.
        moved: groups of `compareCosts` with that field, `currency`, `isOther`, `groups`, `before` and `after`; None: nothing is compared.
    """
    found: dict[str, dict[str | None, Spent]] = {}
    for one in now:
        days = dict(zip(map(date.fromisoformat, one["dates"]), map(Decimal, one["amounts"]), strict=True))
        row = Spent(one[name], Decimal(one["cost"]["amount"]), days=days)
        found.setdefault(one["currency"], {}).setdefault(one[name], Spent(one[name])).add(row)
    if moved is None:
        return {
            currency: sorted(rows.values(), key=lambda row: (row.cost.copy_negate(), row.group or ""))
            for currency, rows in sorted(found.items())
        }
    compared: dict[str, dict[tuple[str | None, bool], Spent]] = {}
    for one in moved:
        known = found.get(one["currency"], {}).get(one[name])
        days = known.days if known and not one["isOther"] else {}
        rows = compared.setdefault(one["currency"], {})
        row = rows.setdefault((one[name], one["isOther"]), Spent(one[name], days=days))
        row.add(Spent(None, Decimal(one["after"]["amount"]), Decimal(one["before"]["amount"])))
        row.others += one["groups"] if one["isOther"] else 0
    return {
        currency: sorted(rows.values(), key=lambda row: (row.others > 0, row.change.copy_abs().copy_negate()))
        for currency, rows in compared.items()
    }


def summed(rows: Iterable[Spent], group: str) -> Spent:
    """All rows as one."""
    found = Spent(group)
    for one in rows:
        found.add(one)
    return found


def left_out(rows: Sequence[Spent]) -> Spent:
    """All rows as one of so many groups."""
    found = summed(rows, "")
    found.others = sum(one.others or 1 for one in rows)
    return found


def sparkline(row: Spent, buckets: Sequence[date]) -> str:
    """A block for each of `buckets`, as high as its amount beside the highest of the row; a space where nothing, or a credit, is."""
    highest = max(row.days.values(), default=Decimal(0))
    amounts = (row.days.get(day, Decimal(0)) for day in buckets)
    if highest <= 0:
        return ""
    levels = (int(amount / highest * len(BLOCKS)) if amount > 0 else None for amount in amounts)
    return "".join(" " if one is None else BLOCKS[min(one, len(BLOCKS) - 1)] for one in levels).rstrip()


def money(amount: Decimal) -> str:
    """An amount with two decimals: ``1,234.50``; of less than a cent, ``<0.01``."""
    text = f"{amount:,.2f}"
    return text if not amount or text not in ("0.00", "-0.00") else "<0.01" if amount > 0 else "-<0.01"


def percent(part: Decimal, whole: Decimal) -> str | None:
    """`part` of `whole` in percent, with one decimal; None where that says nothing."""
    return f"{part / whole * 100:.1f}" if whole > 0 else None
