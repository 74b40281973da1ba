"""The types of GraphQL that show budgets, and the input that makes them."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum

import strawberry

from optiinfra_api.fields.costs.arguments import CostBasis, CostFilter
from optiinfra_api.fields.insights.forecast import FinalDays
from optiinfra_api.fields.pagination import PageInfo
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.scalars import DateText, DecimalText
from optiinfra_assets.analytics.budgets import Standing
from optiinfra_assets.domain.budgets import Cadence


@strawberry.enum(description="How often a budget begins anew.")
class BudgetCadence(Enum):
    MONTHLY = described(Cadence.MONTHLY.value, "Each month.")
    QUARTERLY = described(Cadence.QUARTERLY.value, "Each quarter of the calendar.")
    YEARLY = described(Cadence.YEARLY.value, "Each calendar year.")
    BETWEEN = described(Cadence.BETWEEN.value, "Never: it is for the days between two.")


@strawberry.enum(description="How a budget stands, in one word.")
class BudgetState(Enum):
    OVER = described(Standing.OVER.value, "The amount is passed.")
    LIKELY_OVER = described(Standing.LIKELY_OVER.value, "It is more likely than not to be passed.")
    WITHIN = described(Standing.WITHIN.value, "It is likely to be kept.")


@strawberry.input(description="The amount of a month in place of its even share of the period.")
class BudgetMonthInput:
    month: date = strawberry.field(description="A day of the month.")
    amount: DecimalText = strawberry.field(description="The amount.")


@strawberry.input(description="A budget as it is to be.")
class BudgetInput:
    name: str = strawberry.field(description="What it is called; no other budget of the customer is.")
    amount: DecimalText = strawberry.field(description="What may be spent in each period.")
    currency: str = strawberry.field(description="Of the amount; costs billed in others are converted to it.")
    cadence: BudgetCadence = strawberry.field(default=BudgetCadence.MONTHLY, description="How often it begins anew.")
    cost_basis: CostBasis = strawberry.field(default=CostBasis.BILLED, description="The cost that counts.")
    filters: list[CostFilter] | None = strawberry.field(
        default=None, description="Charges that match any of them count, and none may match two. Default: all charges."
    )
    start: date | None = strawberry.field(default=None, description="First day; needed with BETWEEN.")
    end: date | None = strawberry.field(default=None, description="Day after the last; needed with BETWEEN.")
    amounts_by_month: list[BudgetMonthInput] | None = strawberry.field(
        default=None, description="Amounts of single months, in place of their even share of the period."
    )


@strawberry.type(description="The amount of a month.")
class BudgetMonth:
    month: DateText = strawberry.field(description="Its first day.")
    amount: DecimalText = strawberry.field(description="The amount.")


@strawberry.type(description="Accepted values of a tag.")
class BudgetTag:
    key: str = strawberry.field(description="Name of the tag.")
    values: list[str | None] = strawberry.field(description="Null: charges without it; an empty text: it is empty.")
    ignore_case: bool = strawberry.field(description="Tags of that name in upper or lower case are one.")


@strawberry.type(description="Charges that count for a budget. Null: of any; null in a list: without that attribute.")
class BudgetFilter:
    provider: list[str] | None = strawberry.field(description="Providers.")
    account: list[str] | None = strawberry.field(description="Account ids of this platform.")
    sub_account: list[str | None] | None = strawberry.field(description="The provider's sub account ids.")
    service: list[str | None] | None = strawberry.field(description="Service names.")
    region: list[str | None] | None = strawberry.field(description="Region ids.")
    currency: list[str] | None = strawberry.field(description="Currencies that the charges are billed in.")
    charge_category: list[str] | None = strawberry.field(description="Charge categories.")
    service_provider: list[str | None] | None = strawberry.field(description="Who provides the services.")
    service_category: list[str | None] | None = strawberry.field(description="Categories of services.")
    invoice: list[str | None] | None = strawberry.field(description="Invoice ids.")
    billing_period: list[str] | None = strawberry.field(description="Months that the charges are invoiced in.")
    sku: list[str | None] | None = strawberry.field(description="SKU ids.")
    pricing_category: list[str | None] | None = strawberry.field(description="Pricing categories.")
    commitment: list[str | None] | None = strawberry.field(description="Commitment discount ids.")
    tag_key: str | None = strawberry.field(description="Name of the first tag in its case.")
    tag_values: list[str | None] | None = strawberry.field(description="Accepted values of that tag.")
    tags: list[BudgetTag] = strawberry.field(description="All tags, that one too; all of them have to match.")


@strawberry.type(description="What a budget was from a change on.")
class BudgetVersion:
    at: datetime = strawberry.field(description="When it was changed.")
    author_name: str = strawberry.field(description="Name of the token that changed it.")
    name: str | None = strawberry.field(description="What it was called from then on; null: it was removed.")
    amount: DecimalText | None = strawberry.field(description="Its amount from then on.")
    currency: str | None = strawberry.field(description="Its currency from then on.")
    cadence: BudgetCadence | None = strawberry.field(description="How often it began anew from then on.")


@strawberry.type(description="What may be spent.")
class CostBudget:
    budget_id: str = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="What it is called.")
    amount: DecimalText = strawberry.field(description="What may be spent in each period.")
    currency: str = strawberry.field(description="Its currency.")
    cadence: BudgetCadence = strawberry.field(description="How often it begins anew.")
    cost_basis: CostBasis = strawberry.field(description="The cost that counts.")
    filters: list[BudgetFilter] = strawberry.field(
        description="Charges that match any of them count; empty: all charges."
    )
    start: DateText | None = strawberry.field(description="First day; null: any.")
    end: DateText | None = strawberry.field(description="Day after the last; null: it does not end.")
    amounts_by_month: list[BudgetMonth] = strawberry.field(description="Amounts of single months.")
    created_at: datetime = strawberry.field(description="When it was made.")
    changed_at: datetime = strawberry.field(description="When it was last changed.")
    problem: str | None = strawberry.field(
        description="Why it cannot be used and what to do; it has no status then, and no rule tells of it. Null: it can be."
    )
    history: list[BudgetVersion] = strawberry.field(description="Its changes, the newest first.")


@strawberry.type(description="A page of budgets, by name.")
class Budgets:
    nodes: list[CostBudget] = strawberry.field(description="The budgets of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(
    description="A rate that converted costs of a budget: `amount` times `rate` is what the budget counts, to the last digit."
)
class BudgetRate:
    currency: str = strawberry.field(description="The currency in which these costs are billed.")
    rate: DecimalText = strawberry.field(description="What one unit of it is worth in the currency of the budget.")
    rate_date: DateText | None = strawberry.field(
        description="Date of the quote, of an average the last, of the customer's own the first of its month; null: the same currency."
    )
    source: str = strawberry.field(
        description="Who quoted it; `override`: the customer's own rate; `identity`: the same currency."
    )
    amount: DecimalText = strawberry.field(description="What it converted, as billed.")
    first_day: DateText = strawberry.field(description="The first day of these costs.")
    last_day: DateText = strawberry.field(description="The last one.")
    is_expected: bool = strawberry.field(
        description="They are a part of `forecast` that is expected; false: they are a part of `spent`."
    )


@strawberry.type(description="What of a budget is billed in one currency, and by which rates it was converted.")
class BudgetConversion:
    currency: str = strawberry.field(description="The currency in which these costs are billed.")
    is_expected: bool = strawberry.field(
        description="They are the part of `forecast` that is expected; false: they are a part of `spent`."
    )
    amount: DecimalText = strawberry.field(description="What they are, as billed.")
    converted: DecimalText = strawberry.field(description="What they are in the currency of the budget, exact.")
    lowest_rate: DecimalText = strawberry.field(description="The lowest rate that converted some of them.")
    highest_rate: DecimalText = strawberry.field(description="The highest one; the same if there was one.")
    first_rate_date: DateText | None = strawberry.field(
        description="The earliest date of their quotes. Null: the same currency."
    )
    last_rate_date: DateText | None = strawberry.field(description="The latest one.")
    source: str = strawberry.field(description="Who quoted them, as in `rates`, by commas if there are several.")


@strawberry.type(description="How a budget stands in its period.")
class BudgetStatusEntry:
    budget: CostBudget = strawberry.field(description="The budget.")
    period_start: DateText = strawberry.field(description="First day of the period.")
    period_end: DateText = strawberry.field(description="The day after its last.")
    amount: DecimalText = strawberry.field(description="What may be spent in it.")
    spent: DecimalText = strawberry.field(description="What its final days cost, exact.")
    used: DecimalText | None = strawberry.field(description="`spent` as a part of `amount`; null for an amount of 0.")
    forecast: DecimalText | None = strawberry.field(
        description="What is expected at its end: `spent`, and the forecast of all other days. Null: see `reason`."
    )
    lower80: DecimalText | None = strawberry.field(description="Lower end of the 80 % bounds of `forecast`.")
    upper80: DecimalText | None = strawberry.field(description="Its upper end.")
    lower95: DecimalText | None = strawberry.field(description="Lower end of the 95 % bounds of `forecast`.")
    upper95: DecimalText | None = strawberry.field(description="Its upper end.")
    probability: DecimalText | None = strawberry.field(
        description="Of an overrun at the end, from 0 to 1. Null: no bounds can be told."
    )
    passed_on: DateText | None = strawberry.field(
        description="The day on which the amount is, or was, passed. Null: not expected."
    )
    state: BudgetState = strawberry.field(description="How it stands, in one word.")
    reason: str = strawberry.field(description="What to know of the forecast.")
    conversions: list[BudgetConversion] = strawberry.field(
        description="What of `spent`, and then of what is expected, is billed in each currency, and by which rates it was converted."
    )
    rates: list[BudgetRate] = strawberry.field(
        description="Each rate by which costs were converted: of `spent`, then of what is expected. Up to one a day and currency."
    )
    data_through: datetime | None = strawberry.field(
        description="The forecast knows costs up to this instant, exclusive."
    )
    final_days: list[FinalDays] = strawberry.field(
        description="How far the costs of each of its accounts are final: `spent` has those days, and the forecast the later ones."
    )
    forecast_made_at: datetime = strawberry.field(description="When the forecast was made.")
    is_simulated: bool = strawberry.field(description="Some of the figures come from a simulator or sample files.")


@strawberry.type(description="A page of budgets that have a period at the instant, by name.")
class BudgetStatuses:
    nodes: list[BudgetStatusEntry] = strawberry.field(description="How the budgets of this page stand.")
    unusable: list[CostBudget] = strawberry.field(
        description="The budgets of this page that have no status, each with its `problem`, such as a rate that is missing."
    )
    page_info: PageInfo = strawberry.field(description="Whether there is more.")
