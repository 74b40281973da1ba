"""A customer with everything that filters and groups tell apart, and any questions about it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import charges
import pytest
from charges import Charge, Groups, Held, slice_of
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

FIRST, DAYS = date(2026, 8, 20), 100
SERVICES = ["Compute", "Storage", ""]
REGIONS = ["eu", "us", None]
SUB_ACCOUNTS = ["a", None]
CATEGORIES = ["Usage", "Credit", "Tax"]
CURRENCIES = ["USD", "EUR", "JPY", "KWD"]
DIGITS = {"JPY": 0, "KWD": 3}
TEAMS = ["red", "blue", "", None]
TAG_NAMES = ["team", "Team", "TEAM", "stage"]
UNITS = ["Hours", "Hours", "GB", None]


def _charge(dice: random.Random, period: BillingPeriod) -> Charge:
    # One charge may lie in a month before its invoice.
    day = period.start.date() + timedelta(days=dice.randrange(-10, 28))
    currency = dice.choice(CURRENCIES)
    price = Decimal(dice.randrange(-(10**17), 10**17)).scaleb(-DIGITS.get(currency, dice.randrange(18)))
    return Charge(
        day=day,
        billed=price,
        effective=price / 2,
        list_=dice.choice([None, price * 2]),
        contracted=dice.choice([None, price]),
        currency=currency,
        service=dice.choice(SERVICES),
        region=dice.choice(REGIONS),
        sub_account=dice.choice(SUB_ACCOUNTS),
        category=dice.choice(CATEGORIES),
        class_=dice.choice([None, "Correction"]),
        frequency=dice.choice([None, "Recurring"]),
        pricing=dice.choice([None, "Standard"]),
        resource=dice.choice([None, *(f"resource-{number}" for number in range(12))]),
        tags={name: value for name in TAG_NAMES if (value := dice.choice([*TEAMS, "absent"])) != "absent"},
        hour=dice.randrange(24),
        service_provider=dice.choice(["Amazon", ""]),
        service_category=dice.choice(["Compute", ""]),
        invoice=dice.choice(["invoice-1", "invoice-2", None]),
        sku=dice.choice(["sku-1", "sku-2", None]),
        commitment=dice.choice(["plan-1", None, None]),
        quantity=Decimal(dice.randrange(-10, 1000)) / 8 if dice.random() < 0.9 else None,
        unit=dice.choice(UNITS),
    )


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Three months of two accounts, one of each restated, with everything that filters tell apart."""
    dice = random.Random(20261123)  # noqa: S311 - repeatable data, not a secret
    customer = world.customer()
    slices = [
        slice_of(customer.customer_id, account, BillingPeriod(2026, month), provider)
        for account, provider in (("one", "aws"), ("two", "gcp"))
        for month in (8, 9, 10, 11)
    ]
    for collected in ([one for one in slices if one.billing_period.month == 9], slices):
        customer.publish_all({one: [_charge(dice, one.billing_period) for _ in range(60)] for one in collected})
    return customer


def _some(values: list[Any]) -> st.SearchStrategy[list[Any] | None]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


TAG = st.fixed_dictionaries(
    {
        "key": st.sampled_from(TAG_NAMES),
        "values": st.lists(st.sampled_from(TEAMS), min_size=1, max_size=2, unique=True),
        "ignoreCase": st.booleans(),
    }
)
_FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "provider": _some(["aws", "gcp", "azure"]),
    "service": _some([*SERVICES[:2], None]),
    "region": _some(REGIONS),
    "subAccount": _some(SUB_ACCOUNTS),
    "chargeCategory": _some(CATEGORIES),
    "currency": _some(CURRENCIES),
    "tag": st.none() | TAG,
    "tags": st.none() | st.lists(TAG, min_size=1, max_size=2),
    "serviceProvider": _some(["Amazon", None]),
    "serviceCategory": _some(["Compute", None]),
    "invoice": _some(["invoice-1", None]),
    "billingPeriod": _some(["2026-09", "2026-10"]),
    "sku": _some(["sku-1", None]),
    "pricingCategory": _some(["Standard", None]),
    "commitment": _some(["plan-1", None]),
}
FILTERS = st.lists(st.sampled_from(list(_FILTERS)), unique=True, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: _FILTERS[name] for name in names})
)
"""Few at one time: what matches nothing shows nothing."""
PERIODS = st.tuples(st.integers(0, DAYS), st.integers(1, DAYS)).map(
    lambda at: {"start": str(FIRST + timedelta(at[0])), "end": str(FIRST + timedelta(at[0] + at[1]))}
)

GROUPS = st.builds(
    Groups,
    st.lists(st.sampled_from(list(charges.DIMENSIONS)), unique=True, max_size=3),
    st.sampled_from([None, None, "team", "Team"]),
    st.lists(st.sampled_from([*TAG_NAMES, "nothing"]), max_size=2),
    st.booleans(),
)

_READ: dict[str, Callable[[Held], Any]] = {
    "currency": lambda one: one.charge.currency,
    **dict(charges.DIMENSIONS.values()),
}


def matching(customer: Customer, period: dict[str, str], chosen: dict[str, Any]) -> list[Held]:
    """The charges of a period that a filter accepts."""

    def matches(one: Held) -> bool:
        tags = [*([chosen["tag"]] if chosen.get("tag") else []), *(chosen.get("tags") or ())]
        return (
            period["start"] <= str(one.charge.day) < period["end"]
            and all(read(one) in chosen[name] for name, read in _READ.items() if chosen.get(name))
            and all(one.charge.tag(tag["key"], tag.get("ignoreCase", False)) in tag["values"] for tag in tags)
        )

    return [one for one in customer.held if matches(one)]
