"""costsByType: costs of a period by kind of charge."""

from __future__ import annotations

from typing import Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, PeriodAsked, cost_query
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.fields.costs.money import Published, Sum, freshness_fields, sum_of
from optiinfra_api.graphql.resolvers import resolved

_DIMENSIONS = ("charge_category", "charge_class", "charge_frequency", "pricing_category")


@strawberry.type(
    description="The sum of one kind of charge in one currency, by the four columns of FOCUS that say what kind it is."
)
class TypeCost(Sum):
    charge_category: str | None = strawberry.field(description="Usage, Purchase, Tax, Credit or Adjustment.")
    charge_class: str | None = strawberry.field(description="Correction, or null for what is not one.")
    charge_frequency: str | None = strawberry.field(description="One-Time, Recurring or Usage-Based.")
    pricing_category: str | None = strawberry.field(description="Standard, Dynamic, Committed or Other.")


@strawberry.type(description="Costs by kind of charge.")
class CostsByType(Published):
    types: list[TypeCost] = strawberry.field(description="By currency, then largest sum first.")


@strawberry.type
class CostsByTypeQuery:
    @resolved("Costs of a period by kind of charge.")
    async def costs_by_type(
        self,
        info: Info,
        period: PeriodAsked,
        customer_id: CustomerId = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> CostsByType | None:
        question = cost_query(period, filter, as_of)
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency)
        resolved, rows = await series(data, question, cost_basis, group_by=_DIMENSIONS, display=display)
        return CostsByType(types=[_type(row) for row in rows], **freshness_fields(resolved, display))


def _type(row: dict[str, Any]) -> Any:
    """The fields of `TypeCost` from a row of `cost_series.series`; see `graphql.row_execution`."""
    return {**{name: row[name] or None for name in _DIMENSIONS}, **sum_of(row)}
