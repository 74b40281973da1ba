"""setForecastOverride, removeForecastOverride: what a person expects of a month in place of what is forecast."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.fields.costs.arguments import Filter, cost_query
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateText, DecimalText, decimal_text
from optiinfra_api.reading.cost_query import END_DAY, FIRST_DAY
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.exact_amounts import written
from optiinfra_assets.domain.rates import CURRENCY
from optiinfra_assets.metadata.forecasts import StoredOverride

_DIMENSIONS: Final = {
    "provider": "providers",
    "account": "accounts",
    "sub_account": "sub_accounts",
    "service": "services",
}
_LONGEST_NOTE: Final = 500


@strawberry.type(description="What a person expects of a month, in place of what is forecast.")
class ForecastOverride:
    override_id: str = strawberry.field(description="Its id, for `removeForecastOverride`.")
    month: DateText = strawberry.field(description="The first day of the month.")
    provider: list[str] = strawberry.field(description="Only these providers; empty: all.")
    account: list[str] = strawberry.field(description="Only these accounts; empty: all.")
    sub_account: list[str] = strawberry.field(description="Only these sub accounts; empty: all.")
    service: list[str] = strawberry.field(description="Only these services; empty: all.")
    currency: str | None = strawberry.field(description="The currency of `amount`.")
    amount: DecimalText | None = strawberry.field(
        description="What the whole month will cost before credits, the days that are over included."
    )
    factor: DecimalText | None = strawberry.field(
        description="Or: times what is forecast, such as 2 for twice as much."
    )
    note: str = strawberry.field(description="Why.")
    author_name: str = strawberry.field(description="Name of the token that expects it.")
    made_at: datetime = strawberry.field(description="Since when.")

    @classmethod
    def of(cls, one: StoredOverride) -> ForecastOverride:
        """Make one from its record."""
        return cls(
            override_id=one.override_id,
            month=DateText(one.month.isoformat()),
            **{name: list(one.chosen.get(name, ())) for name in _DIMENSIONS},
            currency=one.currency,
            amount=None if one.amount is None else decimal_text(one.amount),
            factor=None if one.factor is None else decimal_text(one.factor),
            note=one.note,
            author_name=one.author_name,
            made_at=one.made_at,
        )


@strawberry.type(description="The override stands; the figures of `forecast` have it from now on.")
class ForecastOverrideSet:
    override: ForecastOverride = strawberry.field(description="As it is.")


@strawberry.type(description="The override is over; what was forecast with it can be asked for with `asOf`.")
class ForecastOverrideRemoved:
    override: ForecastOverride = strawberry.field(description="As it was.")


@strawberry.type(description="Something of the override is not accepted.")
class ForecastOverrideNotAccepted(Refusal):
    pass


@strawberry.type(description="No such override stands.")
class ForecastOverrideNotFound(Refusal):
    pass


SetResult = Annotated[
    ForecastOverrideSet | ForecastOverrideNotAccepted,
    strawberry.union("SetForecastOverrideResult", description="The override, or why it does not stand."),
]
RemoveResult = Annotated[
    ForecastOverrideRemoved | ForecastOverrideNotFound,
    strawberry.union("RemoveForecastOverrideResult", description="What the override was, or why nothing changed."),
]
Month = Annotated[date, strawberry.argument(description="A day of the month.")]
Amount = Annotated[
    DecimalText | None,
    strawberry.argument(
        description="What the whole month will cost before credits. Goes with currency, without factor."
    ),
]
Factor = Annotated[
    DecimalText | None, strawberry.argument(description="Times what is forecast, such as 2 for twice as much.")
]
Currency = Annotated[str | None, strawberry.argument(description="The currency of `amount`.")]
Note = Annotated[str, strawberry.argument(description=f"Why, at most {_LONGEST_NOTE} characters.")]
OverrideId = Annotated[str, strawberry.argument(description="As `forecast` shows it.")]


@strawberry.type
class ForecastMutation:
    @resolved("Expect something else of a month than is forecast, of all costs or of some; for operators.")
    async def set_forecast_override(
        self,
        info: Info,
        month: Month,
        amount: Amount = None,
        currency: Currency = None,
        factor: Factor = None,
        filter: Filter = None,
        note: Note = "",
        customer_id: CustomerId = None,
    ) -> SetResult | None:
        info.context.require("operator")
        info.context.require_may_change()
        data = await info.context.data_of(customer_id)
        question = cost_query(None, filter, None)
        try:
            _check_filter(question)
            chosen = {name: list(getattr(question, values)) for name, values in _DIMENSIONS.items()}
            wanted = _wanted(month, amount, currency, factor, note)
            wanted["chosen"] = {name: values for name, values in chosen.items() if values}
            found = await data.run(
                data.services.metadata.forecasts.override,
                wanted,
                principal=info.context.principal,
                now=data.services.clock(),
                origin=info.context.address,
            )
        except ValueError as error:
            return ForecastOverrideNotAccepted(
                code="OVERRIDE_NOT_ACCEPTED", message=str(error), remedy="Change what the message names."
            )
        return ForecastOverrideSet(override=ForecastOverride.of(found))

    @resolved("Take back what somebody expected of a month; for operators.")
    async def remove_forecast_override(
        self, info: Info, override_id: OverrideId, customer_id: CustomerId = None
    ) -> RemoveResult | None:
        info.context.require("operator")
        info.context.require_may_change()
        data = await info.context.data_of(customer_id)
        try:
            end = data.services.metadata.forecasts.end_override
            by = {"principal": info.context.principal, "origin": info.context.address}
            found = await data.run(end, override_id, now=data.services.clock(), **by)
        except RecordNotFound as error:
            remedy = "Use an overrideId that `forecast` shows."
            return ForecastOverrideNotFound(code="OVERRIDE_NOT_FOUND", message=str(error), remedy=remedy)
        return ForecastOverrideRemoved(override=ForecastOverride.of(found))


def _check_filter(chosen: ChargeFilter) -> None:
    if chosen.tags or chosen.chosen().keys() - _DIMENSIONS.keys():
        raise ValueError("filter: an override is of providers, accounts, sub accounts and services")


def _wanted(month: date, amount: str | None, currency: str | None, factor: str | None, note: str) -> dict[str, Any]:
    if (amount is None) == (factor is None):
        raise ValueError("amount: give either an amount with its currency, or a factor")
    if (amount is None) != (currency is None):
        raise ValueError("currency: goes with amount, and with amount only")
    if currency is not None and not CURRENCY.fullmatch(currency):
        raise ValueError(f"currency: {currency[:100]!r} is not accepted: use an ISO 4217 code, such as EUR")
    if not FIRST_DAY <= month < END_DAY:
        raise ValueError(f"month: {month} is not accepted: use a day from {FIRST_DAY} to before {END_DAY}")
    if len(note) > _LONGEST_NOTE:
        raise ValueError(f"note: longer than {_LONGEST_NOTE} characters")
    return {
        "month": month.replace(day=1),
        "amount": None if amount is None else written("amount", amount),
        "factor": None if factor is None else written("factor", factor),
        "currency": currency,
        "note": note,
    }
