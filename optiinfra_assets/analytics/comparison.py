"""Compares what two periods cost, group by group: sums of both periods in -> movements out, whose parts add up to the difference exactly.

Price and usage effect follow the usual decomposition of a change of price x quantity: price effect = change of the unit price x old
quantity, usage effect = change of the quantity x new unit price. The unit price of a group is its cost by its quantity.

In another currency both are at one rate, the mean of the period before, as if rates had not moved: what all its charges in a currency are
in the other one, by what they are. What is left of the converted difference is the effect of exchange rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from optiinfra_assets.analytics.effects import price_and_usage, rounded_ratio
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

Values = tuple[object, ...]
"""The values of a group, one for each dimension."""


class EffectGap(StrEnum):
    """Why a movement has no price and usage effect."""

    QUANTITY_MISSING = "quantity_missing"
    UNIT_MISSING = "unit_missing"
    UNITS_DIFFER = "units_differ"


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much of a group was used in one period.

    Attributes:
        amount: the sum over all line items, which means something only if they have the same unit.
        units: the different units of line items that have a quantity; two are enough to say that they differ.
        without_quantity: line items that have no quantity.
        without_unit: line items that have a quantity, and no unit.
    """

    amount: Decimal
    units: frozenset[str]
    without_quantity: int
    without_unit: int


@dataclass(frozen=True, slots=True)
class GroupCost:
    """What a group cost in one period. `quantity` None: it was not read; `converted`: the cost in another currency, None: not known."""

    cost: Decimal
    line_items: int
    unpriced: int = 0
    quantity: Quantity | None = None
    converted: Decimal | None = None


NOTHING: Final = GroupCost(Decimal(0), 0, converted=Decimal(0))
"""A group without line items."""

_LAST_CONVERTED_DIGIT: Final = Decimal(1).scaleb(-54)
"""Of money of 18 digits at a rate of 36: at one rate for all charges nothing is rounded, and exchange rates have no effect."""


