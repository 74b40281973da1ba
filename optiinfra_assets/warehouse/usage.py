"""Reads what one account, or a service of it, used: exactly, by day or by where and what it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from optiinfra_assets.analytics.charge_parts import CostPart, part_of
from optiinfra_assets.analytics.explanation import AnomalyCause
from optiinfra_assets.analytics.usage_places import RESOURCE, UsagePlaces, UsageQuery, series_values
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Reads usage of one customer in the generations that readers see. Raises WarehouseUnavailable if ClickHouse goes away."""

    warehouse: Warehouse
    customer_id: str
    resolved: ResolvedGenerations

    def days(self, series: UsageKey, start: date, end: date) -> dict[date, Decimal]:
        """Return what a series cost on the UTC days of [start, end) that have charges."""
        found: dict[date, Decimal] = defaultdict(Decimal)
        for row in self._rows("store", "usage_of_days.sql", series_values(series, start, end)):
            if part_of("Usage", None, None, row["service_name"]) is CostPart.USAGE:
                found[row["charge_date"]] = EXACT.add(found[row["charge_date"]], Decimal(row["amount"]))
        return dict(found)

    def cause(self, asked: UsageQuery) -> AnomalyCause:
        """Explain what the days of a series cost beyond what was expected of them."""
        values = asked.values()
        places = UsagePlaces.of(self._rows("queries", "usage_by_sku.sql", values))
        listed = places.values_of(RESOURCE, asked.expected)
        rows = self._rows("queries", "usage_by_value.sql", values | listed)
        return places.told_apart(rows).explained(RESOURCE, asked.expected)

    def _rows(self, folder: str, statement: str, values: dict[str, Any]) -> list[Mapping[str, Any]]:
        values |= {
            "customer_id": self.customer_id,
            "generations": [
                one.generation
                for one in self.resolved.publications
                if one.slice.account_id == values["account_id"] and one.has_charges_in(values["start"], values["end"])
            ],
        }
        text = sql_files.read("clickhouse", folder, statement)
        with clickhouse_errors(self.warehouse.client):
            found = self.warehouse.client.query(text, parameters=values, settings=self.warehouse.only(self.customer_id))
        return list(found.named_results())
