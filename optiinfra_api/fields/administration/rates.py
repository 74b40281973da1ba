"""exchangeRates, customerRates, setRate, removeRate, setRateMethod: what converts costs from one currency to another."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.fields.costs.money import ConversionMethod
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DecimalText, decimal_text
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.rates import checked_rate
from optiinfra_assets.metadata.rates import MonthFrozen, RateOverride, StoredRate


@strawberry.type(description="What a source quotes for a currency.")
class ExchangeRate:
    currency: str = strawberry.field(description="The currency.")
    date: date = strawberry.field(description="The date of the quote.")
    per_euro: DecimalText = strawberry.field(description="Units of it for one euro.")
    source: str = strawberry.field(description="Who quotes it, such as `ECB`.")
    stored_at: datetime = strawberry.field(description="Since when it is stored here.")


@strawberry.type(description="The newest rates by a day.")
class ExchangeRates:
    nodes: list[ExchangeRate] = strawberry.field(description="One for each currency, by its code.")


@strawberry.type(description="A customer's own rate, for the charges of a month.")
class CustomerRate:
    month: str = strawberry.field(description="The month of the charges, `YYYY-MM`.")
    currency: str = strawberry.field(description="The currency of the charges.")
    into_currency: str = strawberry.field(description="The currency they are shown in.")
    rate: DecimalText = strawberry.field(description="What one unit is worth; the other direction is its inverse.")
    set_at: datetime = strawberry.field(description="When it was set.")


@strawberry.type(description="How the costs of a customer are converted.")
class CustomerRates:
    method: ConversionMethod = strawberry.field(description="Which rate converts a charge.")
    nodes: list[CustomerRate] = strawberry.field(description="The customer's own rates, the newest month first.")


@strawberry.type(description="The rate is set.")
class RateSet:
    rate: CustomerRate = strawberry.field(description="As it is now.")


@strawberry.type(description="The rate is removed.")
class RateRemoved:
    rate: CustomerRate = strawberry.field(description="As it was.")


@strawberry.type(description="The method is set.")
class RateMethodSet:
    method: ConversionMethod = strawberry.field(description="As it is now.")


@strawberry.type(description="A value is not accepted, or costs of the month were converted already.")
class RateNotAccepted(Refusal):
    pass


@strawberry.type(description="The customer has no such rate of its own.")
class RateNotFound(Refusal):
    pass


SetResult = Annotated[
    RateSet | RateNotAccepted, strawberry.union("SetRateResult", description="The rate, or why it is not set.")
]
RemoveResult = Annotated[
    RateRemoved | RateNotFound | RateNotAccepted,
    strawberry.union("RemoveRateResult", description="What the rate was, or why it stays."),
]
Month = Annotated[str, strawberry.argument(description="The month of the charges, `YYYY-MM`.")]
Currency = Annotated[str, strawberry.argument(description="The currency of the charges, an ISO 4217 code.")]
Into = Annotated[str, strawberry.argument(description="The currency they are shown in.")]
RateAsked = Annotated[
    str, strawberry.argument(description="What one unit is worth: a decimal number above 0, such as `0.88`.")
]
Reopen = Annotated[
    bool,
    strawberry.argument(
        description="Also if costs of the month were converted already, so that they change. Default: false."
    ),
]
Method = Annotated[ConversionMethod, strawberry.argument(description="Which rate converts a charge.")]
ByDay = Annotated[date | None, strawberry.argument(description="As of this day. Default: the newest.")]


@strawberry.type
class RatesQuery:
    @resolved("The newest rate of each currency by a day, per euro, the same for all customers.")
    async def exchange_rates(self, info: Info, day: ByDay = None) -> ExchangeRates | None:
        services = info.context.services
        await services.begin_rates()
        found = await services.run(services.metadata.rates.find, day)
        return ExchangeRates(nodes=[_stored(one) for one in found])

    @resolved("How the costs of a customer are converted, and its own rates.")
    async def customer_rates(self, info: Info, customer_id: CustomerId = None) -> CustomerRates | None:
        data = await info.context.data_of(customer_id)
        rates = data.services.metadata.rates
        method, found = await data.read(rates.method), await data.read(rates.overrides)
        return CustomerRates(method=ConversionMethod(method), nodes=[_own(one) for one in found])


@strawberry.type
class RatesMutation:
    @resolved("Set a customer's own rate for a month, which goes before all others; for operators.")
    async def set_rate(
        self,
        info: Info,
        month: Month,
        currency: Currency,
        into_currency: Into,
        rate: RateAsked,
        reopen: Reopen = False,
        customer_id: CustomerId = None,
    ) -> SetResult | None:
        change = info.context.services.metadata.rates.override
        try:
            value = checked_rate(rate, "rate")
            pair = (_first_day(month), currency, into_currency, value)
            return RateSet(rate=_own(await _changed(info, customer_id, change, *pair, reopen=reopen)))
        except ValueError as error:
            return _refused(error)

    @resolved("Remove a customer's own rate for a month; for operators.")
    async def remove_rate(
        self,
        info: Info,
        month: Month,
        currency: Currency,
        into_currency: Into,
        reopen: Reopen = False,
        customer_id: CustomerId = None,
    ) -> RemoveResult | None:
        change = info.context.services.metadata.rates.remove_override
        try:
            pair = (_first_day(month), currency, into_currency)
            return RateRemoved(rate=_own(await _changed(info, customer_id, change, *pair, reopen=reopen)))
        except ValueError as error:
            return _refused(error)
        except RecordNotFound as error:
            remedy = "Use a month and currencies that `customerRates` shows."
            return RateNotFound(code="RATE_NOT_FOUND", message=str(error), remedy=remedy)

    @resolved("Set which rate converts the charges of a customer; for operators.")
    async def set_rate_method(self, info: Info, method: Method, customer_id: CustomerId = None) -> RateMethodSet | None:
        change = info.context.services.metadata.rates.set_method
        return RateMethodSet(method=ConversionMethod(await _changed(info, customer_id, change, method.value)))


async def _changed(info: Info, customer_id: str | None, change: Any, *args: Any, **kwargs: Any) -> Any:
    """Make a change for an operator, who is named in the audit log."""
    info.context.require("operator")
    info.context.require_may_change()
    customer = (await info.context.data_of(customer_id)).customer_id
    administration = await info.context.administration_of(customer)
    return await administration.act(change, *args, customer_id=customer, **kwargs)


def _first_day(month: str) -> date:
    try:
        return BillingPeriod.parse(month).start.date()
    except ValueError:
        raise ValueError(f"month: {month!r} is not accepted: use YYYY-MM, from 1970 to 2105") from None


def _refused(error: ValueError) -> RateNotAccepted:
    if isinstance(error, MonthFrozen):
        remedy = "Say `reopen: true` if costs of that month shall be converted anew."
        return RateNotAccepted(code="MONTH_FROZEN", message=str(error), remedy=remedy)
    return RateNotAccepted(code="RATE_NOT_ACCEPTED", message=str(error), remedy="Change what the message names.")


def _stored(one: StoredRate) -> ExchangeRate:
    return ExchangeRate(
        currency=one.currency,
        date=one.day,
        per_euro=decimal_text(one.per_euro),
        source=one.source,
        stored_at=one.stored_at,
    )


def _own(one: RateOverride) -> CustomerRate:
    return CustomerRate(
        month=f"{one.month:%Y-%m}",
        currency=one.currency,
        into_currency=one.into_currency,
        rate=decimal_text(Decimal(one.rate)),
        set_at=one.set_at,
    )
