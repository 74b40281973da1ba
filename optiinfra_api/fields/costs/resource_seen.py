"""Since when resources are there, and until when: the first and the last day that is published with a charge for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from optiinfra_api.access.context import CustomerData
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.domain.accounts import BillingPeriod

Seen = dict[tuple[str, str], tuple[str, str]]
"""First and last day by account and resource id."""


async def seen(data: CustomerData, as_of: CostQuery, resources: Iterable[tuple[str, str]]) -> Seen:
    """Return the first and the last day of each of some resources (account, resource id), of all that is published.

    Their months tell where to look: only there are line items read.

    Args:
        as_of: whose instant counts.

    Raises:
        TooExpensive: these are too many line items.
    """
    asked = set(resources)
    if not asked:
        return {}
    ever = CostQuery(None, None, as_of.as_of, accounts=tuple(sorted({account for account, _ in asked})))
    ids = sorted({resource for _, resource in asked})
    all_ = await data.resolve(ever)
    rows = await data.rows("resource_months", ever, all_, resources=ids)
    its = [row for row in rows if (row["account"], row["resource"]) in asked]
    months = sorted({date.fromisoformat(row[name]) for row in its for name in ("first_month", "last_month")})
    if not months:
        return {}
    answering = [
        one.generation for one in all_.publications if any(one.has_charges_in(month, _next(month)) for month in months)
    ]
    days = await data.rows(
        "resource_seen",
        replace(ever, start=months[0], end=_next(months[-1])),
        replace(all_, generations=tuple(answering), extent=None),
        resources=ids,
        months=months,
    )
    return {(row["account"], row["resource"]): (row["first_seen"], row["last_seen"]) for row in days}


def _next(month: date) -> date:
    return BillingPeriod.of(month).end.date()
