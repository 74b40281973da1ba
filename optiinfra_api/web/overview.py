"""The first page: what this month costs against the same days of the last, what moved, and how the accounts are doing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.exploring.periods import Days, month_to_date
from optiinfra_api.exploring.state import TAG, State
from optiinfra_api.web.breakdown import Row, chart, chosen_currency, compared, currencies, groups_of, rows, series_of
from optiinfra_api.web.outlook import budget_of
from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.day_span import next_month

TEAM: Final = "team"
"""The tag that movers are shown by."""

REACH: Final = """query Reach($customer: String, $period: Period!) {
  totalCost(customerId: $customer, period: $period) { dataThrough }
}"""
"""Asked first: how far the data of this month reach."""

_TOLD_DAYS: Final = 7
"""Messages of so many days are shown."""
_USUAL_LAG: Final = 3
"""Days that clouds usually need for the costs of a day."""

_MOVERS: Final = 6
_COMPARED: Final = f"customerId: $customer, period: $now, with: $before, limit: {_MOVERS}"
_MOVED: Final = "{ groups { %s currency isOther groups before { amount } after { amount } } }"
_ANOMALIES: Final = 5
_TOTAL: Final = "{ totals { cost { amount currency } lineItems } dataThrough isComplete publishedAt isSimulated }"
DOCUMENT: Final = f"""query Overview($customer: String, $now: Period!, $before: Period!, $last: Period!, $chart: Period!) {{
  now: totalCost(customerId: $customer, period: $now) {_TOTAL}
  before: totalCost(customerId: $customer, period: $before) {_TOTAL}
  last: totalCost(customerId: $customer, period: $last) {_TOTAL}
  chart: costTrends(customerId: $customer, period: $chart, groupBy: [SERVICE]) {{
    series {{ service currency dates amounts cost {{ amount }} lineItems }}
  }}
  service: compareCosts({_COMPARED}, groupBy: [SERVICE]) {_MOVED % "service"}
  account: compareCosts({_COMPARED}, groupBy: [ACCOUNT]) {_MOVED % "account"}
  tag: compareCosts({_COMPARED}, groupByTag: "{TEAM}") {_MOVED % "tag"}
  anomalies(customerId: $customer, first: {_ANOMALIES}, filter: {{state: [OPEN]}}) {{ nodes {{ anomalyId sentence isSimulated }} }}
  accounts(customerId: $customer, first: 1000) {{
    nodes {{
      id provider isActive isSimulated dataThrough lastCollectedAt knownBillingPeriods dueBillingPeriods lastError
      failures {{ billingPeriod message fault since retryAt remedy }}
    }}
  }}
}}"""
"""What the page asks."""

OUTLOOK: Final = """query OverviewOutlook($customer: String) {
  forecast(customerId: $customer, forecastDays: 1) {
    series { currency totals { span afterCredits { expected { amount } bounds { level lower upper } } } }
  }
  budgetStatus(customerId: $customer, first: 100) {
    nodes { budget { name currency } periodEnd amount spent forecast lower80 upper80 probability passedOn state reason }
  }
  dead: alertDeliveries(customerId: $customer, first: 5, state: DEAD) { nodes { ...Message } }
  told: alertDeliveries(customerId: $customer, first: 5) { nodes { ...Message } }
}
fragment Message on AlertDelivery { deliveryId ruleName channelName state titles createdAt error }"""
"""What is asked beside it: what the rest of the month will cost, budgets, and what was told."""

AUTOMATIONS: Final = "{ automations { kind name isRunning } }"
"""Asked for administrators of all customers beside it."""


@dataclass(frozen=True, slots=True)
class Total:
    """What the month came to in one currency, and what it is compared with."""

    currency: str
    now: Decimal
    before: Decimal
    last: Decimal


@dataclass(frozen=True, slots=True)
class Movers:
    """The groups of one dimension that changed most.

    Attributes:
        more: how many others there are.
    """

    title: str
    rows: list[Row]
    more: int
    all_link: str


async def show(visit: Visit) -> Response:
    """Answer the page."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Overview")
    now = month_to_date(await _end(visit))
    before = now.before()
    last = Days(before.start, now.start)
    whole = Days(before.start, now.end)
    periods = {"now": now.graphql, "before": before.graphql, "last": last.graphql, "chart": whole.graphql}
    found, ahead, stopped = await asyncio.gather(
        visit.ask(DOCUMENT, customer=visit.customer_id, **periods),
        visit.ask(OUTLOOK, customer=visit.customer_id),
        _stopped(visit),
    )
    accounts = (found.get("accounts") or {}).get("nodes", [])
    totals = _totals(found)
    currency = chosen_currency(visit.request.query_params.get("currency", ""), [one.currency for one in totals])
    drawn = rows(series_of(found, "chart"), ("service",), currency)
    return visit.shown(
        "overview",
        "Overview",
        found=found,
        now=now,
        before=before,
        last=last,
        totals=totals,
        rest=_rest(ahead),
        budgets=[one for one in map(budget_of, _nodes(ahead, "budgetStatus")) if one["badge"] != "good"],
        currency=currency,
        movers=[_movers(visit, found, now, currency, which) for which in _DIMENSIONS],
        chart=chart(drawn, list(whole.buckets("DAILY")), currency) if drawn else None,
        odd=[
            (one, visit.link("/anomalies/anomaly", id=one["anomalyId"]))
            for one in (found.get("anomalies") or {}).get("nodes", [])
        ],
        messages=_messages(ahead, visit.now - timedelta(days=_TOLD_DAYS)),
        accounts=accounts,
        failures=[{**failure, "account": one["id"]} for one in accounts for failure in one["failures"]],
        stopped=stopped,
        progress=_progress(accounts),
        explore=visit.link("/explore", **State.of_days(now, currency=currency, compares=True).parameters()),
    )


