"""latestCosts: the newest days of each account that have charges."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, cost_query
from optiinfra_api.fields.costs.cost_series import cost_columns
from optiinfra_api.fields.costs.money import (
    CONVERTED_AMOUNTS,
    RATES,
    Published,
    Sum,
    converted_columns,
    freshness_fields,
    sum_of,
)
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateColumn, DecimalColumn
from optiinfra_assets.domain.publications import ResolvedGenerations

MAX_DAYS = 31


@strawberry.type(description="The newest days of one account with charges in one currency.")
class LatestCost(Sum):
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    currency: str = strawberry.field(description="Currency of the amounts.")
    dates: DateColumn = strawberry.field(description="The days.")
    amounts: DecimalColumn = strawberry.field(description="The cost of each of `dates`.")
    converted_amounts: DecimalColumn | None = CONVERTED_AMOUNTS
    rates: DecimalColumn | None = RATES
    data_through: datetime | None = strawberry.field(
        description="The account's data are complete up to this instant (exclusive). Null: unknown."
    )
    published_at: datetime = strawberry.field(description="When the newest data of the account were published.")


@strawberry.type(description="The newest costs of every account.")
class LatestCosts(Published):
    accounts: list[LatestCost] = strawberry.field(description="By provider, account and currency.")


Days = Annotated[
    int,
    strawberry.argument(description="How many of the newest days that have charges, 1 to 31. Default: 1."),
]


@strawberry.type
class LatestCostsQuery:
    @resolved("The newest days of every account and currency that have charges.")
    async def latest_costs(
        self,
        info: Info,
        days: Days = 1,
        customer_id: CustomerId = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> LatestCosts | None:
        check_days(days)
        question = cost_query(None, filter, as_of)
        if question.filtered():
            raise InvalidArgument(
                "filter: latestCosts knows provider, account and currency only",
                "Use costTrends for other filters.",
            )
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency)
        resolved, rows = await data.answered(
            question,
            lambda resolved: data.rows("latest_costs", question, resolved, **cost_columns(cost_basis), days=days),
        )
        if display is not None:
            await display.series(rows)
        accounts = resolved.by_account()
        return LatestCosts(
            accounts=[_latest(row, accounts[row["account"]]) for row in rows], **freshness_fields(resolved, display)
        )


def check_days(days: int) -> int:
    """Return `days`.

    Raises:
        InvalidArgument: `days` is not 1 to 31.
    """
    if not 1 <= days <= MAX_DAYS:
        raise InvalidArgument(f"days: {days} is not accepted", f"Use 1 to {MAX_DAYS}.")
    return days


def _latest(row: dict[str, Any], account: ResolvedGenerations) -> LatestCost:
    if account.published_at is None:
        raise ValueError(f"{row['account']} has charges but no publication")
    return LatestCost(
        provider=row["provider"],
        account=row["account"],
        currency=row["currency"],
        dates=row["dates"],
        amounts=row["amounts"],
        **converted_columns(row),
        data_through=account.data_through,
        published_at=account.published_at,
        **sum_of(row),
    )
