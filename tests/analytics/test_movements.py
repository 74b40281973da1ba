"""Parts of a comparison add up to its total, and effects to their difference, whatever two periods cost: in fractions, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.analytics.comparison import EffectGap, GroupCost, Movement, Quantity, compare, effects
from optiinfra_assets.domain.exact_amounts import EXACT

AMOUNTS = st.decimals(Decimal("-9e19"), Decimal("9e19"), places=18) | st.decimals(-100, 100, places=2)
COSTS = st.builds(
    GroupCost,
    AMOUNTS,
    st.integers(1, 9),
    st.integers(0, 3),
    st.none()
    | st.builds(
        Quantity,
        AMOUNTS,
        st.sampled_from([frozenset({"Hours"}), frozenset({"Hours", "GB"})]),
        st.sampled_from([0, 0, 1]),
        st.just(0),
    ),
)
KEYS = st.tuples(st.sampled_from(["EUR", "USD"]), st.tuples(st.sampled_from(["a", "b", "c", "", None])))
PERIODS = st.dictionaries(KEYS, COSTS, max_size=8)


@given(PERIODS, PERIODS, st.integers(1, 5))
def test_the_parts_are_the_whole(before: dict, after: dict, most: int) -> None:  # type: ignore[type-arg]
    found = compare(before, after, most)
    assert [one.total.currency for one in found] == sorted({currency for currency, _ in before.keys() | after.keys()})
    for one in found:
        parts, total = one.parts, one.total
        assert sum(Fraction(part.difference) for part in parts) == Fraction(total.difference)
        for read in (lambda part: part.before, lambda part: part.after):
            assert sum(Fraction(read(part).cost) for part in parts) == Fraction(read(total).cost)
            assert sum(read(part).line_items for part in parts) == read(total).line_items
        assert sum(part.groups for part in parts) == total.groups
        assert all(part.groups == 1 and part.values is not None for part in parts[:most])
        assert len(parts) <= most + 1
        moved = [abs(Fraction(part.difference)) for part in parts[:most]]
        assert all(larger >= smaller for larger, smaller in pairwise(moved))
        _check_effects([*parts, total])


def _check_effects(moved: list[Movement]) -> None:
    for one in moved:
        if one.price_effect is None or one.usage_effect is None:
            assert one.price_effect is one.usage_effect is None
        else:
            assert one.gap is None
            assert Fraction(one.price_effect) + Fraction(one.usage_effect) == Fraction(one.difference)
            assert one.price_effect == EXACT.quantize(one.price_effect, Decimal("1e-18"))


@given(COSTS, COSTS)
def test_effects_are_those_of_their_definition(before: GroupCost, after: GroupCost) -> None:
    if before.quantity is None or after.quantity is None:
        return
    found = effects(before, after)
    if isinstance(found, tuple):
        was, is_ = Fraction(before.cost), Fraction(after.cost)
        old, new = Fraction(before.quantity.amount), Fraction(after.quantity.amount)
        expected = (is_ / new - was / old) * old, (new - old) * is_ / new
        assert all(
            abs(Fraction(one) - exact) <= Fraction(1, 2 * 10**18) for one, exact in zip(found, expected, strict=True)
        )
    else:
        used = [before.quantity, after.quantity]
        assert found == EffectGap.UNITS_DIFFER or any(one.without_quantity or not one.amount for one in used)
