"""What moved adds up to the difference to the last digit, whatever is asked; and so do its two effects."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import charges
import documents
import pytest
from charges import Charge, Groups, Held, slice_of
from hypothesis import given, settings
from hypothesis import strategies as st
from summed_costs import FILTERS, GROUPS, PERIODS, customer, matching
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

__all__ = ["customer"]

LAST_DIGIT = Fraction(1, 10**18)


def _exact(money: dict[str, str]) -> Fraction:
    return Fraction(money["amount"])


def _cost(held: list[Held], basis: str) -> Fraction:
    return sum((Fraction(getattr(one.charge, charges.BASES[basis]) or 0) for one in held), Fraction(0))


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    names = [*(name for name, _ in charges.DIMENSIONS.values()), "tag", "tags"]
    return one["currency"], tuple(
        (name, tuple(one[name]) if name == "tags" and one[name] else one[name]) for name in names
    )


def _expected_effects(before: list[Held], after: list[Held], basis: str) -> tuple[Fraction, Fraction] | str:
    """Price and usage effect of one group, or why there are none; in fractions, from the line items."""
    used = [one.charge for one in [*before, *after]]
    if any(one.quantity is None for one in used):
        return "QUANTITY_MISSING"
    if any(not one.unit for one in used):
        return "UNIT_MISSING"
    if len({one.unit for one in used}) > 1:
        return "UNITS_DIFFER"
    old, new = (sum((Fraction(one.charge.quantity or 0) for one in held), Fraction(0)) for held in (before, after))
    if (before and not old) or (after and not new):
        return "QUANTITY_MISSING"
    was, is_ = _cost(before, basis), _cost(after, basis)
    if not before or not after:
        return Fraction(0), is_ - was
    return (is_ / new - was / old) * old, (new - old) * is_ / new


@settings(max_examples=15)
@given(
    period=PERIODS,
    other=PERIODS,
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    groups=GROUPS,
    limit=st.integers(1, 12),
    effects=st.booleans(),
)
def test_the_parts_add_up_to_the_difference(
    customer: Customer,
    period: dict[str, str],
    other: dict[str, str],
    chosen: dict[str, Any],
    basis: str,
    groups: Groups,
    limit: int,
    effects: bool,
) -> None:
    asked = {"period": period, "with": other, "filter": chosen, "costBasis": basis, "limit": limit, "effects": effects}
    found = customer.data(documents.COMPARISON, **asked, **groups.arguments)["compareCosts"]
    after, before = (charges.grouped(matching(customer, days, chosen), groups) for days in (period, other))
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in found["groups"]:
        parts[one["currency"]].append(one)
    keys = {currency for currency, _ in before.keys() | after.keys()}
    assert [one["currency"] for one in found["totals"]] == sorted(keys) == sorted(parts)
    assert list(parts) == sorted(parts)
    for total in found["totals"]:
        own = parts[total["currency"]]
        for name in ("before", "after", "difference"):
            assert sum(_exact(one[name]) for one in own) == _exact(total[name])
        for name in ("lineItemsBefore", "lineItemsAfter", "unpricedLineItems", "groups"):
            assert sum(one[name] for one in own) == total[name]
        assert _exact(total["after"]) - _exact(total["before"]) == _exact(total["difference"])
        _check_parts(own, total, before, after, basis, groups, limit, effects=effects)


def _check_parts(
    own: list[dict[str, Any]],
    total: dict[str, Any],
    before: dict[Any, list[Held]],
    after: dict[Any, list[Held]],
    basis: str,
    groups: Groups,
    limit: int,
    *,
    effects: bool,
) -> None:
    """Each part of one currency is what its line items say; what is left out moved less."""
    keys = {key for key in before.keys() | after.keys() if key[0] == total["currency"]}
    shown = [one for one in own if not one["isOther"]]
    assert len(shown) == min(limit, len(keys))
    assert len({_key(one) for one in shown}) == len(shown)
    assert own[: len(shown)] == shown
    moved = {key: _cost(after.get(key, []), basis) - _cost(before.get(key, []), basis) for key in keys}
    assert [abs(_exact(one["difference"])) for one in shown] == sorted(map(abs, moved.values()), reverse=True)[
        : len(shown)
    ]
    for one in own:
        whole = _exact(total["difference"])
        share = None if not whole else _exact(one["difference"]) / whole
        assert (one["share"] is None) == (share is None)
        assert share is None or abs(Fraction(one["share"]) - share) <= LAST_DIGIT / 2
        if effects and one["priceEffect"] is not None:
            assert _exact(one["priceEffect"]) + _exact(one["usageEffect"]) == _exact(one["difference"])
            assert one["whyNoEffect"] is None
    for one in shown:
        old, new = before.get(_key(one), []), after.get(_key(one), [])
        assert (_exact(one["before"]), _exact(one["after"])) == (_cost(old, basis), _cost(new, basis))
        assert (one["lineItemsBefore"], one["lineItemsAfter"]) == (len(old), len(new))
        assert (one["isNew"], one["isGone"], one["groups"]) == (not old, not new, 1)
        if effects:
            expected = _expected_effects(old, new, basis)
            if isinstance(expected, str):
                assert (one["priceEffect"], one["usageEffect"], one["whyNoEffect"]) == (None, None, expected)
            else:
                for name, effect in zip(("priceEffect", "usageEffect"), expected, strict=True):
                    assert abs(_exact(one[name]) - effect) <= LAST_DIGIT / 2


BEFORE, AFTER = ({"start": f"2026-{month}-01", "end": f"2026-{month}-08"} for month in ("09", "10"))


def _used(sku: str, cost: str, quantity: str | None, unit: str | None = "Hours", month: int = 10) -> Charge:
    amount = None if quantity is None else Decimal(quantity)
    return Charge(date(2026, month, 3), Decimal(cost), sku=sku, quantity=amount, unit=unit)


@pytest.fixture(scope="module")
def shop(world: World) -> Customer:
    """SKUs that became dearer, were used more, both, are new, gone, or are not known to be either."""
    shop = world.customer()
    charged = {
        9: [
            _used("dearer", "10", "10", month=9),
            _used("more", "10", "10", month=9),
            _used("both", "6", "6", month=9),
            _used("both", "4", "4", month=9),
            _used("a third", "1", "3", month=9),
            _used("gone", "7", "1", month=9),
            _used("other unit", "5", "5", month=9),
            _used("no quantity", "5", None, None, month=9),
            _used("no unit", "5", "5", None, month=9),
            _used("no use", "5", "0", month=9),
        ],
        10: [
            _used("dearer", "15", "10"),
            _used("more", "30", "30"),
            _used("both", "36", "12"),
            _used("a third", "1", "7"),
            _used("new", "3", "2"),
            _used("other unit", "6", "5", "GB"),
            _used("no quantity", "6", "6"),
            _used("no unit", "6", "6"),
            _used("no use", "6", "6"),
        ],
    }
    for month, charges_ in charged.items():
        shop.publish(slice_of(shop.customer_id, "main", BillingPeriod(2026, month)), charges_)
    return shop


EFFECTS = {
    "dearer": ("5", "0", None),
    "more": ("0", "20", None),
    "both": ("20", "6", None),
    "a third": ("-0.571428571428571429", "0.571428571428571429", None),
    "gone": ("0", "-7", None),
    "new": ("0", "3", None),
    "other unit": (None, None, "UNITS_DIFFER"),
    "no quantity": (None, None, "QUANTITY_MISSING"),
    "no unit": (None, None, "UNIT_MISSING"),
    "no use": (None, None, "QUANTITY_MISSING"),
}
"""Price and usage effect, worked out by hand: both cost 10 for 10 and then 36 for 12, so (3 - 1) x 10 and (12 - 10) x 3."""


def _compared(shop: Customer, **more: Any) -> dict[str, Any]:
    asked = {"period": AFTER, "with": BEFORE, "groupBy": ["SKU"], "effects": True}
    found: dict[str, Any] = shop.data(documents.COMPARISON, **{**asked, **more})["compareCosts"]
    return found


def test_effects_are_those_of_price_and_usage(shop: Customer) -> None:
    found = _compared(shop)
    effects = {
        one["sku"]: (
            *(effect and effect["amount"] for effect in (one["priceEffect"], one["usageEffect"])),
            one["whyNoEffect"],
        )
        for one in found["groups"]
    }
    assert effects == EFFECTS
    assert [one["sku"] for one in found["groups"]][:4] == ["both", "more", "gone", "dearer"]
    assert {one["sku"] for one in found["groups"] if one["isNew"]} == {"new"}
    assert {one["sku"] for one in found["groups"] if one["isGone"]} == {"gone"}
    (total,) = found["totals"]
    assert (total["before"]["amount"], total["after"]["amount"], total["groups"]) == ("58", "109", 10)
    assert (total["priceEffect"], total["whyNoEffect"]) == (None, "QUANTITY_MISSING")


def test_effects_of_what_is_left_out_are_summed(shop: Customer) -> None:
    known = [sku for sku, (price, _, _) in EFFECTS.items() if price]
    first, other = _compared(shop, filter={"sku": known}, limit=1)["groups"]
    assert (first["sku"], other["isOther"], other["groups"]) == ("both", True, 5)
    assert [other[name]["amount"] for name in ("priceEffect", "usageEffect", "difference")] == [
        "4.428571428571428571",
        "16.571428571428571429",
        "21",
    ]
    assert Decimal(other["share"]) == (Decimal(21) / 47).quantize(Decimal(1).scaleb(-18))


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_beyond_its_bounds_is_refused(shop: Customer, limit: int) -> None:
    error = shop.error(documents.COMPARISON, period=AFTER, **{"with": BEFORE}, limit=limit)
    assert error["message"] == f"limit: {limit} is not accepted"
