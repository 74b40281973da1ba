"""The page of one resource: what it cost each day, its tags, where it belongs, and since when it is there."""

from __future__ import annotations

from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.exploring.periods import PRESETS, Days
from optiinfra_api.exploring.state import BASES, State
from optiinfra_api.web.breakdown import chart, chosen_currency, currencies, rows
from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.exact_amounts import exact_sum

DOCUMENT: Final = """query Resource($customer: String, $account: String!, $resource: String!, $period: Period!, $basis: CostBasis!) {
  resource(customerId: $customer, accountId: $account, resourceId: $resource, period: $period, costBasis: $basis) {
    provider name type services regions subAccounts tags firstSeen lastSeen
    series { dates amounts cost { amount currency } lineItems }
    dataThrough isComplete publishedAt isSimulated
  }
}"""
"""Asked once for both periods that are compared, and for the days between them."""


async def show(visit: Visit) -> Response:
    """Answer the page."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Resources")
    given = visit.request.query_params
    state = State.of(given, visit.now.date())
    named = {"account": given.get("account", ""), "resource": given.get("resource", "")}
    asked = {"period": Days(state.before.start, state.days.end).graphql, "basis": state.basis, **named}
    resource = (await visit.ask(DOCUMENT, customer=visit.customer_id, **asked)).get("resource")
    if resource is None:
        status = HTTPStatus.OK if visit.problems else HTTPStatus.NOT_FOUND
        return visit.shown(
            "no_resource", "No such resource", status, account=named["account"], resource=named["resource"]
        )
    now, before = ([_within(one, days) for one in resource["series"]] for days in (state.days, state.before))
    offered = currencies(now, before)
    currency = chosen_currency(state.currency, offered)
    ranked, earlier = (rows(series, (), currency) for series in (now, before))
    for row in ranked:
        row.label = "Cost"
    drawn = chart(ranked, list(state.days.buckets("DAILY")), currency) if any(row.amounts for row in ranked) else None
    kept = {**named, **state.period(), "basis": state.basis}
    return visit.shown(
        "resource",
        resource["name"] or named["resource"],
        found=resource,
        account=named["account"],
        resource=named["resource"],
        state=state,
        total=ranked[0].total if ranked else Decimal(0),
        before=earlier[0].total if earlier else Decimal(0),
        currency=currency,
        currencies=[(one, visit.link("/resources/resource", **kept, currency=one)) for one in offered],
        chart=drawn,
        days=_days(drawn),
        services=[(one, _explored(visit, state, named["account"], one)) for one in resource["services"]],
        choices={"periods": PRESETS, "bases": BASES},
        hidden=visit.fields(named),
    )


def _within(series: dict[str, Any], days: Days) -> dict[str, Any]:
    """A series of some of its days."""
    points = zip(series["dates"], series["amounts"], strict=True)
    own = {day: amount for day, amount in points if days.start.isoformat() <= day < days.end.isoformat()}
    cost = {"amount": exact_sum(map(Decimal, own.values())), "currency": series["cost"]["currency"]}
    return {**series, "dates": list(own), "amounts": list(own.values()), "cost": cost, "currency": cost["currency"]}


def _days(drawn: dict[str, Any] | None) -> list[tuple[str, Decimal]]:
    """The days with a cost and their amounts, the newest first."""
    if drawn is None:
        return []
    amounts = map(Decimal, drawn["series"][0]["amounts"])
    return [(day, amount) for day, amount in zip(drawn["dates"], amounts, strict=True) if amount][::-1]


def _explored(visit: Visit, state: State, account: str, service: str) -> str:
    """Where all costs of a service of the account are looked at."""
    narrowed = state.filtered("ACCOUNT", account).filtered("SERVICE", service).drilled("SERVICE")
    return visit.link("/explore", **narrowed.parameters())
