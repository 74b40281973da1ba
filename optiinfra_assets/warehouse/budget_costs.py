"""Reads what budgets spent, exactly, and what tells their parts of a forecast apart, of the generations that readers see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from optiinfra_assets.analytics.forecast_split import SHARE_DAYS, Shares, shares
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors
from optiinfra_assets.domain.budgets import Budget
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.cost_history import series_columns
from optiinfra_assets.warehouse.warehouse import Warehouse

_FILTERS = {
    "sub_account": "sub_accounts",
    "service": "services",
    "region": "regions",
    "charge_category": "charge_categories",
}


@dataclass(frozen=True, slots=True)
class BudgetCosts:
    """Reads costs of one customer. Raises WarehouseUnavailable if ClickHouse goes away."""

    warehouse: Warehouse
    customer_id: str

    def spent(
        self, budget: Budget, start: date, end: date, resolved: ResolvedGenerations, finals: Mapping[str, date | None]
    ) -> list[tuple[date, Decimal]]:
        """Return what the charges of a budget cost on the UTC days of [start, end), in their order: of each account to its last final day.
        Accounts that `finals` does not tell of count with all their days."""
        days: dict[date, Decimal] = {}
        for chosen in budget.filters or ({},):
            for row in self._days(budget, chosen, start, end, resolved):
                last = finals.get(row["account_id"], end)
                is_chosen = _accepts(chosen, "provider", row["provider"]) and _accepts(
                    chosen, "account", row["account_id"]
                )
                if is_chosen and last is not None and row["charge_date"] <= last:
                    day = row["charge_date"]
                    days[day] = EXACT.add(days.get(day, Decimal(0)), Decimal(row["amount"]))
        return sorted(days.items())

    def shares(
        self,
        budget: Budget,
        dimensions: Sequence[str],
        end: date,
        resolved: ResolvedGenerations,
        *,
        by_sub_account: bool,
    ) -> Shares:
        """Return what series cost in the weeks before `end` by what they are not told apart by.

        Args:
            budget: whose cost basis and tag.
            dimensions: such as ``region`` or ``tag``.
            end: the first day that is not looked at.
            resolved: the generations that readers see.
            by_sub_account: whether the series are told apart by sub account.
        """
        needs_sub_account = by_sub_account or "sub_account" in dimensions
        values: dict[str, Any] = {"cost": budget.cost_basis, "start": end - timedelta(days=SHARE_DAYS), "end": end}
        if "tag" in dimensions:
            statement = "charge_shares.sql"
            values |= {
                "tag_key": next(one["tag"]["key"] for one in budget.filters if one.get("tag")),
                "sub_account": "sub_account_key" if needs_sub_account else "nothing",
                "region": "region_key" if "region" in dimensions else "nothing",
            }
        else:
            statement = "forecast_history.sql"
            region = "region_id" if "region" in dimensions else "nothing"
            values |= series_columns(by_sub_account=needs_sub_account, region=region)
        rows = self._rows("queries", statement, values, resolved)
        return shares(rows, dimensions, by_sub_account)

    def _days(
        self, budget: Budget, chosen: Mapping[str, Any], start: date, end: date, resolved: ResolvedGenerations
    ) -> Iterable[Mapping[str, Any]]:
        values: dict[str, Any] = {
            "cost": budget.cost_basis,
            "start": start,
            "end": end,
            "currencies": [budget.currency],
        }
        values |= {name: [one or "" for one in chosen.get(of) or ()] for of, name in _FILTERS.items()}
        tag = chosen.get("tag")
        if not tag:
            return self._rows("store", "budget_costs.sql", values, resolved)
        values |= {"tag_filter": tag["key"], "tag_values": list(tag["values"])}
        return self._rows("store", "budget_costs_by_tag.sql", values, resolved)

    def _rows(
        self, folder: str, statement: str, values: Mapping[str, Any], resolved: ResolvedGenerations
    ) -> list[Mapping[str, Any]]:
        if not resolved.generations:
            return []
        months = [one.slice.billing_period.start.date() for one in resolved.publications]
        bound = {
            **values,
            "customer_id": self.customer_id,
            "generations": list(resolved.generations),
            "first_period": min(months),
            "last_period": max(months),
        }
        text = sql_files.read("clickhouse", folder, statement)
        only = self.warehouse.only(self.customer_id)
        with clickhouse_errors(self.warehouse.client):
            return list(self.warehouse.client.query(text, parameters=bound, settings=only).named_results())


def _accepts(chosen: Mapping[str, Any], name: str, value: str) -> bool:
    return not chosen.get(name) or value in chosen[name]
