"""Arranges what a series of usage cost and used, before and during an anomaly, by the places that its causes are looked for in.

Data in: rows of ``usage_by_sku`` and ``usage_by_value``. Data out: places, to `explanation.explain`. A resource or a value of a tag has
far more values than services and SKUs have, so only those that moved most are read, and what they leave is one value more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.analytics.charge_parts import CostPart, part_of
from optiinfra_assets.analytics.explanation import UNLISTED, AnomalyCause, Place, Used, explain
from optiinfra_assets.domain.anomalies import StoredAnomaly, UsageKey
from optiinfra_assets.domain.exact_amounts import EXACT, exact_difference, exact_sum

BEFORE_DAYS: Final = 28
"""So many days before an anomaly tell what it was before."""
DIMENSIONS: Final = ("service", "sub account", "region", "SKU")
"""What usage is told apart by, from the widest to the narrowest; resources and tags are narrower."""
RESOURCE: Final = "resource"
TAG: Final = "tag"
_LISTED: Final = 100
_PLACE: Final = ("service_name", "sub_account_id", "region_id", "sku_id")
_COLUMNS: Final = (
    *(*_PLACE, "pricing_unit", "cost_before", "cost_now"),
    *("quantity_before", "quantity_now", "was_before", "is_now"),
)
"""Of ``usage_by_sku``, in the order that a place of ``usage_by_value`` has them in."""


@dataclass(frozen=True)
class UsageQuery:
    """Which usage explains the days of an anomaly."""

    series: UsageKey
    days: Sequence[date]
    expected: Decimal
    """What was expected of the days."""

    @classmethod
    def of(cls, one: StoredAnomaly) -> UsageQuery:
        """Return what explains an anomaly."""
        return cls(one.series, sorted(one.days), one.expected)

    @property
    def start(self) -> date:
        """The first day that is looked at."""
        return min(self.days) - timedelta(days=BEFORE_DAYS)

    @property
    def end(self) -> date:
        """The first day that is not looked at any more."""
        return max(self.days) + timedelta(days=1)

    def values(self) -> dict[str, Any]:
        """Return what both statements bind."""
        return {
            **series_values(self.series, self.start, self.end),
            "before_end": min(self.days),
            "now": list(self.days),
        }


def series_values(series: UsageKey, start: date, end: date) -> dict[str, Any]:
    """Return what statements about a series on the UTC days of [start, end) bind."""
    return {
        "account_id": series.account,
        "service": series.service,
        "currency": series.currency,
        "start": start,
        "end": end,
    }


@dataclass(frozen=True)
class UsagePlaces:
    """What was used before and during an anomaly, by place."""

    before: dict[Place, Used] = field(default_factory=dict)
    now: dict[Place, Used] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> UsagePlaces:
        """Arrange rows of ``usage_by_sku``."""
        found = cls()
        for row in rows:
            found.add(row)
        return found

    def add(self, row: Mapping[str, Any], *narrower: str | None) -> None:
        """Add a row, in the place of its columns and of values that are narrower. Support is no usage."""
        if part_of("Usage", None, None, row["service_name"]) is not CostPart.USAGE:
            return
        place = (*(row[name] or None for name in _PLACE), *narrower)
        for used, has, name in ((self.before, "was_before", "before"), (self.now, "is_now", "now")):
            if row[has]:
                _add(used, place, row[f"cost_{name}"], row[f"quantity_{name}"], row["pricing_unit"])

    def values_of(self, dimension: str, expected: Decimal, tag_key: str = "") -> dict[str, Any]:
        """Return what ``usage_by_value`` binds to find the values that moved most, beside what `UsageQuery` says."""
        before = exact_sum(one.cost for one in self.before.values())
        return {
            "dimension": dimension,
            "tag_key": tag_key,
            "expected_share": float(expected / before) if before else 0.0,
            "limit": _LISTED,
        }

    def told_apart(self, rows: Iterable[Mapping[str, Any]]) -> UsagePlaces:
        """Return the same told apart by the values that rows of ``usage_by_value`` list; what they leave has the value `UNLISTED`."""
        listed = UsagePlaces()
        for row in rows:
            for one in row["places"]:
                listed.add(dict(zip(_COLUMNS, one, strict=True)), row["value"])
        _leave(listed.before, self.before)
        _leave(listed.now, self.now)
        return listed

    def explained(self, dimension: str, expected: Decimal) -> AnomalyCause:
        """Explain what was used beyond `expected`; `dimension` is what it was told apart by."""
        return explain((*DIMENSIONS, dimension), self.before, self.now, expected)


def _add(used: dict[Place, Used], place: Place, cost: str, quantity: str | None, unit: str) -> None:
    """Add what was used in one unit; of several units there is no quantity."""
    known = used.get(place)
    if known is None:
        used[place] = Used(Decimal(cost), Decimal(quantity) if quantity and unit else None, unit or None)
    else:
        used[place] = Used(EXACT.add(known.cost, Decimal(cost)))


def _leave(listed: dict[Place, Used], whole: Mapping[Place, Used]) -> None:
    """Add what the values that are listed leave of the whole."""
    left = dict(whole)
    for place, one in listed.items():
        rest = left[place[:-1]]
        quantity = None
        if rest.quantity is not None and one.quantity is not None:
            quantity = exact_difference(rest.quantity, one.quantity)
        left[place[:-1]] = Used(exact_difference(rest.cost, one.cost), quantity, rest.unit)
    listed |= {(*place, UNLISTED): one for place, one in left.items() if one.cost or one.quantity}
