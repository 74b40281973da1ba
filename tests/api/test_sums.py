"""Whatever is asked, all queries agree with each other and with Python: total = trends = resources = types, by currency."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import charges
import documents
import pytest
from charges import Charge, Held, slice_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.model import BillingPeriod

FIRST, DAYS = date(2026, 8, 20), 100
SERVICES = ["Compute", "Storage", ""]
REGIONS = ["eu", "us", None]
SUB_ACCOUNTS = ["a", None]
CATEGORIES = ["Usage", "Credit", "Tax"]
CURRENCIES = ["USD", "EUR"]
TEAMS = ["red", "blue", None]


def _charge(dice: random.Random, period: BillingPeriod) -> Charge:
    # One charge may lie in a month before its invoice.
    day = period.start.date() + timedelta(days=dice.randrange(-10, 28))
    price = Decimal(dice.randrange(-(10**17), 10**17)).scaleb(-dice.randrange(18))
    return Charge(
        day=day,
        billed=price,
        effective=price / 2,
        list_=dice.choice([None, price * 2]),
        contracted=dice.choice([None, price]),
        currency=dice.choice(CURRENCIES),
        service=dice.choice(SERVICES),
        region=dice.choice(REGIONS),
        sub_account=dice.choice(SUB_ACCOUNTS),
        category=dice.choice(CATEGORIES),
        class_=dice.choice([None, "Correction"]),
        frequency=dice.choice([None, "Recurring"]),
        pricing=dice.choice([None, "Standard"]),
        resource=dice.choice([None, *(f"resource-{number}" for number in range(12))]),
        tags={"team": team} if (team := dice.choice(TEAMS)) else {},
        hour=dice.randrange(24),
    )


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Three months of two accounts, one of each restated, with everything that filters tell apart."""
    dice = random.Random(20261123)  # noqa: S311 - repeatable data, not a secret
    customer = world.customer()
    for account in ("one", "two"):
        for month in (8, 9, 10, 11):
            period = BillingPeriod(2026, month)
            slice_ = slice_of(customer.customer_id, account, period, "aws" if account == "one" else "gcp")
            for _ in range(2 if month == 9 else 1):
                customer.publish(slice_, [_charge(dice, period) for _ in range(60)])
    return customer


def _some(values: list[Any]) -> st.SearchStrategy[list[Any] | None]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "provider": _some(["aws", "gcp", "azure"]),
        "service": _some([*SERVICES[:2], None]),
        "region": _some(REGIONS),
        "subAccount": _some(SUB_ACCOUNTS),
        "chargeCategory": _some(CATEGORIES),
        "currency": _some(CURRENCIES),
        "tag": st.none() | _some(TEAMS).filter(bool).map(lambda values: {"key": "team", "values": values}),
    },
)
PERIODS = st.tuples(st.integers(0, DAYS), st.integers(1, DAYS)).map(
    lambda at: {"start": str(FIRST + timedelta(at[0])), "end": str(FIRST + timedelta(at[0] + at[1]))}
)

_READ: dict[str, Callable[[Held], Any]] = {
    "provider": lambda one: one.slice.provider,
    "service": lambda one: one.charge.service or None,
    "region": lambda one: one.charge.region,
    "subAccount": lambda one: one.charge.sub_account,
    "chargeCategory": lambda one: one.charge.category,
    "currency": lambda one: one.charge.currency,
}


def _matching(customer: Customer, period: dict[str, str], chosen: dict[str, Any]) -> list[Held]:
    def matches(one: Held) -> bool:
        tag = chosen.get("tag")
        return (
            period["start"] <= str(one.charge.day) < period["end"]
            and all(read(one) in chosen[name] for name, read in _READ.items() if chosen.get(name))
            and (not tag or (one.charge.tags.get(tag["key"]) or None) in tag["values"])
        )

    return [one for one in customer.held if matches(one)]


def _all_resources(customer: Customer, first: int, **variables: Any) -> list[dict[str, Any]]:
    nodes, after = [], None
    while True:
        page = customer.data(documents.RESOURCES, **variables, first=first, after=after)["costsByResource"]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    period=PERIODS,
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    granularity=st.sampled_from(list(charges.BUCKETS)),
    group_by=st.lists(st.sampled_from(list(charges.DIMENSIONS)), unique=True),
    tag=st.sampled_from([None, None, "team"]),
    first=st.integers(9, 60),
)
def test_all_sums_agree(
    customer: Customer,
    period: dict[str, str],
    chosen: dict[str, Any],
    basis: str,
    granularity: str,
    group_by: list[str],
    tag: str | None,
    first: int,
) -> None:
    held = _matching(customer, period, chosen)
    asked = {"period": period, "filter": chosen, "costBasis": basis}
    totals = customer.data(documents.TOTAL, **asked)["totalCost"]["totals"]
    series = customer.data(
        documents.TRENDS, **asked, granularity=granularity, groupBy=group_by, groupByTag=tag
    )["costTrends"]["series"]
    types = customer.data(documents.TYPES, **asked)["costsByType"]["types"]
    resources = _all_resources(customer, first, **asked)
    assert totals == charges.total(held, basis)
    assert series == charges.trends(held, basis, granularity, group_by, tag)
    assert types == charges.by_type(held, basis)
    assert resources == charges.by_resource(held, basis)