def _nodes(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (found.get(name) or {}).get("nodes", [])
    return nodes


def _messages(ahead: Mapping[str, Any], since: datetime) -> list[dict[str, Any]]:
    """The messages of alerts that were found since an instant: those that were given up, then the others, each the newest first."""
    found = {one["deliveryId"]: one for name in ("dead", "told") for one in _nodes(ahead, name)}
    return [one for one in found.values() if datetime.fromisoformat(one["createdAt"]) >= since]


def _rest(ahead: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the days of the month are expected to cost that are not final, with the 80 % bounds of that, by currency."""
    found = {}
    for one in (ahead.get("forecast") or {}).get("series", []):
        after = one["totals"][0]["afterCredits"]
        ends = [Decimal(after["bounds"][0][end]) for end in ("lower", "upper")] if after["bounds"] else None
        found[one["currency"]] = {"expected": Decimal(after["expected"]["amount"]), "ends": ends}
    return found


async def _end(visit: Visit) -> date:
    """The day before which the days are that the page compares: those that are complete, unless an account is far behind.

    The days of the month before are complete, so that others would look cheap beside them.
    """
    today = visit.now.date()
    month = Days(today.replace(day=1), next_month(today))
    found = await visit.ask(REACH, customer=visit.customer_id, period=month.graphql)
    through = (found.get("totalCost") or {}).get("dataThrough")
    end = datetime.fromisoformat(through).date() if through else today
    return end if today - timedelta(days=_USUAL_LAG) <= end <= today else today


async def _stopped(visit: Visit) -> list[str]:
    """What does not run although all collections depend on it, as far as the reader may know of it."""
    if not visit.session.principal.is_platform_admin or visit.is_read_only:
        return []
    automations = (await visit.ask(AUTOMATIONS)).get("automations")
    if automations is None:
        return ["Dagster does not answer"]
    return [f"The {one['kind'].lower()} {one['name']} is stopped" for one in automations if not one["isRunning"]]


_DIMENSIONS: Final = (
    ("service", "by service", "SERVICE"),
    ("account", "by account", "ACCOUNT"),
    ("tag", "by team tag", TAG),
)


def _totals(found: Mapping[str, Any]) -> list[Total]:
    answers = {name: (found.get(name) or {}).get("totals", []) for name in ("now", "before", "last")}
    sums = {
        name: {one["cost"]["currency"]: Decimal(one["cost"]["amount"]) for one in totals}
        for name, totals in answers.items()
    }
    none = Decimal(0)
    return [
        Total(one, *(sums[name].get(one, none) for name in ("now", "before", "last")))
        for one in currencies(*answers.values())
    ]


def _movers(visit: Visit, found: Mapping[str, Any], days: Days, currency: str, which: tuple[str, str, str]) -> Movers:
    name, title, dimension = which
    state = State.of_days(days, currency=currency, compares=True)

    def link(key: tuple[str | None, ...]) -> str:
        return visit.link("/explore", **state.filtered(dimension, key[0], tag=TEAM).drilled(dimension).parameters())

    moved = compared(groups_of(found, name), (), (name,), currency, link)
    grouped = replace(state, groups=(dimension,), tag=TEAM if dimension == TAG else "")
    more = moved.others.groups if moved.others else 0
    return Movers(title, moved.rows, more, visit.link("/explore", **grouped.parameters()))


def _progress(accounts: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """How many months of the accounts are collected, while some are not."""
    active = [one for one in accounts if one["isActive"]]
    known = sum(one["knownBillingPeriods"] for one in active)
    due = sum(one["dueBillingPeriods"] for one in active)
    unseen = sum(not one["knownBillingPeriods"] for one in active)
    return {"known": known, "done": known - due, "due": due, "unseen": unseen} if due or unseen else None
