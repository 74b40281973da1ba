"""The GraphQL documents that tools ask, and exact sums of what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from optiinfra_api.mcp.answers import MAX_TOTALS
from optiinfra_assets.domain.exact_amounts import exact_sum, plain

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


def of_series(name: str, fields: Sequence[str], more: str = "") -> str:
    """The document `name` of costs over time (`now`) by `fields`."""
    asked = " ".join([*fields, "currency", more, "cost { amount currency } unpricedLineItems"])
    return (
        f"query {name}({_DECLARED_GROUPS}) {{\n"
        f"  now: costTrends(period: $period, {_GROUPED}) {{ series {{ {asked} }} {_REACH} }}\n}}"
    )


def of_movements(fields: Sequence[str], *, with_effects: bool) -> str:
    """The document of what moved, by `fields`."""
    compared = "currency before { amount } after { amount } difference { amount }"
    compared += " priceEffect { amount } usageEffect { amount } whyNoEffect" * with_effects
    return (
        f"query McpComparison({_DECLARED}, $before: Period!, $groupBy: [Dimension!], $tag: String, $limit: Int!) {{\n"
        f"  compareCosts(period: $period, with: $before, {_READ}, groupBy: $groupBy, groupByTag: $tag, limit: $limit) {{\n"
        f"    totals {{ {compared} unpricedLineItems }}\n"
        f"    groups {{ {' '.join(fields)} isOther groups {compared} }} {_REACH}\n  }}\n}}"
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
    return few(
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


def moved(one: Mapping[str, Any]) -> dict[str, Any]:
    """How a group or a total moved, with its effects if they were asked."""
    before, change = one["before"]["amount"], one["difference"]["amount"]
    percent = f"{Decimal(change) / Decimal(before) * 100:.1f}" if Decimal(before) > 0 else None
    found = {"before": before, "now": one["after"]["amount"], "change": change, "changePercent": percent}
    if "whyNoEffect" in one:
        effects = {name: one[name] and one[name]["amount"] for name in ("priceEffect", "usageEffect")}
        found |= effects | {"whyNoEffect": one["whyNoEffect"]}
    return found


def moved_totals(sums: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How all costs of each currency moved."""
    return few(
        {"currency": one["currency"], **moved(one)}
        | ({"lineItemsWithoutPrice": one["unpricedLineItems"]} if one["unpricedLineItems"] else {})
        for one in sums
    )


def _by_currency(sums: Sums) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for (*_, currency), amount in sums.items():
        found[currency or ""] = exact_sum((found.get(currency or "", Decimal(0)), amount))
    return dict(sorted(found.items()))


def few(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many totals as an answer has room for."""
    all_ = list(found)
    more = len(all_) - MAX_TOTALS
    return all_[:MAX_TOTALS] + ([{"moreCurrencies": more}] if more > 0 else [])
