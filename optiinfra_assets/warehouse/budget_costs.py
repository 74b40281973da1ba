"""Reads what budgets spent, exactly, and what tells their parts of a forecast apart, of the generations that readers see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from optiinfra_assets.analytics.budget_rates import DayCost
from optiinfra_assets.analytics.forecast_groups import ForecastSelection
from optiinfra_assets.analytics.forecast_split import SHARE_DAYS, Shares, shares
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.cost_history import share_columns, shares_need_line_items
from optiinfra_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class BudgetCosts:
    """Reads costs of one customer. Raises WarehouseUnavailable if ClickHouse goes away."""

    warehouse: Warehouse
    customer_id: str

    def spent(
        self, budget: Budget, start: date, end: date, resolved: ResolvedGenerations, finals: Mapping[str, date | None]
    ) -> list[DayCost]:
        """Return what the charges of a budget cost on the UTC days of [start, end), in their order, as billed in each currency: of each
        account to its last final day. Accounts that `finals` does not tell of count with all their days."""
        days: dict[tuple[date, str], Decimal] = {}
        for chosen in budget.charges:
            for row in self._days(budget, chosen, start, end, resolved):
                last = finals.get(row["account_id"], end)
                if last is not None and row["charge_date"] <= last:
                    day = row["charge_date"], row["billing_currency"]
                    days[day] = EXACT.add(days.get(day, Decimal(0)), Decimal(row["amount"]))
        return [DayCost(*day, amount) for day, amount in sorted(days.items())]

    def shares(
        self,
        budget: Budget,
        selection: ForecastSelection,
        end: date,
        resolved: ResolvedGenerations,
        *,
        by_sub_account: bool,
    ) -> Shares:
        """Return what series cost in the weeks before `end` by what they are not told apart by.

        Args:
            budget: whose cost basis.
            selection: what series have to be told apart by.
            end: the first day that is not looked at.
            resolved: the generations that readers see.
            by_sub_account: whether the series are told apart by sub account.
        """
        dimensions = selection.dimensions(is_by_sub_account=by_sub_account)
        if not dimensions:
            return {}
        statement = "charge_shares.sql" if shares_need_line_items(dimensions) else "forecast_history.sql"
        columns = share_columns(dimensions, selection.tags, by_sub_account=by_sub_account)
        values = {"cost": budget.cost_basis, "start": end - timedelta(days=SHARE_DAYS), "end": end, **columns}
        rows = self._rows("queries", statement, values, resolved, resolved.generations)
        return shares(rows, dimensions, by_sub_account)

    def _days(
        self, budget: Budget, chosen: ChargeFilter, start: date, end: date, resolved: ResolvedGenerations
    ) -> Iterable[Mapping[str, Any]]:
        statement = "budget_costs_of_line_items.sql" if chosen.needs_line_items else "budget_costs.sql"
        values = {"cost": budget.cost_basis, "start": start, "end": end, **chosen.bound()}
        current = set(resolved.generations)
        generations = [
            one.generation
            for one in resolved.publications
            if one.generation in current
            and _accepts(chosen.providers, one.slice.provider)
            and _accepts(chosen.accounts, one.slice.account_id)
            and _accepts(chosen.billing_periods, str(one.slice.billing_period))
        ]
        return self._rows("store", statement, values, resolved, generations)

    def _rows(
        self,
        folder: str,
        statement: str,
        values: Mapping[str, Any],
        resolved: ResolvedGenerations,
        generations: Sequence[int],
    ) -> list[Mapping[str, Any]]:
        if not generations:
            return []
        months = [one.slice.billing_period.start.date() for one in resolved.publications]
        bound = {
            **values,
            "customer_id": self.customer_id,
            "generations": list(generations),
            "first_period": min(months),
            "last_period": max(months),
        }
        text = sql_files.read("clickhouse", folder, statement)
        only = self.warehouse.only(self.customer_id)
        with clickhouse_errors(self.warehouse.client):
            return list(self.warehouse.client.query(text, parameters=bound, settings=only).named_results())


def _accepts(chosen: Sequence[str], value: str) -> bool:
    return not chosen or value in chosen
