"""Resources: the most expensive of a period, those that are new since the period before, and those that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.exploring.periods import PRESETS
from optiinfra_api.exploring.state import State
from optiinfra_api.web.breakdown import chosen_currency, currencies
from optiinfra_api.web.filter_chips import chips, cleared
from optiinfra_api.web.visit import Visit

DOCUMENT: Final = """query Resources($customer: String, $period: Period!, $before: Period!, $filter: CostFilter) {
  now: costsByResource(customerId: $customer, period: $period, filter: $filter, first: 1000) {
    nodes { account provider resourceId name type services regions subAccounts cost { amount currency } lineItems }
    pageInfo { hasNextPage }
    dataThrough isComplete publishedAt isSimulated
  }
  before: costsByResource(customerId: $customer, period: $before, filter: $filter, first: 1000) {
    nodes { account provider resourceId name type services regions subAccounts cost { amount currency } lineItems }
    pageInfo { hasNextPage }
  }
}"""
VIEWS: Final = {"top": "Most expensive", "new": "New", "gone": "Gone"}
MOST_ROWS: Final = 100


async def show(visit: Visit) -> Response:
    """Answer the page."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Resources")
    given = visit.request.query_params
    state = State.of(given, visit.now.date())
    view = given.get("view") if given.get("view") in VIEWS else "top"
    periods = {"period": state.days.graphql, "before": state.before.graphql}
    found = await visit.ask(DOCUMENT, customer=visit.customer_id, filter=state.graphql_filter(), **periods)
    sides = {side: (found.get(side) or {}).get("nodes", []) for side in ("now", "before")}
    offered = currencies(*sides.values())
    currency = chosen_currency(state.currency, offered)
    now, before = (_by_resource(nodes, currency) for nodes in sides.values())
    chosen = {
        "top": list(now),
        "new": [key for key in now if key not in before and key[1]],
        "gone": [key for key in before if key not in now and key[1]],
    }
    narrowed = state.narrowing()

    def link(**more: str) -> str:
        return visit.link(
            "/resources", **{**state.period(), **narrowed, "view": str(view), "currency": currency, **more}
        )

    def one_link(key: Key) -> str | None:
        names = {"account": key[0], "resource": key[1] or "", **state.period()}
        return visit.link("/resources/resource", **names, currency=currency) if key[1] else None

    return visit.shown(
        "resources",
        "Resources",
        found=found.get("now"),
        state=state,
        view=view,
        views=[(key, label, len(chosen[key]), link(view=key)) for key, label in VIEWS.items()],
        rows=[{**_row(key, now, before), "link": one_link(key)} for key in chosen[str(view)][:MOST_ROWS]],
        more=len(chosen[str(view)]) - MOST_ROWS,
        is_cut=any((found.get(side) or {}).get("pageInfo", {}).get("hasNextPage") for side in sides),
        currency=currency,
        currencies=[(one, link(currency=one)) for one in offered],
        periods=PRESETS,
        filters=chips(visit, "/resources", state),
        cleared=cleared(visit, "/resources", state),
        hidden=visit.fields(narrowed),
    )


Key = tuple[str, str | None]


def _by_resource(nodes: list[dict[str, Any]], currency: str) -> dict[Key, dict[str, Any]]:
    return {(one["account"], one["resourceId"]): one for one in nodes if one["cost"]["currency"] == currency}


def _row(key: Key, now: Mapping[Key, dict[str, Any]], before: Mapping[Key, dict[str, Any]]) -> dict[str, Any]:
    one = now.get(key) or before[key]
    amounts = {name: Decimal(side[key]["cost"]["amount"]) if key in side else Decimal(0)
               for name, side in (("cost", now), ("was", before))}  # fmt: skip
    return {**one, **amounts}
