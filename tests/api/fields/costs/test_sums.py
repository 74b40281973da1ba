"""Whatever is asked, all queries agree with each other and with Python: total = trends = resources = types, by currency."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from decimal import Decimal, localcontext
from typing import Any

import charges
import documents
from charges import Groups
from exporting import ask, csv_rows
from hypothesis import example, given, settings
from hypothesis import strategies as st
from summed_costs import FILTERS, GROUPS, PERIODS, customer, matching
from world import Customer

__all__ = ["customer"]


def _all_resources(customer: Customer, first: int, **variables: Any) -> list[dict[str, Any]]:
    nodes, after = [], None
    while True:
        page = customer.data(documents.RESOURCES, **variables, first=first, after=after)["costsByResource"]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]


@settings(max_examples=10)
# Sums of nothing are equal for an empty tag and a missing one: which comes first?
@example(
    period={"start": "2026-08-20", "end": "2026-08-23"},
    chosen={},
    basis="CONTRACTED",
    granularity="DAILY",
    groups=Groups([], "team"),
    first=9,
)
@given(
    period=PERIODS,
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    granularity=st.sampled_from(list(charges.BUCKETS)),
    groups=GROUPS,
    first=st.integers(9, 60),
)
def test_all_sums_agree(
    customer: Customer,
    period: dict[str, str],
    chosen: dict[str, Any],
    basis: str,
    granularity: str,
    groups: Groups,
    first: int,
) -> None:
    held = matching(customer, period, chosen)
    asked = {"period": period, "filter": chosen, "costBasis": basis}
    totals = customer.data(documents.TOTAL, **asked)["totalCost"]["totals"]
    series = customer.data(documents.TRENDS, **asked, granularity=granularity, **groups.arguments)["costTrends"][
        "series"
    ]
    types = customer.data(documents.TYPES, **asked)["costsByType"]["types"]
    resources = _all_resources(customer, first, **asked)
    assert totals == charges.total(held, basis)
    assert series == charges.trends(held, basis, granularity, groups)
    assert types == charges.by_type(held, basis)
    assert resources == charges.by_resource(held, basis)


@settings(max_examples=12)
@given(
    period=PERIODS,
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    granularity=st.sampled_from(list(charges.BUCKETS)),
    groups=GROUPS,
    order=st.sampled_from(["LARGEST_FIRST", "SMALLEST_FIRST", "BY_NAME"]),
    limit=st.integers(1, 4),
)
def test_the_first_series_and_the_others_are_everything(
    customer: Customer,
    period: dict[str, str],
    chosen: dict[str, Any],
    basis: str,
    granularity: str,
    groups: Groups,
    order: str,
    limit: int,
) -> None:
    held = matching(customer, period, chosen)
    asked = {"period": period, "filter": chosen, "costBasis": basis, "orderBy": order, "limit": limit}
    found = customer.data(documents.TRENDS, **asked, granularity=granularity, **groups.arguments)["costTrends"]
    sign = {"LARGEST_FIRST": -1, "SMALLEST_FIRST": 1, "BY_NAME": 0}[order]
    every = sorted(
        charges.trends(held, basis, granularity, groups),
        key=lambda one: (one["currency"], sign * Decimal(one["cost"]["amount"]), charges.names_key(one)),
    )
    currencies = sorted({one["currency"] for one in every})
    by_currency = {currency: [one for one in every if one["currency"] == currency] for currency in currencies}
    assert found["series"] == [one for series in by_currency.values() for one in series[:limit]]
    left_out = [(currency, series[limit:]) for currency, series in by_currency.items() if series[limit:]]
    assert [one["currency"] for one in found["other"]] == [currency for currency, _ in left_out]
    for other, (currency, series) in zip(found["other"], left_out, strict=True):
        all_days = {day for one in by_currency[currency] for day in one["dates"]}
        sums = dict.fromkeys(sorted(all_days), Decimal(0))
        with localcontext(prec=100):
            for one in series:
                for day, amount in zip(one["dates"], one["amounts"], strict=True):
                    sums[day] += Decimal(amount)
        assert (other["dates"], other["amounts"]) == (list(sums), [charges.text(amount) for amount in sums.values()])
        (summed,) = _added(
            (currency, Decimal(one["cost"]["amount"]), one["lineItems"], one["unpricedLineItems"]) for one in series
        )
        assert {name: other[name] for name in summed} == summed


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
        parameters += [("tagKey", values["key"])] if name == "tag" and listed else []
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
    chosen = {name: values for name, values in chosen.items() if values and name != "tags"}
    if "tag" in chosen:
        chosen["tag"] = {**chosen["tag"], "ignoreCase": False}
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
        if isinstance(values[0], dict):
            return dice.sample([shuffled(one) for one in values], len(values))
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


_GROUPED = {name: dimension for dimension, (name, _) in charges.DIMENSIONS.items() if name != "account"} | {"tag": None}


@settings(max_examples=12)
@given(period=PERIODS, chosen=FILTERS, later=st.sampled_from(sorted(_GROUPED)))
def test_one_filter_after_the_others_is_all_at_once(
    customer: Customer, period: dict[str, str], chosen: dict[str, Any], later: str
) -> None:
    chosen = {name: values for name, values in chosen.items() if values}
    first = {name: values for name, values in chosen.items() if name != later}
    tag = chosen.get("tag") or {"key": "team", "ignoreCase": False}
    by_tag = {"groupByTag": tag["key"], "ignoreTagCase": tag["ignoreCase"]}
    by = by_tag if later == "tag" else {"groupBy": [_GROUPED[later]]}
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
