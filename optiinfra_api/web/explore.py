"""Explore: costs of any period, by up to two dimensions or a tag, filtered, compared, and looked into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from optiinfra_api.exploring.display import in_currency
from optiinfra_api.exploring.periods import GRANULARITIES, PRESETS
from optiinfra_api.exploring.state import BASES, DIMENSIONS, TAG, State
from optiinfra_api.web import saved_views
from optiinfra_api.web.breakdown import (
    LABELS,
    Key,
    chart,
    chosen_currency,
    compared,
    currencies,
    groups_of,
    rows,
    series_of,
    table,
)
from optiinfra_api.web.filter_chips import chips, cleared
from optiinfra_api.web.sign_in import redirect
from optiinfra_api.web.visit import Visit

MOST_ROWS: Final = 50
"""Rows of the table, unless the reader asks for all."""

ALL_ROWS: Final = 1000
"""Rows of the table then."""

MOST_VALUES: Final = 50
"""Values that a search for a filter offers."""

_ARGUMENTS: Final = "customerId: $customer, groupBy: $groupBy, groupByTag: $tag, filter: $filter, costBasis: $basis"
_MOVED: Final = "isOther groups before { amount } after { amount }"


async def show(visit: Visit, view_name: str = "") -> Response:
    """Answer the page; a form that adds a filter is led to the address that has it.

    Args:
        view_name: name of a view that could not be saved.
    """
    if visit.customer_id is None:
        return visit.shown("no_customer", "Explore")
    given = visit.request.query_params
    state = State.of(given, visit.now.date())
    if given.get("add") in (*DIMENSIONS, TAG):
        return redirect(visit.link("/explore", **_added(state, given).parameters()))
    fields = [DIMENSIONS.get(one, "tag") for one in state.groups]
    document, variables = _operation(state, visit.customer_id, fields)
    found = await visit.ask(document, **variables)
    now, moved = series_of(found, "costs"), groups_of(found, "moved")
    offered = currencies(now, moved)
    currency = chosen_currency(state.currency, offered) or state.currency
    shown = replace(state, currency=currency if len(offered) > 1 else "")

    def link(key: Key) -> str | None:
        return visit.link("/explore", **_narrowed(shown, key).parameters()) if key else None

    ranked = rows(now, fields, currency, link)
    figures = compared(moved, ranked, fields, currency, link) if moved else table(ranked, _most(state))
    seen = in_currency(document, visit.display)
    days = list(state.days.buckets(variables["granularity"]))
    return visit.shown(
        "explore",
        "Explore",
        found=found.get("costs"),
        state=shown,
        currency=currency,
        currencies=[(one, visit.link("/explore", **replace(shown, currency=one).parameters())) for one in offered],
        granularity=variables["granularity"],
        figures=figures,
        totals=figures.total,
        has_effects=state.compares and _has_effects(state),
        chart=chart(ranked, days, currency) if figures.rows else None,
        filters=chips(visit, "/explore", shown),
        all_link=visit.link("/explore", **replace(shown, shows_all=True).parameters()),
        cleared=cleared(visit, "/explore", shown),
        hidden=_hidden(visit, shown),
        kept=visit.fields(shown.parameters()),
        exports=_exports(state, visit, variables["granularity"]),
        graphql=(seen, json.dumps(variables, indent=2)),
        editor=f"/graphql?{urlencode({'query': seen, 'variables': json.dumps(variables, indent=2)})}",
        views=await saved_views.listed(visit, shown.view, view_name),
        resources_link=visit.link("/resources", **shown.period(), **shown.narrowing()),
        save_link=visit.link("/explore/views", **shown.parameters()),
        choices={"periods": PRESETS, "granularities": GRANULARITIES, "bases": BASES, "labels": LABELS},
    )


async def save_view(visit: Visit) -> Response:
    """Save what the address shows as a view, and lead to it."""
    link, name = await saved_views.save(visit)
    return redirect(link) if link else await show(visit, name)


async def remove_view(visit: Visit) -> Response:
    """Remove a saved view, and lead back."""
    return redirect(visit.link("/explore")) if await saved_views.remove(visit) else await show(visit)


async def values(visit: Visit) -> Response:
    """Answer the values of one dimension that the search for a filter offers, the most expensive first, as JSON."""
    given = visit.request.query_params
    state = State.of(given, visit.now.date())
    dimension, wanted, tag = given.get("of", ""), given.get("q", "").casefold(), given.get("ofTag", "")
    if dimension not in (*DIMENSIONS, TAG) or (dimension == TAG and not tag) or visit.customer_id is None:
        return JSONResponse({"values": []})
    others = {name: accepted for name, accepted in state.filters.items() if name != dimension}
    asked = replace(state, groups=(dimension,), tag=tag, filters=others, compares=False, granularity="MONTHLY")
    name = DIMENSIONS.get(dimension, "tag")
    document, variables = _operation(asked, visit.customer_id, [name])
    found = await visit.ask(document, **variables)
    offered = dict.fromkeys(one[name] for one in series_of(found, "costs"))
    matching = [one for one in offered if one and wanted in one.casefold()]
    return JSONResponse({"values": matching[:MOST_VALUES]}, headers={"Cache-Control": "no-store"})


def _operation(state: State, customer_id: str, fields: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The GraphQL document of what is seen, and its variables."""
    reach = "dataThrough isComplete publishedAt isSimulated"
    series = " ".join([*fields, "currency dates amounts cost { amount } lineItems unpricedLineItems"])
    effects = " priceEffect { amount } usageEffect { amount }" * _has_effects(state)
    groups = " ".join([*fields, f"currency lineItems: lineItemsBefore {_MOVED}{effects}"])
    before = (
        f"\n  moved: compareCosts(period: $period, with: $before, limit: $limit, {_ARGUMENTS}) {{ groups {{ {groups} }} }}"
        * state.compares
    )
    declared = (
        "$customer: String, $period: Period!, "
        + "$before: Period!, $limit: Int!, " * state.compares
        + "$granularity: Granularity!, $groupBy: [Dimension!], $tag: String, $filter: CostFilter, $basis: CostBasis!"
    )
    document = (
        f"query Explore({declared}) {{\n"
        f"  costs: costTrends(period: $period, granularity: $granularity, {_ARGUMENTS}) {{ series {{ {series} }} {reach} }}{before}\n}}"
    )
    variables = {
        "customer": customer_id,
        "period": state.days.graphql,
        "granularity": state.granularity or state.days.granularity(),
        "groupBy": [one for one in state.groups if one != TAG] or None,
        "tag": state.tag if TAG in state.groups else None,
        "filter": state.graphql_filter(),
        "basis": state.basis,
    }
    compared_with = {"before": state.before.graphql, "limit": _most(state)}
    return document, variables | (compared_with if state.compares else {})


