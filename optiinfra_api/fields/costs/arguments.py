"""The GraphQL arguments that cost queries share, and their conversion to a checked `CostQuery`."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Annotated

import strawberry

from optiinfra_api.graphql.enums import described
from optiinfra_api.reading.cost_query import CostQuery, validated
from optiinfra_assets.domain.charge_filters import FILTERS, TagCondition
from optiinfra_assets.domain.focus import CHARGE_CATEGORIES


@strawberry.enum(description="Which cost of FOCUS is summed.")
class CostBasis(Enum):
    BILLED = described("billed_cost", "What is invoiced.")
    EFFECTIVE = described("effective_cost", "Amortised: prepaid purchases are spread over what they cover.")
    LIST = described("list_cost", "At public prices.")
    CONTRACTED = described("contracted_cost", "At negotiated prices, before commitment discounts.")


@strawberry.input(description="UTC days on which charges begin.")
class Period:
    start: date = strawberry.field(description="First day, inclusive.")
    end: date = strawberry.field(description="Last day, exclusive.")


@strawberry.input(description="Line items by the value of one tag.")
class TagFilter:
    key: str = strawberry.field(description="Name of the tag, as the provider writes it.")
    values: list[str | None] = strawberry.field(
        description="Accepted values; null: line items without the tag, an empty text: line items whose tag is empty."
    )
    ignore_case: bool = strawberry.field(
        default=False, description="Tags of that name in upper or lower case are one. Values always have their case."
    )


@strawberry.input(
    description="Only line items that match every given field. Null in a list: line items without that attribute."
)
class CostFilter:
    provider: list[str] | None = strawberry.field(default=None, description="Providers, such as `aws`.")
    account: list[str] | None = strawberry.field(default=None, description="Account ids of this platform.")
    sub_account: list[str | None] | None = strawberry.field(default=None, description="The provider's sub account ids.")
    service: list[str | None] | None = strawberry.field(default=None, description="Service names.")
    region: list[str | None] | None = strawberry.field(default=None, description="Region ids.")
    charge_category: list[str] | None = strawberry.field(
        default=None, description=f"Of {', '.join(CHARGE_CATEGORIES)}."
    )
    currency: list[str] | None = strawberry.field(default=None, description="Billing currencies.")
    service_provider: list[str | None] | None = strawberry.field(default=None, description="Who provides the services.")
    service_category: list[str | None] | None = strawberry.field(
        default=None, description="Categories of services of FOCUS, such as `Compute`."
    )
    invoice: list[str | None] | None = strawberry.field(default=None, description="Invoice ids.")
    billing_period: list[str] | None = strawberry.field(
        default=None, description="Months that the charges are invoiced in, such as `2026-11`."
    )
    sku: list[str | None] | None = strawberry.field(default=None, description="SKU ids.")
    pricing_category: list[str | None] | None = strawberry.field(
        default=None, description="Standard, Dynamic, Committed or Other."
    )
    commitment: list[str | None] | None = strawberry.field(default=None, description="Commitment discount ids.")
    tag: TagFilter | None = strawberry.field(default=None, description="One tag.")
    tags: list[TagFilter] | None = strawberry.field(
        default=None, description="Several tags, at most 20: all of them have to match, and `tag` too."
    )


def cost_query(period: Period | None, filter_: CostFilter | None, as_of: datetime | None) -> CostQuery:
    """Convert the arguments to a checked cost query.

    Raises:
        InvalidArgument: as in `validated`.
    """
    chosen = filter_ or CostFilter()
    tags = [*((chosen.tag,) if chosen.tag else ()), *(chosen.tags or ())]
    return validated(
        (period.start, period.end) if period else None,
        as_of,
        tags=[TagCondition(one.key, tuple(one.values), one.ignore_case) for one in tags],
        **{name: getattr(chosen, name) for name in FILTERS},
    )


PeriodAsked = Annotated[Period, strawberry.argument(description="UTC days on which the charges begin.")]


Filter = Annotated[CostFilter | None, strawberry.argument(description="Only some line items. Default: all.")]


DisplayCurrency = Annotated[
    str | None,
    strawberry.argument(
        description="Also show amounts in this currency, an ISO 4217 code such as EUR. Default: only as billed."
    ),
]


Basis = Annotated[CostBasis, strawberry.argument(description="The cost that is summed. Default: BILLED.")]
