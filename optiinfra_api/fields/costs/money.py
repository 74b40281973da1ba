"""The types that every answer about costs shares: money with its currency, sums, and the freshness of the answer."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import strawberry

from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.scalars import Count, DateText, DecimalText, decimal_text
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display


@strawberry.enum(description="Which rate converts a charge.")
class ConversionMethod(Enum):
    DAY = described("day", "That of its day.")
    MONTH = described("month", "The average of its month.")


@strawberry.type(
    description="What an amount is in the display currency: the sum of its charges, each at the rate of its day or month; exact."
)
class ConvertedMoney:
    amount: DecimalText | None = strawberry.field(
        description="The amount. Null: a rate is missing; a warning says which."
    )
    currency: str = strawberry.field(description="The display currency.")
    rate: DecimalText | None = strawberry.field(
        description="What one unit is worth in the display currency. Null: charges were converted at several rates, or one is missing."
    )
    rate_date: DateText | None = strawberry.field(
        description="Date of the quote behind `rate`. Null: there are several, or the currency is the same."
    )
    rate_source: str | None = strawberry.field(
        description="Who quoted the rates, such as `ECB`; `override`: the customer's own; `identity`: the currency is the same."
    )
    first_rate_date: DateText | None = strawberry.field(description="Date of the earliest quote behind it.")
    last_rate_date: DateText | None = strawberry.field(description="Date of the latest quote behind it.")


@strawberry.type(description="An exact amount in one currency. Amounts of different currencies are never added.")
class Money:
    amount: DecimalText = strawberry.field(description="The amount, exact.")
    currency: str = strawberry.field(description="ISO 4217 code, as the provider bills.")
    converted: ConvertedMoney | None = strawberry.field(
        default=None, description="The same in the display currency. Null: none is asked, or the amount is no cost."
    )


@strawberry.type(description="How an answer was converted to the display currency.")
class Conversion:
    currency: str = strawberry.field(description="The display currency.")
    method: ConversionMethod = strawberry.field(description="Which rate converts a charge of this customer.")
    total: DecimalText | None = strawberry.field(
        description="The sum of the answer over all currencies. Null: a rate is missing, or the answer is one of several pages."
    )
    warnings: list[str] = strawberry.field(description="What could not be converted, since a rate is missing.")


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
    conversion: Conversion | None = strawberry.field(
        default=None, description="How amounts were converted to `displayCurrency`. Null: it is not asked."
    )


def freshness_fields(
    resolved: ResolvedGenerations, display: Display | None = None, *, is_page: bool = False
) -> dict[str, Any]:
    """The fields of `Published`; `is_page`: there may be rows beyond those that `display` converted."""
    return {
        "conversion": None if display is None else _conversion(display, is_page=is_page),
        "data_through": resolved.data_through,
        "is_complete": resolved.is_complete,
        "published_at": resolved.published_at,
        "is_simulated": resolved.is_simulated,
    }


def _conversion(display: Display, *, is_page: bool) -> Conversion:
    total = None if is_page or display.total is None else decimal_text(display.total)
    method = ConversionMethod(str(display.method))
    return Conversion(currency=display.currency, method=method, total=total, warnings=display.warnings)


def converted_sum(amount: str | Decimal | None, display: Display | None) -> dict[str, Any] | None:
    """The fields of `ConvertedMoney` of a sum of what was converted at any rates; None if a display currency is not asked."""
    if display is None:
        return None
    text = decimal_text(amount) if isinstance(amount, Decimal) else amount
    return {"amount": text, "currency": display.currency, **_ANY_RATES}


_ANY_RATES = dict.fromkeys(("rate", "rate_date", "rate_source", "first_rate_date", "last_rate_date"))


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
        "cost": {"amount": row["total"], "currency": row["currency"], "converted": row.get("converted")},
        "line_items": row["line_items"],
        "unpriced_line_items": row["unpriced_line_items"],
    }


CONVERTED_AMOUNTS: Any = strawberry.field(
    default=None,
    description="Each of `amounts` in the display currency, null where a rate is missing. Null: none is asked.",
)
RATES: Any = strawberry.field(
    default=None,
    description="The rate of each of `convertedAmounts`; null where charges have several rates, or one is missing.",
)


def converted_columns(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a series beside its amounts that are there if a display currency is asked."""
    return {name: row.get(name) for name in ("converted_amounts", "rates")}
