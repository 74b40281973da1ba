"""The types that every answer about costs shares: money with its currency, sums, and the freshness of the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry

from optiinfra_api.graphql.scalars import Count, DecimalText
from optiinfra_assets.domain.publications import ResolvedGenerations


@strawberry.type(description="An exact amount in one currency. Amounts of different currencies are never added.")
class Money:
    amount: DecimalText = strawberry.field(description="The amount, exact.")
    currency: str = strawberry.field(description="ISO 4217 code, as the provider bills.")


@strawberry.interface(description="Costs as they are published, with how far they reach.")
class Published:
    data_through: datetime | None = strawberry.field(
        description="The answer is complete up to this instant (exclusive). Null: an account's reach is unknown, or nothing is published."
    )
    is_complete: bool = strawberry.field(description="No charge of the asked period is still to come.")
    published_at: datetime | None = strawberry.field(
        description="When the newest of the published data behind this answer appeared. Null: nothing is published."
    )
    is_simulated: bool = strawberry.field(
        description="Some of these figures come from a simulator or from sample files, not from a cloud."
    )


def freshness_fields(resolved: ResolvedGenerations) -> dict[str, Any]:
    """The fields of `Published`."""
    return {
        "data_through": resolved.data_through,
        "is_complete": resolved.is_complete,
        "published_at": resolved.published_at,
        "is_simulated": resolved.is_simulated,
    }


@strawberry.interface(description="A sum of charges in one currency.")
class Sum:
    cost: Money = strawberry.field(description="Sum in the asked cost basis.")
    line_items: Count = strawberry.field(description="Line items in the sum.")
    unpriced_line_items: Count = strawberry.field(
        description="Line items in it that have no price in the asked cost basis (LIST or CONTRACTED) and count as nothing."
    )


def sum_of(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Sum` from a row with total, currency, line_items and unpriced_line_items; see `graphql.row_execution`."""
    return {
        "cost": {"amount": row["total"], "currency": row["currency"]},
        "line_items": row["line_items"],
        "unpriced_line_items": row["unpriced_line_items"],
    }
