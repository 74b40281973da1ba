"""Parts of a comparison add up to its total, and effects to their difference, whatever two periods cost: in fractions, exactly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import count, pairwise

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


RATES = st.decimals(Decimal("1e-6"), Decimal("1e6"), places=36)


@given(PERIODS, PERIODS, st.lists(RATES | st.none(), min_size=1, max_size=3), st.integers(1, 5))
def test_the_parts_are_the_whole_in_another_currency(
    before: dict,  # type: ignore[type-arg]
    after: dict,  # type: ignore[type-arg]
    rates: list[Decimal | None],
    most: int,
) -> None:
    numbers = count()

    def converted(costs: dict) -> dict:  # type: ignore[type-arg]
        quoted = {key: rates[next(numbers) % len(rates)] for key in costs}
        return {
            key: replace(cost, converted=None if (rate := quoted[key]) is None else EXACT.multiply(cost.cost, rate))
            for key, cost in costs.items()
        }

    for one in compare(converted(before), converted(after), most):
        for part in (*one.parts, one.total):
            if part.converted_difference is None:
                assert part.exchange_effect is part.usage_at_mean_rate is part.price_at_mean_rate is None
                continue
            effects_ = [part.exchange_effect, part.at_mean_rate]
            if part.price_effect is None:
                assert part.usage_at_mean_rate is part.price_at_mean_rate is None
            else:
                effects_ = [part.exchange_effect, part.price_at_mean_rate, part.usage_at_mean_rate]
            assert sum(Fraction(effect) for effect in effects_ if effect is not None) == Fraction(
                part.converted_difference
            )
            if len(set(rates)) == 1:
                assert part.exchange_effect == 0
        for read in (
            lambda part: part.converted_difference,
            lambda part: part.exchange_effect,
            lambda part: part.price_at_mean_rate,
            lambda part: part.usage_at_mean_rate,
        ):
            amounts = [read(part) for part in one.parts]
            whole = None if None in amounts else sum(map(Fraction, amounts))
            assert whole == (None if read(one.total) is None else Fraction(read(one.total)))


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
