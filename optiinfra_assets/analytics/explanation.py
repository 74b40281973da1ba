"""Says what an anomaly is made of: which accounts, regions, SKUs, resources or values of a tag, and by their price or their use.

Amounts are decimals, and every sum is exact: the contributions of a dimension add up to the excess, and so do price, usage, new and gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.analytics.effects import price_and_usage, rounded_ratio
from optiinfra_assets.domain.day_span import next_month
from optiinfra_assets.domain.exact_amounts import EXACT, exact_difference, exact_sum

NAMED: Final = 5
"""At most so many contributors have a name."""
HOLDS: Final = Decimal("0.7")
"""One child that holds so much of the excess is looked into."""
CLEAR: Final = Decimal("0.9")
"""Contributors that tell so much of the excess are enough."""
_RECENT = 3
"""Days that tell whether an anomaly still goes on."""


@dataclass(frozen=True)
class Used:
    """What the finest known group of charges cost and used. `quantity` None: there is none, or of several units."""

    cost: Decimal
    quantity: Decimal | None = None
    unit: str | None = None


Place = tuple[str | None, ...]
"""The values of a group of charges, one a dimension, in the order of the dimensions."""
UNLISTED: Final = "\0"
"""The value of charges whose own value was not looked up, since it tells little: it is never named."""


@dataclass(frozen=True)
class Contribution:
    """What one value of a dimension has to do with an excess; `value` None: charges without one. All amounts add up."""

    value: str | None
    expected: Decimal
    cost: Decimal
    price: Decimal
    """Change of unit prices x old quantities."""
    usage: Decimal
    """Change of quantities x new unit prices; the whole change where quantities are not known."""
    new: Decimal
    """What charges cost that were not there."""
    gone: Decimal
    """What charges that are not there any more cost, below 0."""

    @property
    def excess(self) -> Decimal:
        """What it cost beyond what was expected: price + usage + new + gone."""
        return exact_difference(self.cost, self.expected)


@dataclass(frozen=True)
class Step:
    """One value that holds most of what the steps before it left."""

    dimension: str
    contribution: Contribution
    share: Decimal
    """Of the whole excess."""


@dataclass(frozen=True)
class DimensionCause:
    """What the values of one dimension have to do with an excess; all of them and the others add up to `total`."""

    dimension: str
    total: Contribution
    contributors: Sequence[Contribution]
    """At most five, the largest first."""
    others: Contribution
    """All other values beside them, together."""
    explained: Decimal
    """The part of the whole excess that the contributors have; 0 if there is no excess."""


@dataclass(frozen=True)
class AnomalyCause:
    """Where an excess comes from."""

    total: Contribution
    """All of it; `value` None."""
    path: Sequence[Step]
    """From the widest to the narrowest: each holds at least 70 % of the one before."""
    depth: int
    """So many steps of the path the contributors lie in: they are looked for at its end first, and where they tell too little, before
    it."""
    named: DimensionCause
    """The values that tell most: the contributors inside the path so far."""
    by_dimension: Sequence[DimensionCause]
    """The same of all charges, by each dimension alone."""


def explain(
    dimensions: Sequence[str], before: Mapping[Place, Used], now: Mapping[Place, Used], expected: Decimal
) -> AnomalyCause:
    """Explain what `now` cost beyond `expected` by what it cost `before`: over any days, since costs before are taken in proportion.

    `dimensions` are named from the widest to the narrowest, as the places of both mappings are. The sum of `now` is what the odd days
    cost; `expected` is what was expected of them.
    """
    items = _items(before, now, expected, len(dimensions))
    total = _together(None, items.values())
    path: list[Step] = []
    levels = [items]
    for index, dimension in enumerate(dimensions if items else ()):
        inside = levels[-1]
        top = _contributions(inside, index, total.excess)[0]
        share = _share(top.excess, exact_sum(one.excess for one in inside.values()))
        if share >= HOLDS and top.value not in (None, UNLISTED):
            levels.append({place: one for place, one in inside.items() if place[index] == top.value})
            path.append(Step(dimension, top, _share(top.excess, total.excess)))
    depth, chosen = _clearest(dimensions, levels, path, total.excess)
    return AnomalyCause(
        total,
        path,
        depth,
        _by(dimensions[chosen], levels[depth], chosen, total.excess),
        [_by(dimension, items, index, total.excess) for index, dimension in enumerate(dimensions)],
    )


def _by(dimension: str, items: Mapping[Place, Contribution], index: int, excess: Decimal) -> DimensionCause:
    """Name the values of a dimension that have most to do with an excess."""
    ranked = _contributions(items, index, excess)
    way = -1 if excess < 0 else 1
    are_few = len(ranked) <= NAMED  # else what goes the other way hides nothing among the others
    named = [one for one in ranked if one.value != UNLISTED and (are_few or way * one.excess > 0)][:NAMED]
    others = _together(None, (one for one in ranked if one not in named))
    return DimensionCause(
        dimension, _together(None, ranked), named, others, _share(exact_sum(one.excess for one in named), excess)
    )


def _clearest(
    dimensions: Sequence[str], levels: Sequence[Mapping[Place, Contribution]], path: Sequence[Step], excess: Decimal
) -> tuple[int, int]:
    """Return how far along the path, and in which dimension, five values tell most.

    That is as far and as narrow as they tell `CLEAR` of the whole excess; where they never do, where they tell most. Charges without a
    value tell nothing.
    """
    best, most = (0, 0), Decimal(0)
    for depth in range(len(levels) - 1, -1, -1):
        passed = {step.dimension for step in path[:depth]}
        for index in range(len(dimensions) - 1, -1, -1):
            if dimensions[index] in passed or not levels[depth]:
                continue
            named = _by(dimensions[index], levels[depth], index, excess).contributors
            told = _share(exact_sum(one.excess for one in named if one.value is not None), excess)
            if told >= CLEAR:
                return depth, index
            if told > most:
                best, most = (depth, index), told
    return best


def _items(
    before: Mapping[Place, Used], now: Mapping[Place, Used], expected: Decimal, dimensions: int
) -> dict[Place, Contribution]:
    """Split each place, with what was expected of it: its part of `expected` as it was of the costs before."""
    sum_before = exact_sum(one.cost for one in before.values())
    if not sum_before:
        nothing = {place: _moved(None, Decimal(0), one) for place, one in now.items()}
        if expected:  # of what, nobody can say
            place = (None,) * dimensions
            nothing[place] = _together(None, [*filter(None, [nothing.get(place)]), _gone(expected)])
        return nothing
    parts = {place: rounded_ratio(expected, one.cost, sum_before) for place, one in before.items()}
    largest = max(parts, key=lambda place: abs(parts[place]))
    parts[largest] = EXACT.add(parts[largest], exact_difference(expected, exact_sum(parts.values())))
    return {
        place: _moved(before.get(place), parts.get(place, Decimal(0)), now.get(place))
        for place in dict.fromkeys((*before, *now))
    }


def _gone(expected: Decimal) -> Contribution:
    zero = Decimal(0)
    return Contribution(None, expected, zero, zero, zero, zero, EXACT.minus(expected))


def _moved(old: Used | None, expected: Decimal, new: Used | None) -> Contribution:
    zero = Decimal(0)
    if new is None:
        return _gone(expected)
    if old is None:
        return Contribution(None, zero, new.cost, zero, zero, new.cost, zero)
    change = exact_difference(new.cost, expected)
    if not (old.quantity and new.quantity and old.cost) or old.unit != new.unit:
        return Contribution(None, expected, new.cost, zero, change, zero, zero)
    quantity = rounded_ratio(old.quantity, expected, old.cost)  # of as many days, at the price of before
    price, usage = price_and_usage(expected, quantity, new.cost, new.quantity)
    return Contribution(None, expected, new.cost, price, usage, zero, zero)


def _together(value: str | None, parts: Iterable[Contribution]) -> Contribution:
    found = list(parts)
    names = ("expected", "cost", "price", "usage", "new", "gone")
    return Contribution(value, *(exact_sum(getattr(one, name) for one in found) for name in names))


def _contributions(items: Mapping[Place, Contribution], index: int, excess: Decimal) -> list[Contribution]:
    """Return the contributions of one dimension's values: first what goes the way of the excess, the largest first."""
    values: dict[str | None, list[Contribution]] = defaultdict(list)
    for place, one in items.items():
        values[place[index]].append(one)
    found = [_together(value, parts) for value, parts in values.items()]
    way = -1 if excess < 0 else 1
    return sorted(found, key=lambda one: (one.value == UNLISTED, -way * one.excess, one.value or ""))


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return rounded_ratio(Decimal(1), part, whole) if whole else Decimal(0)


def projected_impact(
    costs: Mapping[date, Decimal], expected: Mapping[date, Decimal], through: date, digits: int = 2
) -> Decimal:
    """Return what an anomaly will have cost in the month of `through`, the last final day, by the end of it.

    `costs` and `expected` (as before it began) are of its days so far, from the first to `through`. If the last days still cost at least
    half as much too much as its days did on average, it is taken to go on to the end of the month.
    """
    days = sorted(day for day in costs if day <= through)
    excess = {day: exact_difference(costs[day], expected[day]) for day in days}
    so_far = exact_sum(
        amount for day, amount in excess.items() if (day.year, day.month) == (through.year, through.month)
    )
    if not days:
        return Decimal(0)
    recent = exact_sum(excess[day] for day in days[-_RECENT:]) / min(len(days), _RECENT)
    usual = exact_sum(excess.values()) / len(days)
    goes_on = days[-1] == through and recent * usual > 0 and abs(recent) >= abs(usual) / 2
    left = (next_month(through) - through - timedelta(days=1)).days if goes_on else 0
    return (so_far + recent * left).quantize(Decimal(1).scaleb(-digits))