def _most(state: State) -> int:
    """How many rows the table has; GraphQL answers no more than all."""
    return ALL_ROWS if state.shows_all else MOST_ROWS


def _has_effects(state: State) -> bool:
    """Whether changes are split by price and usage: only of one SKU that says something."""
    return "SKU" in state.groups


def _added(state: State, given: Mapping[str, str]) -> State:
    """The state with the filter that the form adds; without a value: charges that have none."""
    return state.also(given["add"], given.get("value") or None, given.get("addTag") or state.tag or state.tag_key)


def _narrowed(state: State, key: Key) -> State:
    """What a click on a group leads to: only that group, by what it is made of."""
    for dimension, value in zip(state.groups, key, strict=True):
        state = state.filtered(dimension, value)
    return state.drilled(*state.groups)


def _hidden(visit: Visit, state: State) -> list[tuple[str, str]]:
    """The parameters that the form keeps: filters, currency and customer. What it shows as controls is not among them."""
    return visit.fields(
        {
            **state.narrowing(),
            **{name: value for name, value in state.parameters().items() if name in ("currency", "view")},
        }
    )


def _exports(state: State, visit: Visit, granularity: str) -> list[tuple[str, str]]:
    """Format and address of the files with what is seen. In `/export`, an empty text stands for charges without the attribute."""
    parameters: list[tuple[str, str]] = [
        ("start", state.days.start.isoformat()),
        ("end", state.days.end.isoformat()),
        ("granularity", granularity),
        ("costBasis", state.basis),
        *(("groupBy", one) for one in state.groups if one != TAG),
        *((("groupByTag", state.tag),) if TAG in state.groups else ()),
        *((("tagKey", state.tag_key),) if TAG in state.filters else ()),
    ]
    for dimension, accepted in state.filters.items():
        name = DIMENSIONS.get(dimension, "tagValue")
        empty = '""' if dimension == TAG else ""
        parameters += [(name, "" if value is None else value or empty) for value in accepted]
    if visit.display:
        parameters.append(("displayCurrency", visit.display))
    if visit.customers and visit.customer_id:
        parameters.append(("customerId", visit.customer_id))
    query = urlencode(parameters)
    return [(form, f"/export/trends.{form.lower()}?{query}") for form in ("CSV", "Parquet")]
