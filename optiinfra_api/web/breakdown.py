"""A breakdown of costs by group: rows of a table and the chart that agrees with it, from the series that GraphQL answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from optiinfra_api.exploring.state import DIMENSIONS
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum, plain

COLOURS: Final = 12
"""Groups that have a colour of their own; the others are one, "other"."""

LABELS: Final = {
    "SERVICE": "Service",
    "ACCOUNT": "Account",
    "REGION": "Region",
    "PROVIDER": "Provider",
    "SUB_ACCOUNT": "Sub account",
    "CHARGE_CATEGORY": "Charge category",
    "PRICING_CATEGORY": "Pricing category",
    "SERVICE_PROVIDER": "Service provider",
    "SERVICE_CATEGORY": "Service category",
    "INVOICE": "Invoice",
    "BILLING_PERIOD": "Billing period",
    "SKU": "SKU",
    "COMMITMENT": "Commitment",
    "TAG": "Tag",
}

Key = tuple[str | None, ...]
"""The values of a group, one for each dimension; None: charges without one."""


@dataclass(slots=True)
class Row:
    """One group in one currency.

    Attributes:
        amounts: exact amounts by the first day of their day, week or month.
        before: in the period that it is compared with.
        colour: 1 to `COLOURS`, 0: that of "other".
        groups: how many groups it is.
        price: what the change of the unit price makes of the change; None: not known, or not asked.
        usage: what the change of the quantity makes of it.
        link: where it is looked at more closely; None: nowhere.
    """

    key: Key
    label: str
    total: Decimal = Decimal(0)
    before: Decimal = Decimal(0)
    amounts: dict[date, Decimal] = field(default_factory=dict)
    colour: int = 0
    link: str | None = None
    groups: int = 1
    price: Decimal | None = None
    usage: Decimal | None = None

    @property
    def change(self) -> Decimal:
        """What it costs more than before."""
        return exact_difference(self.total, self.before)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, what they leave out (None: nothing), and all of it."""

    rows: list[Row]
    others: Row | None
    total: Row


def rows(
    series: Iterable[Mapping[str, Any]],
    fields: Sequence[str],
    currency: str,
    link: Callable[[Key], str | None] = lambda _: None,
) -> list[Row]:
    """The groups in one currency, the most expensive first.

    Args:
        series: of `costTrends`, with `fields`, `currency`, `cost`, and for charts `dates` and `amounts`.
        fields: fields of a series that tell groups apart.
    """
    found: dict[Key, Row] = {}
    for one in series:
        if one["currency"] == currency:
            row = _row(found, one, fields)
            row.total = exact_sum((row.total, Decimal(one["cost"]["amount"])))
            days = map(date.fromisoformat, one.get("dates", ()))
            row.amounts = dict(zip(days, map(Decimal, one.get("amounts", ())), strict=True))
    ranked = sorted(found.values(), key=lambda row: (row.total.copy_negate(), row.label))
    for rank, row in enumerate(ranked, 1):
        row.colour = rank if rank <= COLOURS else 0
        row.link = link(row.key)
    return ranked


def table(ranked: Sequence[Row], most: int) -> Table:
    """The first `most` rows."""
    others = replace(summed(ranked[most:]), groups=len(ranked) - most) if len(ranked) > most else None
    return Table(list(ranked[:most]), others, summed(ranked))


