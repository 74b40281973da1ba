"""The GraphQL documents that tools ask, and exact sums of what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from optiinfra_api.mcp.answers import MAX_TOTALS
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum, plain

REACH: Final = ("dataThrough", "isComplete", "publishedAt", "isSimulated")
"""Fields of every answer about costs."""

_REACH: Final = " ".join(REACH)
_READ: Final = "customerId: $customer, filter: $filter, costBasis: $basis, asOf: $asOf"
_GROUPED: Final = f"{_READ}, granularity: $granularity, groupBy: $groupBy, groupByTag: $tag"
_DECLARED: Final = "$customer: String, $period: Period!, $filter: CostFilter, $basis: CostBasis!, $asOf: DateTime"
_DECLARED_GROUPS: Final = f"{_DECLARED}, $granularity: Granularity!, $groupBy: [Dimension!], $tag: String"

ACCOUNTS: Final = """query McpAccounts($customer: String, $provider: String) {
  accounts(customerId: $customer, provider: $provider, first: 1000) {
    nodes {
      id provider isActive isSimulated dataThrough lastPublishedAt lastCollectedAt knownBillingPeriods dueBillingPeriods lastError
    }
    pageInfo { hasNextPage }
  }
}"""
RESOURCES: Final = f"""query McpResources({_DECLARED}, $first: Int!) {{
  totalCost(period: $period, {_READ}) {{ totals {{ cost {{ amount currency }} unpricedLineItems }} {_REACH} }}
  costsByResource(period: $period, {_READ}, first: $first) {{
    nodes {{ provider account resourceId name type services regions cost {{ amount currency }} }}
    pageInfo {{ hasNextPage }}
  }}
}}"""
TAGS: Final = f"""query McpTags({_DECLARED}) {{
  totalCost(period: $period, {_READ}) {{ totals {{ cost {{ amount currency }} unpricedLineItems }} {_REACH} }}
  costMetrics(customerId: $customer, period: $period, filter: $filter, asOf: $asOf, first: 1000) {{ nodes {{ tags }} }}
}}"""

Sums = dict[tuple[str | None, ...], Decimal]
"""Amounts by group, which ends with the currency."""


def of_series(name: str, fields: Sequence[str], more: str = "", *, compares: bool = False) -> str:
    """The document `name` of costs over time (`now`) by `fields`; with `compares` also those of the period before (`before`)."""
    asked = " ".join([*fields, "currency", more, "cost { amount currency } unpricedLineItems"])
    before = f"\n  before: costTrends(period: $before, {_GROUPED}) {{ series {{ {asked} }} {_REACH} }}" * compares
    return (
        f"query {name}({_DECLARED_GROUPS}{', $before: Period!' * compares}) {{\n"
        f"  now: costTrends(period: $period, {_GROUPED}) {{ series {{ {asked} }} {_REACH} }}{before}\n}}"
    )


def groups(dimensions: Sequence[str], tag: str | None, granularity: str = "TOTAL") -> dict[str, Any]:
    """The variables that say what series are told apart by. There are sums over all of a period with months too, and months are fewest."""
    return {
        "groupBy": list(dict.fromkeys(dimensions)) or None,
        "tag": tag,
        "granularity": "MONTHLY" if granularity == "TOTAL" else granularity,
    }


def totals(sums: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sum of each currency, and how many of its line items have no price in the asked cost basis."""
    unpriced: dict[str, int] = {}
    for one in sums:
        currency = one["cost"]["currency"]
        unpriced[currency] = unpriced.get(currency, 0) + int(one["unpricedLineItems"])
    return _few(
        {"currency": currency, "cost": plain(amount)}
        | ({"lineItemsWithoutPrice": unpriced[currency]} if unpriced[currency] else {})
        for currency, amount in _by_currency(sums_of(sums, ())).items()
    )


def sums_of(series: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Sums:
    """The exact amounts of series by group."""
    found: Sums = {}
    for one in series:
        group = (*(one[field] for field in fields), one["cost"]["currency"])
        found[group] = exact_sum((found.get(group, Decimal(0)), Decimal(one["cost"]["amount"])))
    return found


def movements(before: Sums, now: Sums) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """What moved: the total of each currency, and a row for each group, by currency and then the largest movement first."""
    groups_ = sorted(before.keys() | now.keys(), key=lambda group: [one or "" for one in group])
    moved = [(group, _moved(before.get(group), now.get(group))) for group in groups_]
    moved.sort(key=lambda one: (one[0][-1] or "", Decimal(one[1]["change"] or 0).copy_abs().copy_negate()))
    befores, nows = _by_currency(before), _by_currency(now)
    currencies = sorted(befores.keys() | nows.keys())
    sums = _few({"currency": one, **_moved(befores.get(one), nows.get(one))} for one in currencies)
    return sums, [[*group, *one.values()] for group, one in moved]


def _moved(before: Decimal | None, now: Decimal | None) -> dict[str, str | None]:
    before, now = before or Decimal(0), now or Decimal(0)
    change = exact_difference(now, before)
    percent = f"{change / before * 100:.1f}" if before > 0 else None
    return {"before": plain(before), "now": plain(now), "change": plain(change), "changePercent": percent}


def _by_currency(sums: Sums) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for (*_, currency), amount in sums.items():
        found[currency or ""] = exact_sum((found.get(currency or "", Decimal(0)), amount))
    return dict(sorted(found.items()))


def _few(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many totals as an answer has room for."""
    all_ = list(found)
    more = len(all_) - MAX_TOTALS
    return all_[:MAX_TOTALS] + ([{"moreCurrencies": more}] if more > 0 else [])
