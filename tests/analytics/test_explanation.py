"""Causes of anomalies: what adds up exactly, who is named, and what a month will have cost."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.analytics.effects import price_and_usage
from optiinfra_assets.analytics.explanation import UNLISTED, Place, Used, explain, projected_impact
from optiinfra_assets.analytics.usage_places import RESOURCE, UsagePlaces
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

DIMENSIONS = ("sub account", "region", "sku")
MONEY = st.decimals(-1000, 100_000, places=6)
QUANTITIES = st.none() | st.decimals(0, 10_000, places=3)
USED = st.builds(Used, MONEY, QUANTITIES, st.sampled_from(["h", "GB"]))
PLACES = st.tuples(*(st.sampled_from([None, UNLISTED, "a", "b", "c", "d", "e", "f", "g"]) for _ in DIMENSIONS))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(PLACES, USED, max_size=12), st.dictionaries(PLACES, USED, max_size=12), MONEY)
def test_every_sum_is_the_excess(before: dict[Place, Used], now: dict[Place, Used], expected: Decimal) -> None:
    """Price, usage, new and gone; the contributors at the end of the path with the others, and those of each dimension; exactly."""
    found = explain(DIMENSIONS, before, now, expected)
    cost = exact_sum(one.cost for one in now.values())
    if before or now:
        assert found.total.excess == exact_difference(cost, expected)
    at_end = found.path[found.depth - 1].contribution if found.depth else found.total
    assert [one.dimension for one in found.by_dimension] == list(DIMENSIONS)
    for whole, of in ((at_end, found.named), *((found.total, one) for one in found.by_dimension)):
        for one in (whole, *of.contributors, of.others):
            assert exact_sum([one.price, one.usage, one.new, one.gone]) == one.excess
        for name in ("excess", "price", "usage", "new", "gone"):
            assert exact_sum(getattr(one, name) for one in (*of.contributors, of.others)) == getattr(whole, name)
        assert len(of.contributors) <= 5
        assert UNLISTED not in [one.value for one in of.contributors]


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["h", ""]), MONEY, MONEY, QUANTITIES, QUANTITIES
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sets(st.sampled_from("xyz")), MONEY)
def test_what_is_not_listed_is_one_value_more(rows: list[Any], listed: set[str], expected: Decimal) -> None:
    """Whatever resources are looked up, nothing is lost or counted twice; if all are, nothing is left."""
    whole, fine = UsagePlaces(), dict[str, list[Any]]()
    for sku, resource, unit, before, now, old, new in rows:
        one = ["Compute", "", "", sku, unit, str(before), str(now), old and str(old), new and str(new), True, True]
        columns = ("service_name", "sub_account_id", "region_id", "sku_id", "pricing_unit")
        amounts = ("cost_before", "cost_now", "quantity_before", "quantity_now", "was_before", "is_now")
        whole.add(dict(zip(columns + amounts, one, strict=True)))
        fine.setdefault(resource, []).append(one)
    apart = whole.told_apart({"value": value, "places": fine[value]} for value in listed if value in fine)
    for used, of in ((apart.before, whole.before), (apart.now, whole.now)):
        assert exact_sum(one.cost for one in used.values()) == exact_sum(one.cost for one in of.values())
    if listed >= fine.keys():
        assert UNLISTED not in {place[-1] for place in (*apart.before, *apart.now)}
    found = apart.explained(RESOURCE, expected).by_dimension[-1]
    assert {one.value for one in found.contributors} <= listed | {None}


def test_price_and_usage_are_what_they_are_called() -> None:
    """10 units at 2 become 15 at 3: ten units dearer by 1, five more at 3."""
    assert price_and_usage(Decimal(20), Decimal(10), Decimal(45), Decimal(15)) == (Decimal(10), Decimal(15))
    before = {("x",): Used(Decimal(200), Decimal(100), "h")}  # ten days
    found = explain(("sku",), before, {("x",): Used(Decimal(45), Decimal(15), "h")}, Decimal(20))
    assert (found.total.price, found.total.usage) == (Decimal(10), Decimal(15))
    unlike = explain(("sku",), before, {("x",): Used(Decimal(45), Decimal(15), "GB")}, Decimal(20))
    assert (unlike.total.price, unlike.total.usage) == (0, Decimal(25))


def test_it_looks_into_the_child_that_holds_most_and_names_the_rest() -> None:
    """One account has nine tenths of it, in two SKUs of a region each; the path ends where none holds seven tenths."""
    before = {(account, "r1", "s1"): Used(Decimal(100)) for account in "abcdefghij"}
    now = {place: Used(Decimal(101)) for place in before}
    now |= {("a", "r1", "s2"): Used(Decimal(50)), ("a", "r2", "s3"): Used(Decimal(40))}
    found = explain(DIMENSIONS, before, now, Decimal(1000))
    assert [(step.dimension, step.contribution.value, step.share) for step in found.path] == [
        ("sub account", "a", Decimal("0.91"))
    ]
    assert (found.depth, found.named.dimension) == (1, "sku")
    assert [(one.value, one.new) for one in found.named.contributors[:2]] == [("s2", 50), ("s3", 40)]
    assert [one.value for one in found.by_dimension[0].contributors][:1] == ["a"]
    assert found.total.new == 90
    assert found.named.explained == Decimal("0.91")
    regions = found.by_dimension[1]
    assert [(one.value, one.excess, one.new) for one in regions.contributors] == [("r1", 60, 50), ("r2", 40, 40)]
    assert regions.explained == 1


def test_a_month_is_projected_only_while_it_goes_on() -> None:
    """Ten a day from the 11th to the 20th go on to the 30th; what ended on the 15th does not; a month before is not counted."""
    days = [date(2026, 4, 11) + timedelta(days=index) for index in range(10)]
    usual = dict.fromkeys(days, Decimal(100))
    going = {day: Decimal(110) for day in days}
    assert projected_impact(going, usual, date(2026, 4, 20)) == Decimal("200.00")
    ended = {day: Decimal(110 if day.day <= 15 else 100) for day in days}
    assert projected_impact(ended, usual, date(2026, 4, 20)) == Decimal("50.00")
    across = {day - timedelta(days=15): amount for day, amount in going.items()}
    expected = dict.fromkeys(across, Decimal(100))
    assert projected_impact(across, expected, date(2026, 4, 5)) == Decimal("300.00")
    assert projected_impact({}, {}, date(2026, 4, 5)) == 0
