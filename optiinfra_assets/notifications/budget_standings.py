"""How budgets stand by the forecast that was stored last, as `budgetStatus` tells it: exact costs of final days, and what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optiinfra_assets.analytics.budget_outlook import budget_spans, months_of_rates, told_budget
from optiinfra_assets.analytics.budget_rates import BudgetRates
from optiinfra_assets.analytics.budgets import BudgetStatus
from optiinfra_assets.analytics.customer_forecast import (
    HISTORY_DAYS,
    HORIZON_DAYS,
    CurrencyForecast,
    final_days,
    forecast_customer,
)
from optiinfra_assets.analytics.forecast_groups import ForecastGroup, ForecastSelection, groups_of
from optiinfra_assets.analytics.stored_forecast import from_bytes
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.metadata.customer_rates import RatesOfCustomer
from optiinfra_assets.metadata.forecasts import MadeForecast, StoredOverride
from optiinfra_assets.warehouse.budget_costs import BudgetCosts
from optiinfra_assets.warehouse.cost_history import FORECAST_BASIS, forecast_history

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse

_MOST_SERIES: Final = 6000
"""With more series, sub accounts are told apart by their shares."""


@dataclass(frozen=True, slots=True)
class PeriodStanding:
    """How a budget stands in a period. has_forecast: something is known of the days to come; without it only what is spent counts."""

    period: DaySpan
    status: BudgetStatus
    has_forecast: bool


@dataclass(frozen=True)
class BudgetStandings:
    """Tells how budgets of one customer stand.

    Attributes:
        warehouse: opens ClickHouse.
        made: what the newest forecast of the customer was made of; None before the first: then only what is spent is told.
        now: the present UTC instant.
    """

    metadata: Metadata
    warehouse: Callable[[], Warehouse]
    customer_id: str
    made: MadeForecast | None
    now: datetime
    _forecasts: dict[str, tuple[bool, list[CurrencyForecast]]] = field(default_factory=dict, repr=False)

    @cached_property
    def overrides(self) -> list[StoredOverride]:
        """What people expect of months."""
        return self.metadata.forecasts.overrides(self.now, customer_id=self.customer_id)

    @cached_property
    def rates(self) -> RatesOfCustomer:
        """The rates that convert the customer's costs."""
        return RatesOfCustomer(self.metadata.rates, self.customer_id, self.now.date())

    @property
    def currencies(self) -> list[str]:
        """The currencies of the charges, as billed."""
        return [one.currency for one in self._forecast(FORECAST_BASIS)[1]]

    @property
    def data_through(self) -> datetime | None:
        """Up to which UTC instant the costs are known, exclusive."""
        found: datetime | None = (self.made or self._resolved).data_through
        return found

    @property
    def is_simulated(self) -> bool:
        """Whether some of the costs come from a simulator or sample files."""
        return bool((self.made or self._resolved).is_simulated)

    def standing(self, budget: Budget, period: DaySpan) -> PeriodStanding:
        """Return how a budget stands in a period.

        Raises:
            RatesMissing: costs of a day that is over have no rate to the currency of the budget.
        """
        if self.made is None:
            return self._standing(budget, period, final_days(self._resolved), [])
        is_by_sub_account, forecasts = self._forecast(budget.cost_basis)
        finals = {
            key.account: None if np.isnat(day) else day.astype(date)
            for one in forecasts
            for key, day in zip(one.keys, one.through, strict=True)
        }
        groups = self._groups(budget, period, forecasts, is_by_sub_account=is_by_sub_account)
        return self._standing(budget, period, finals, groups)

    def _standing(
        self, budget: Budget, period: DaySpan, finals: Mapping[str, date | None], groups: Sequence[ForecastGroup]
    ) -> PeriodStanding:
        end = min(period.end, self.now.date() + timedelta(days=1))
        spent = [] if end <= period.start else self._costs.spent(budget, period.start, end, self._resolved, finals)
        today, into = self.now.date(), budget.currency
        days = self.rates.of(into, months_of_rates(into, spent, groups, period, today))
        told = told_budget(budget.amount_of(period), spent, groups, period, BudgetRates(into, today, days))
        return PeriodStanding(period, told.status, told.has_forecast)

    def _groups(
        self, budget: Budget, period: DaySpan, forecasts: Sequence[CurrencyForecast], *, is_by_sub_account: bool
    ) -> list[ForecastGroup]:
        """What is forecast of the charges of a budget, one group a currency."""
        selection, found = ForecastSelection(budget.charges), {}
        wanted = [one for one in forecasts if selection.of_currency(one.currency).filters]
        known = [one.through[~np.isnat(one.through)].max() for one in wanted if not np.isnat(one.through).all()]
        if known:
            end = max(known).astype(date) + timedelta(days=1)
            found = self._costs.shares(budget, selection, end, self._resolved, by_sub_account=is_by_sub_account)
        return [
            group
            for one in wanted
            for group in groups_of(
                one,
                selection,
                self.overrides,
                found,
                lambda first: budget_spans(first, period),
                is_by_sub_account=is_by_sub_account,
            )
        ]

    @cached_property
    def _costs(self) -> BudgetCosts:
        return BudgetCosts(self.warehouse(), self.customer_id)

    @cached_property
    def _resolved(self) -> Any:
        standing = self.metadata.slices.freshness(self.customer_id)
        return self.warehouse().resolve(self.customer_id, standing=standing)

    def _forecast(self, basis: str) -> tuple[bool, list[CurrencyForecast]]:
        if basis not in self._forecasts:
            self._forecasts[basis] = self._stored() if basis == FORECAST_BASIS else self._forecast_now(basis)
        return self._forecasts[basis]

    def _stored(self) -> tuple[bool, list[CurrencyForecast]]:
        made = self.made
        body = self.metadata.forecasts.body(made.made_at, customer_id=self.customer_id) if made else None
        if not made or body is None:  # another has just taken its place: that one is looked at the next time
            return self._forecast_now(FORECAST_BASIS)
        return made.is_by_sub_account, from_bytes(body)

    def _forecast_now(self, basis: str) -> tuple[bool, list[CurrencyForecast]]:
        start, end = self.now.date() - timedelta(days=HISTORY_DAYS), self.now.date() + timedelta(days=1)
        is_by_sub_account, rows = forecast_history(
            self.warehouse(), self.customer_id, self._resolved, start, end, _MOST_SERIES, basis
        )
        finals = final_days(self._resolved)
        return is_by_sub_account, forecast_customer(rows, start, finals, end + timedelta(days=HORIZON_DAYS))
