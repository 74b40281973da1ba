"""Whatever is asked, all queries agree with each other and with Python: total = trends = resources = types, by currency."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Any

import charges
import documents
import pytest
from charges import Charge, Held, slice_of
from exporting import ask, csv_rows
from hypothesis import example, given, settings
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
        tags={"team": team} if (team := dice.choice(TEAMS)) is not None else {},
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
            and (not tag or one.charge.tags.get(tag["key"]) in tag["values"])
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


@settings(max_examples=20)
# Sums of nothing are equal for an empty tag and a missing one: which comes first?
@example(
    period={"start": "2026-08-20", "end": "2026-08-23"},
    chosen={},
    basis="CONTRACTED",
    granularity="DAILY",
    group_by=[],
    tag="team",
    first=9,
)
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
    series = customer.data(documents.TRENDS, **asked, granularity=granularity, groupBy=group_by, groupByTag=tag)[
        "costTrends"
    ]["series"]
    types = customer.data(documents.TYPES, **asked)["costsByType"]["types"]
    resources = _all_resources(customer, first, **asked)
    assert totals == charges.total(held, basis)
    assert series == charges.trends(held, basis, granularity, group_by, tag)
    assert types == charges.by_type(held, basis)
    assert resources == charges.by_resource(held, basis)


_COSTS = {
    "BILLED": "billedCost",
    "EFFECTIVE": "effectiveCost",
    "LIST": "listCost",
    "CONTRACTED": "contractedCost",
}


def _added(rows: Iterable[tuple[str, Decimal | None, int, int]]) -> list[dict[str, Any]]:
    """`totals` of totalCost, from (currency, cost, line items, unpriced ones) of parts."""
    sums: dict[str, list[Any]] = {}
    with localcontext(prec=100):
        for currency, cost, items, unpriced in rows:
            so_far = sums.setdefault(currency, [Decimal(0), 0, 0])
            for place, value in enumerate((cost or Decimal(0), items, unpriced)):
                so_far[place] += value
    return [
        {
            "cost": {"amount": charges.text(sums[currency][0]), "currency": currency},
            "lineItems": sums[currency][1],
            "unpricedLineItems": sums[currency][2],
        }
        for currency in sorted(sums)
    ]


def _line_items(customer: Customer, basis: str, **asked: Any) -> Iterator[tuple[str, Decimal | None, int, int]]:
    document = f"""query($period: Period!, $filter: CostFilter, $after: String) {{
      costMetrics(period: $period, filter: $filter, first: 170, after: $after) {{
        nodes {{ billingCurrency cost: {_COSTS[basis]} {{ amount }} }} pageInfo {{ hasNextPage endCursor }}
      }}
    }}"""
    after, is_more = None, True
    while is_more:
        page = customer.data(document, **asked, after=after)["costMetrics"]
        for node in page["nodes"]:
            price = node["cost"] and Decimal(node["cost"]["amount"])
            yield node["billingCurrency"], price, 1, int(price is None)
        after, is_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]


def _exported(
    customer: Customer, what: str, basis: str, period: dict[str, str], chosen: dict[str, Any]
) -> Iterator[tuple[str, Decimal | None, int, int]]:
    parameters = list(period.items()) + ([] if what == "line-items" else [("costBasis", basis)])
    for name, values in chosen.items():
        listed = values["values"] if name == "tag" else values or ()
        parameters += [("tagKey", "team")] if name == "tag" and listed else []
        # An empty tag is written as two quotes; nothing stands for charges without the tag.
        parameters += [
            ("tagValue", '""' if value == "" else value or "") if name == "tag" else (name, value or "")
            for value in listed
        ]
    response = ask(customer.world, customer.token, f"{what}.csv", parameters)
    assert response.status_code == 200, response.text
    for row in csv_rows(response.content):
        if what == "line-items":
            price = row[f"{basis.lower()}_cost"]
            yield row["billing_currency"], Decimal(price) if price else None, 1, int(not price)
        else:
            yield (
                row["currency"],
                Decimal(row["cost"]),
                int(row["line_items"]),
                int(row["unpriced_line_items"]),
            )


@settings(max_examples=5)
@example(
    period={"start": "2026-08-20", "end": "2026-11-20"}, chosen={"tag": {"key": "team", "values": [""]}}, basis="BILLED"
)
@example(
    period={"start": "2026-08-20", "end": "2026-11-20"},
    chosen={"tag": {"key": "team", "values": [None]}},
    basis="BILLED",
)
@given(period=PERIODS, chosen=FILTERS, basis=st.sampled_from(list(charges.BASES)))
def test_line_items_and_exports_add_up_to_the_totals(
    customer: Customer, period: dict[str, str], chosen: dict[str, Any], basis: str
) -> None:
    chosen = {name: values for name, values in chosen.items() if values}
    asked = {"period": period, "filter": chosen}
    totals = customer.data(documents.TOTAL, **asked, costBasis=basis)["totalCost"]["totals"]
    assert _added(_line_items(customer, basis, **asked)) == totals
    for what in ("line-items", "trends", "by-resource", "by-type", "total"):
        assert _added(_exported(customer, what, basis, period, chosen)) == totals, what


@settings(max_examples=6)
@given(period=PERIODS, chosen=FILTERS, dice=st.randoms(use_true_random=False))
def test_filters_commute(
    customer: Customer, period: dict[str, str], chosen: dict[str, Any], dice: random.Random
) -> None:
    chosen = {name: values for name, values in chosen.items() if values}

    def shuffled(values: Any) -> Any:
        if isinstance(values, dict):
            return {**values, "values": shuffled(values["values"])}
        return dice.sample([*values, values[0]], len(values) + 1)

    names = dice.sample(sorted(chosen), len(chosen))
    other = {name: shuffled(chosen[name]) for name in names}
    for document in (
        documents.TOTAL,
        documents.TRENDS,
        documents.TYPES,
        documents.RESOURCES,
        documents.LINE_ITEMS,
    ):
        more = {"granularity": "MONTHLY", "groupBy": ["SERVICE"], "first": 20}
        # Cursors too: a page may be continued with the filters in another order.
        assert customer.data(document, period=period, filter=chosen, **more) == customer.data(
            document, period=period, filter=other, **more
        )


_GROUPED = {
    "provider": "PROVIDER",
    "service": "SERVICE",
    "region": "REGION",
    "subAccount": "SUB_ACCOUNT",
    "chargeCategory": "CHARGE_CATEGORY",
    "tag": None,
}


@settings(max_examples=6)
@given(period=PERIODS, chosen=FILTERS, later=st.sampled_from(sorted(_GROUPED)))
def test_one_filter_after_the_others_is_all_at_once(
    customer: Customer, period: dict[str, str], chosen: dict[str, Any], later: str
) -> None:
    chosen = {name: values for name, values in chosen.items() if values}
    first = {name: values for name, values in chosen.items() if name != later}
    by = {"groupByTag": "team"} if later == "tag" else {"groupBy": [_GROUPED[later]]}
    series = customer.data(documents.TRENDS, period=period, filter=first, granularity="MONTHLY", **by)
    wanted = chosen.get(later)
    accepted = wanted["values"] if isinstance(wanted, dict) else wanted
    found = _added(
        (one["currency"], Decimal(one["cost"]["amount"]), one["lineItems"], one["unpricedLineItems"])
        for one in series["costTrends"]["series"]
        if accepted is None or one[later] in accepted
    )
    at_once = customer.data(documents.TOTAL, period=period, filter=chosen)["totalCost"]["totals"]
    assert found == at_once
