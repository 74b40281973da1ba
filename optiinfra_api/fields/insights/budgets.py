"""budgets, budgetStatus and their mutations: what may be spent, how that stands, and who changed it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import After, AsOf, CustomerId, First
from optiinfra_api.fields.costs.arguments import CostBasis, cost_query
from optiinfra_api.fields.insights.budget_standing import BudgetStanding, budget_standing
from optiinfra_api.fields.insights.budget_types import (
    BudgetCadence,
    BudgetConversion,
    BudgetFilter,
    BudgetInput,
    BudgetMonth,
    BudgetRate,
    Budgets,
    BudgetState,
    BudgetStatusEntry,
    BudgetStatuses,
    BudgetTag,
    BudgetVersion,
    CostBudget,
)
from optiinfra_api.fields.insights.forecast import final_days
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateText, DecimalText, decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.analytics.budget_rates import MORE_RATES, ConvertedCosts, RatesMissing, RateUse, by_currency
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.charge_filters import FILTERS, ChargeFilter
from optiinfra_assets.domain.exact_amounts import written
from optiinfra_assets.metadata.budgets import BudgetChange, StoredBudget

MOST_STATUSES: Final = 100
"""Each is forecast for itself."""


@strawberry.type(description="The budget is kept.")
class BudgetSaved:
    budget: CostBudget = strawberry.field(description="As it is now.")


@strawberry.type(description="The budget is removed; its history stays.")
class BudgetRemoved:
    budget: CostBudget = strawberry.field(description="As it was.")


@strawberry.type(description="Something of the budget is not accepted.")
class BudgetNotAccepted(Refusal):
    pass


@strawberry.type(description="There is no such budget of this customer.")
class BudgetNotFound(Refusal):
    pass


SaveResult = Annotated[
    BudgetSaved | BudgetNotAccepted | BudgetNotFound,
    strawberry.union("SaveBudgetResult", description="The budget, or why nothing changed."),
]
RemoveResult = Annotated[
    BudgetRemoved | BudgetNotFound,
    strawberry.union("RemoveBudgetResult", description="What the budget was, or why nothing changed."),
]
BudgetArgument = Annotated[BudgetInput, strawberry.argument(description="The budget as it is to be.")]
BudgetId = Annotated[str, strawberry.argument(description="As `budgets` shows it.")]
ById = Annotated[str | None, strawberry.argument(description="Only this budget. Default: all.")]
FirstStatuses = Annotated[int, strawberry.argument(description=f"How many budgets at most, 1 to {MOST_STATUSES}.")]


@strawberry.type
class BudgetsQuery:
    @resolved("What may be spent, by name, in pages.")
    async def budgets(
        self, info: Info, first: First, after: After = None, customer_id: CustomerId = None
    ) -> Budgets | None:
        data = await info.context.data_of(customer_id)
        shown, page_info = await _page(data, "budgets", first, after, None)
        history = await _history(data, shown)
        return Budgets(nodes=[_budget(one, history) for one in shown], page_info=page_info)

    @resolved("How budgets stand: spent, what is expected at the end, and how likely an overrun is.")
    async def budget_status(
        self,
        info: Info,
        first: FirstStatuses,
        after: After = None,
        budget_id: ById = None,
        customer_id: CustomerId = None,
        as_of: AsOf = None,
    ) -> BudgetStatuses | None:
        if first > MOST_STATUSES:
            raise InvalidArgument(f"first: {first} is not accepted", f"Use 1 to {MOST_STATUSES}.")
        cost_query(None, None, as_of)
        data = await info.context.data_of(customer_id)
        shown, page_info = await _page(data, "budget status", first, after, budget_id)
        history = await _history(data, shown)
        found: list[BudgetStanding] = []
        unusable: list[CostBudget] = []
        for one in shown:
            try:
                standing = one.problem is None and await budget_standing(data, one, data.services.clock(), as_of)
            except RatesMissing as error:
                unusable.append(_budget(one, history, f"{error}. {MORE_RATES}"))
                continue
            if standing:
                found.append(standing)
            elif one.problem is not None:
                unusable.append(_budget(one, history))
        return BudgetStatuses(nodes=[_status(one, history) for one in found], unusable=unusable, page_info=page_info)


@strawberry.type
class BudgetsMutation:
    @resolved("Make a budget; for operators.")
    async def create_budget(
        self, info: Info, budget: BudgetArgument, customer_id: CustomerId = None
    ) -> SaveResult | None:
        return await _saved(info, customer_id, budget, None)

    @resolved("Change a budget to what is given, all of it; for operators.")
    async def change_budget(
        self, info: Info, budget_id: BudgetId, budget: BudgetArgument, customer_id: CustomerId = None
    ) -> SaveResult | None:
        return await _saved(info, customer_id, budget, budget_id)

    @resolved("Remove a budget; for operators.")
    async def remove_budget(
        self, info: Info, budget_id: BudgetId, customer_id: CustomerId = None
    ) -> RemoveResult | None:
        data = await _may_change(info, customer_id)
        try:
            remove = data.services.metadata.budgets.remove
            now = data.services.clock()
            found = await data.run(
                remove, budget_id, principal=info.context.principal, now=now, origin=info.context.address
            )
        except RecordNotFound as error:
            return _not_found(error)
        return BudgetRemoved(budget=_budget(found, await _history(data, [found])))


async def _may_change(info: Info, customer_id: str | None) -> CustomerData:
    info.context.require("operator")
    info.context.require_may_change()
    return await info.context.data_of(customer_id)


async def _saved(info: Info, customer_id: str | None, given: BudgetInput, budget_id: str | None) -> SaveResult:
    data = await _may_change(info, customer_id)
    try:
        save = data.services.metadata.budgets.save
        now = data.services.clock()
        found = await data.run(
            save, _given(given), budget_id, principal=info.context.principal, now=now, origin=info.context.address
        )
    except ValueError as error:
        return BudgetNotAccepted(
            code="BUDGET_NOT_ACCEPTED", message=str(error), remedy="Change what the message names."
        )
    except RecordNotFound as error:
        return _not_found(error)
    return BudgetSaved(budget=_budget(found, await _history(data, [found])))


def _not_found(error: RecordNotFound) -> BudgetNotFound:
    return BudgetNotFound(code="BUDGET_NOT_FOUND", message=str(error), remedy="Use a budgetId that `budgets` shows.")


def _given(given: BudgetInput) -> Budget:
    """Make the budget of what was given. Raises ValueError if an amount is none."""
    return Budget(
        name=given.name,
        cadence=Cadence(given.cadence.value),
        amount=written("amount", given.amount),
        currency=given.currency,
        cost_basis=given.cost_basis.value,
        filters=[cost_query(None, one, None).stored() for one in given.filters or ()],
        start=given.start,
        end=given.end,
        amounts={
            one.month.replace(day=1): written("amountsByMonth", one.amount) for one in given.amounts_by_month or ()
        },
    )


async def _page(
    data: CustomerData, what: str, first: int, after: str | None, budget_id: str | None
) -> tuple[list[StoredBudget], PageInfo]:
    check_first(first)
    asked = digest(what, data.customer_id, budget_id)
    position = None if after is None else decode(after, asked, (str, str)).position
    find = data.services.metadata.budgets.find
    rows = await data.read(find, budget_id=budget_id, after=position, most=first + 1)
    return cut(asked, rows, first, lambda one: (one.budget.name, one.budget_id))


_History = Mapping[str, list[BudgetChange]]


async def _history(data: CustomerData, found: list[StoredBudget]) -> _History:
    changes = data.services.metadata.budgets.changes
    history: dict[str, list[BudgetChange]] = {}
    for one in await data.read(changes, [budget.budget_id for budget in found]):
        history.setdefault(one.budget_id, []).append(one)
    return history


def _budget(stored: StoredBudget, history: _History, problem: str | None = None) -> CostBudget:
    """Return what is shown of a budget; `problem`: why it has no status, if it can be used otherwise."""
    budget = stored.budget
    return CostBudget(
        budget_id=stored.budget_id,
        name=budget.name,
        amount=decimal_text(budget.amount),
        currency=budget.currency,
        cadence=BudgetCadence(budget.cadence.value),
        cost_basis=CostBasis(budget.cost_basis),
        filters=[_filter(one) for one in budget.filters],
        start=None if budget.start is None else DateText(budget.start.isoformat()),
        end=None if budget.end is None else DateText(budget.end.isoformat()),
        amounts_by_month=[
            BudgetMonth(month=DateText(month.isoformat()), amount=decimal_text(amount))
            for month, amount in sorted(budget.amounts.items())
        ],
        created_at=stored.created_at,
        changed_at=stored.changed_at,
        problem=problem if stored.problem is None else f"{stored.problem}. Change the budget, or remove it.",
        history=[_version(one) for one in history.get(stored.budget_id, ())],
    )


def _filter(one: Mapping[str, Any]) -> BudgetFilter:
    tag = one.get("tag") or {}
    tags = [
        BudgetTag(key=tag.name, values=list(tag.values), ignore_case=tag.in_any_case)
        for tag in ChargeFilter.of(one).tags
    ]
    values = {name: one.get(name) for name in FILTERS}
    return BudgetFilter(**values, tag_key=tag.get("key"), tag_values=tag.get("values"), tags=tags)


def _version(change: BudgetChange) -> BudgetVersion:
    budget = change.budget
    if budget is None:
        return BudgetVersion(
            at=change.at, author_name=change.author_name, name=None, amount=None, currency=None, cadence=None
        )
    return BudgetVersion(
        at=change.at,
        author_name=change.author_name,
        name=budget.name,
        amount=decimal_text(budget.amount),
        currency=budget.currency,
        cadence=BudgetCadence(budget.cadence.value),
    )


def _status(standing: BudgetStanding, history: _History) -> BudgetStatusEntry:
    status, has_forecast = standing.told.status, standing.told.has_forecast
    ends = [end for both in (status.within_80, status.within_95) for end in (both or (None, None))]
    lower80, upper80, lower95, upper95 = (_text(end if has_forecast else None) for end in ends)
    probability = status.probability if has_forecast else None
    return BudgetStatusEntry(
        budget=_budget(standing.stored, history),
        period_start=DateText(standing.period.start.isoformat()),
        period_end=DateText(standing.period.end.isoformat()),
        amount=decimal_text(status.amount),
        spent=decimal_text(status.spent),
        used=_text(status.used),
        forecast=_text(status.forecast if has_forecast else None),
        lower80=lower80,
        upper80=upper80,
        lower95=lower95,
        upper95=upper95,
        probability=None if probability is None else decimal_text(Decimal(f"{probability:.3f}")),
        passed_on=None if status.passed_on is None else DateText(status.passed_on.isoformat()),
        state=BudgetState(status.standing.value),
        reason=standing.told.reason,
        conversions=[_conversion(one) for one in by_currency(standing.told.rates)],
        rates=[_rate(one) for one in standing.told.rates],
        data_through=standing.answer.made.data_through,
        final_days=final_days(standing.answer.groups),
        forecast_made_at=standing.answer.made.made_at,
        is_simulated=standing.answer.made.is_simulated,
    )


def _conversion(costs: ConvertedCosts) -> BudgetConversion:
    values = sorted(one.value for one in costs.rates)
    days = [DateText(day.isoformat()) for day in costs.days]
    return BudgetConversion(
        currency=costs.currency,
        is_expected=costs.is_expected,
        amount=decimal_text(costs.amount),
        converted=decimal_text(costs.converted),
        lowest_rate=decimal_text(values[0]),
        highest_rate=decimal_text(values[-1]),
        first_rate_date=days[0] if days else None,
        last_rate_date=days[-1] if days else None,
        source=", ".join(sorted({one.source for one in costs.rates})),
    )


def _rate(use: RateUse) -> BudgetRate:
    rate = use.rate
    return BudgetRate(
        currency=use.currency,
        rate=decimal_text(rate.value),
        rate_date=None if rate.day is None else DateText(rate.day.isoformat()),
        source=rate.source,
        amount=decimal_text(use.amount),
        first_day=DateText(use.first_day.isoformat()),
        last_day=DateText(use.last_day.isoformat()),
        is_expected=use.is_expected,
    )


def _text(amount: Decimal | None) -> DecimalText | None:
    return None if amount is None else decimal_text(amount)
