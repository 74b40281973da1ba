"""totalCost: the cost of a period, one sum for each currency."""

from __future__ import annotations

from typing import Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, PeriodAsked, cost_query
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.fields.costs.money import Published, Sum, freshness_fields, sum_of
from optiinfra_api.graphql.resolvers import resolved


@strawberry.type(description="The sum of all charges in one currency.")
class CurrencyTotal(Sum):
    pass


@strawberry.type(description="What a period cost.")
class TotalCost(Published):
    totals: list[CurrencyTotal] = strawberry.field(
        description="One for each currency, by its code; empty if nothing was charged."
    )


@strawberry.type
class TotalCostQuery:
    @resolved("What a period cost, one sum for each currency.")
    async def total_cost(
        self,
        info: Info,
        period: PeriodAsked,
        customer_id: CustomerId = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> TotalCost | None:
        question = cost_query(period, filter, as_of)
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency)
        resolved, rows = await series(data, question, cost_basis, display=display)
        totals: list[Any] = [sum_of(row) for row in rows]
        return TotalCost(totals=totals, **freshness_fields(resolved, display))
