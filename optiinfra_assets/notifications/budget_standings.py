"""How budgets stand by the forecast that was stored last, as `budgetStatus` tells it: exact costs of final days, and what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optiinfra_assets.analytics.budget_outlook import budget_spans, outlook_of
from optiinfra_assets.analytics.budgets import BudgetStatus, Outlook, budget_status
from optiinfra_assets.analytics.customer_forecast import (
    HISTORY_DAYS,
    HORIZON_DAYS,
    CurrencyForecast,
    final_days,
    forecast_customer,
)
from optiinfra_assets.analytics.forecast_groups import groups_of, matcher
from optiinfra_assets.analytics.stored_forecast import from_bytes
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.metadata.forecasts import MadeForecast, StoredOverride
from optiinfra_assets.warehouse.budget_costs import BudgetCosts
from optiinfra_assets.warehouse.cost_history import FORECAST_BASIS, forecast_history

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse

_SPLIT: Final = frozenset({"region", "charge_category"})
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
        made: what the newest forecast of the customer was made of.
        now: the present UTC instant.
    """

    metadata: Metadata
    warehouse: Callable[[], Warehouse]
    customer_id: str
    made: MadeForecast
    now: datetime
    _forecasts: dict[str, tuple[bool, list[CurrencyForecast]]] = field(default_factory=dict, repr=False)

    @cached_property
    def overrides(self) -> list[StoredOverride]:
        """What people expect of months."""
        return self.metadata.forecasts.overrides(self.now, customer_id=self.customer_id)

    @property
    def currencies(self) -> list[str]:
        """The currencies of the charges, as billed."""
        return [one.currency for one in self._forecast(FORECAST_BASIS)[1]]

    def standing(self, budget: Budget, period: DaySpan) -> PeriodStanding:
        """Return how a budget stands in a period."""
        is_by_sub_account, forecasts = self._forecast(budget.cost_basis)
        finals = {
            key.account: None if np.isnat(day) else day.astype(date)
            for one in forecasts
            for key, day in zip(one.keys, one.through, strict=True)
        }
        outlook = None
        own = next((one for one in forecasts if one.currency == budget.currency), None)
        if own is not None:
            outlook = self._outlook(budget, period, own, is_by_sub_account=is_by_sub_account)
        end = min(period.end, self.now.date() + timedelta(days=1))
        spent = [] if end <= period.start else self._costs.spent(budget, period.start, end, self._resolved, finals)
        status = budget_status(budget.amount_of(period), spent, outlook or Outlook(period.end, (), None, None))
        return PeriodStanding(period, status, outlook is not None)

    def _outlook(
        self, budget: Budget, period: DaySpan, one: CurrencyForecast, *, is_by_sub_account: bool
    ) -> Outlook | None:
        chosen = budget.filters or ({},)
        named = {name for of in chosen for name, values in of.items() if values}
        dimensions = sorted(named & (_SPLIT | {"tag"} | (set() if is_by_sub_account else {"sub_account"})))
        known = one.through[~np.isnat(one.through)]
        found = {}
        if dimensions and known.size:
            end = known.max().astype(date) + timedelta(days=1)
            found = self._costs.shares(budget, dimensions, end, self._resolved, by_sub_account=is_by_sub_account)
        matches = [matcher(_series(of)) for of in chosen]
        groups = groups_of(
            one, matches, (), self.overrides, found, dimensions, lambda first: budget_spans(first, period)
        )
        return outlook_of(groups[0] if groups else None, period)[0]

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
        body = self.metadata.forecasts.body(self.made.made_at, customer_id=self.customer_id)
        if body is None:  # another has just taken its place: that one is looked at the next time
            return self._forecast_now(FORECAST_BASIS)
        return self.made.is_by_sub_account, from_bytes(body)

    def _forecast_now(self, basis: str) -> tuple[bool, list[CurrencyForecast]]:
        start, end = self.now.date() - timedelta(days=HISTORY_DAYS), self.now.date() + timedelta(days=1)
        is_by_sub_account, rows = forecast_history(
            self.warehouse(), self.customer_id, self._resolved, start, end, _MOST_SERIES, basis
        )
        finals = final_days(self._resolved)
        return is_by_sub_account, forecast_customer(rows, start, finals, end + timedelta(days=HORIZON_DAYS))


def _series(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What a filter of a budget accepts, as series have it: '' where charges lack a dimension, but None where they lack a tag."""
    values = {name: [one or "" for one in of] for name, of in chosen.items() if name != "tag" and of}
    return values | ({"tag": chosen["tag"]["values"]} if chosen.get("tag") else {})