@dataclass(frozen=True, slots=True)
class Movement:
    """How what a group, or several, cost changed in one currency.

    Attributes:
        values: those of the group; None: of several groups.
        groups: how many groups it is.
        share: of the difference of all groups of the currency, rounded to 18 digits; None if that is zero.
        price_effect: None: not known; `usage_effect` too then, and `gap` says why, unless no quantity was read.
        at_mean_rate: the difference in another currency at the mean rate of the period before, None: not known; `price_at_mean_rate`: the
            price effect.
    """

    currency: str
    values: Values | None
    groups: int
    before: GroupCost
    after: GroupCost
    share: Decimal | None
    price_effect: Decimal | None
    usage_effect: Decimal | None
    gap: EffectGap | None
    at_mean_rate: Decimal | None = None
    price_at_mean_rate: Decimal | None = None

    @property
    def difference(self) -> Decimal:
        """What it costs more than before."""
        return exact_difference(self.after.cost, self.before.cost)

    @property
    def converted_difference(self) -> Decimal | None:
        """The same in another currency, None if one of the two costs is not known in it."""
        after, before = self.after.converted, self.before.converted
        return None if after is None or before is None else exact_difference(after, before)

    @property
    def usage_at_mean_rate(self) -> Decimal | None:
        """The usage effect in another currency, None: not known."""
        if self.at_mean_rate is None or self.price_at_mean_rate is None:
            return None
        return exact_difference(self.at_mean_rate, self.price_at_mean_rate)

    @property
    def exchange_effect(self) -> Decimal | None:
        """What moves of exchange rates make of the converted difference, None: not known."""
        difference = self.converted_difference
        if self.at_mean_rate is None or difference is None:
            return None
        return exact_difference(difference, self.at_mean_rate)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All movements of one currency: its `parts` add up to the `total`. The last part may be several groups, those beyond the limit."""

    total: Movement
    parts: tuple[Movement, ...]


Groups = Mapping[tuple[str, Values], GroupCost]
"""What each group cost, by currency and its values."""


def compare(before: Groups, after: Groups, most: int, *, at_mean_rate: bool = True) -> list[Comparison]:
    """Return how each group moved, by currency, the largest movement first, and from the `most` first ones on as one part.

    Movements of the same size are in the order of their values; those without a value come first. `at_mean_rate`: whether effects in
    another currency are wanted.
    """
    currencies: dict[str, list[Movement]] = {}
    for currency, values in before.keys() | after.keys():
        moved = _moved(currency, values, *(one.get((currency, values), NOTHING) for one in (before, after)))
        currencies.setdefault(currency, []).append(moved)
    return [
        _of_currency(moved, most, _mean_rate(moved) if at_mean_rate else None)
        for _, moved in sorted(currencies.items())
    ]


def effects(before: GroupCost, after: GroupCost) -> tuple[Decimal, Decimal] | EffectGap:
    """Return price and usage effect, which add up to the difference exactly, or why they are not known.

    A group that is new, or gone, has moved by its usage alone. Both periods must have their quantity.
    """
    used = [one.quantity for one in (before, after) if one.line_items and one.quantity is not None]
    if any(one.without_quantity for one in used):
        return EffectGap.QUANTITY_MISSING
    if any(one.without_unit for one in used):
        return EffectGap.UNIT_MISSING
    units = frozenset[str]().union(*(one.units for one in used))
    if len(units) > 1:
        return EffectGap.UNITS_DIFFER
    if not all(one.amount for one in used):
        return EffectGap.QUANTITY_MISSING
    if len(used) == 1:
        return Decimal(0), exact_difference(after.cost, before.cost)
    old, new = (one.amount for one in used)
    return price_and_usage(before.cost, old, after.cost, new)


def _moved(currency: str, values: Values, before: GroupCost, after: GroupCost) -> Movement:
    is_known = before.quantity is not None or after.quantity is not None
    found = effects(before, after) if is_known else None
    price, usage = found if isinstance(found, tuple) else (None, None)
    gap = found if isinstance(found, EffectGap) else None
    return Movement(currency, values, 1, before, after, None, price, usage, gap)


def _of_currency(moved: list[Movement], most: int, rate: tuple[Decimal, Decimal] | None) -> Comparison:
    ranked = sorted(moved, key=lambda one: (one.difference.copy_abs().copy_negate(), _in_order(one)))
    total = _together(moved)
    parts = ranked[:most] + ([_together(ranked[most:])] if len(ranked) > most else [])
    shown = [_shared(one, total, _at_rate(one, rate)) for one in parts]
    amounts = (_all_summed(one.at_mean_rate for one in shown), _all_summed(one.price_at_mean_rate for one in shown))
    return Comparison(_shared(total, total, amounts), tuple(shown))


def _mean_rate(moved: list[Movement]) -> tuple[Decimal, Decimal]:
    """What all charges of the period before are in the other currency, and in their own; of the period after if there are none. Groups
    count by their size, since credits would let a sum be about zero."""
    for costs in ([one.before for one in moved], [one.after for one in moved]):
        known = [(one.converted.copy_abs(), one.cost.copy_abs()) for one in costs if one.converted is not None]
        converted, cost = exact_sum(one for one, _ in known), exact_sum(one for _, one in known)
        if cost:
            return converted, cost
    return Decimal(0), Decimal(1)


def _at_rate(one: Movement, rate: tuple[Decimal, Decimal] | None) -> tuple[Decimal | None, Decimal | None]:
    """The difference and the price effect of a movement at a rate; None: not known."""
    if rate is None or one.converted_difference is None:
        return None, None
    return (
        rounded_ratio(one.difference, *rate, _LAST_CONVERTED_DIGIT),
        None if one.price_effect is None else rounded_ratio(one.price_effect, *rate, _LAST_CONVERTED_DIGIT),
    )


def _in_order(one: Movement) -> tuple[str, ...]:
    return tuple("" if value is None else repr(value) for value in one.values or ())


def _together(moved: list[Movement]) -> Movement:
    """Several movements in one currency as one. Effects are the sums of theirs, and not known if one of them is not."""
    gap = min((one.gap for one in moved if one.gap), default=None)
    return Movement(
        moved[0].currency,
        None,
        len(moved),
        _summed(one.before for one in moved),
        _summed(one.after for one in moved),
        None,
        _all_summed(one.price_effect for one in moved),
        _all_summed(one.usage_effect for one in moved),
        gap,
    )


def _summed(costs: Iterable[GroupCost]) -> GroupCost:
    found = list(costs)
    return GroupCost(
        exact_sum(one.cost for one in found),
        sum(one.line_items for one in found),
        sum(one.unpriced for one in found),
        converted=_all_summed(one.converted for one in found),
    )


def _all_summed(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of amounts, None if one of them is not known."""
    found = list(amounts)
    known = [one for one in found if one is not None]
    return exact_sum(known) if len(known) == len(found) else None


def _shared(one: Movement, total: Movement, amounts: tuple[Decimal | None, Decimal | None]) -> Movement:
    share = rounded_ratio(Decimal(1), one.difference, total.difference) if total.difference else None
    return replace(one, share=share, at_mean_rate=amounts[0], price_at_mean_rate=amounts[1])