def compared(
    moved: Iterable[Mapping[str, Any]],
    ranked: Iterable[Row],
    fields: Sequence[str],
    currency: str,
    link: Callable[[Key], str | None] = lambda _: None,
) -> Table:
    """The groups in one currency, the largest movement first.

    Args:
        moved: groups of `compareCosts`, with `fields`, `currency`, `isOther`, `groups`, `before`, `after`, and maybe the effects.
        ranked: rows of the same groups, whose colours they get.
    """
    colours = {row.key: row.colour for row in ranked}
    shown, others = [], None
    for one in moved:
        if one["currency"] == currency:
            key = tuple(one[name] for name in fields)
            after, before = (Decimal(one[name]["amount"]) for name in ("after", "before"))
            row = Row(key, label_of(key, fields), after, before)
            row.price, row.usage = (_amount(one.get(name)) for name in ("priceEffect", "usageEffect"))
            if one["isOther"]:
                others = replace(row, groups=one["groups"])
            else:
                row.colour, row.link = colours.get(key, 0), link(key)
                shown.append(row)
    return Table(shown, others, summed([*shown, *([others] if others else [])]))


def _amount(money: Mapping[str, str] | None) -> Decimal | None:
    return Decimal(money["amount"]) if money else None


def _row(found: dict[Key, Row], one: Mapping[str, Any], fields: Sequence[str]) -> Row:
    key = tuple(one[name] for name in fields)
    return found.setdefault(key, Row(key, label_of(key, fields)))


def label_of(key: Key, fields: Sequence[str]) -> str:
    """What people read for a group."""
    parts = [_named(value, name) for value, name in zip(key, fields, strict=True)]
    return " \N{MIDDLE DOT} ".join(parts) or "All costs"


def _named(value: str | None, name: str) -> str:
    if value == "" and name == "tag":
        return "(empty tag)"
    return value or f"(no {_UNNAMED.get(name, name)})"


_UNNAMED: Final = {
    name: LABELS[dimension] if LABELS[dimension].isupper() else LABELS[dimension].lower()
    for dimension, name in DIMENSIONS.items()
}


def summed(ranked: Iterable[Row]) -> Row:
    """All groups as one."""
    found = list(ranked)
    whole = Row((), "All", exact_sum(row.total for row in found), exact_sum(row.before for row in found))
    prices = [row.price for row in found if row.price is not None]
    usages = [row.usage for row in found if row.usage is not None]
    if found and len(prices) == len(usages) == len(found):
        whole.price, whole.usage = exact_sum(prices), exact_sum(usages)
    return whole


def chart(ranked: Sequence[Row], days: Sequence[date], currency: str) -> dict[str, Any]:
    """What the chart of the rows draws: a column of exact amounts for each group, and one for all the others."""
    own = [row for row in ranked if row.colour and row.amounts]
    others = [row for row in ranked if not row.colour and row.amounts]
    drawn = [{"name": row.label, "colour": row.colour, "link": row.link, "amounts": _column(row, days)} for row in own]
    if others:
        sums = [plain(exact_sum(row.amounts.get(day, Decimal(0)) for row in others)) for day in days]
        drawn.append({"name": f"{len(others)} others", "colour": 0, "link": None, "amounts": sums})
    return {"currency": currency, "dates": [day.isoformat() for day in days], "series": drawn}


def _column(row: Row, days: Sequence[date]) -> list[str]:
    return [plain(row.amounts.get(day, Decimal(0))) for day in days]


def series_of(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The series of a field of `costTrends`; none if it failed."""
    series: list[dict[str, Any]] = (found.get(name) or {}).get("series", [])
    return series


def groups_of(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The groups of a field of `compareCosts`; none if it failed, or was not asked."""
    groups: list[dict[str, Any]] = (found.get(name) or {}).get("groups", [])
    return groups


def chosen_currency(asked: str, offered: Sequence[str]) -> str:
    """The currency that is asked for if the data have it, else that with the most line items; '' without any."""
    return asked if asked in offered else next(iter(offered), "")


def currencies(*answers: Iterable[Mapping[str, Any]]) -> list[str]:
    """The currencies of series or totals, that with the most line items first."""
    counts: dict[str, int] = {}
    for one in (one for answer in answers for one in answer):
        currency = one.get("currency") or one["cost"]["currency"]
        counts[currency] = counts.get(currency, 0) + int(one["lineItems"])
    return sorted(counts, key=lambda currency: (-counts[currency], currency))
