"""Reads what one account, or a service of it, used: exactly, by day or by where and what it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from optiinfra_assets.analytics.charge_parts import CostPart, part_of
from optiinfra_assets.analytics.explanation import Place, Used
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.warehouse import Warehouse

DIMENSIONS = ("service", "sub account", "region", "SKU")
"""What usage is told apart by, from the widest to the narrowest."""


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Reads usage of one customer in the generations that readers see. Raises WarehouseUnavailable if ClickHouse goes away."""

    warehouse: Warehouse
    customer_id: str
    resolved: ResolvedGenerations

    def days(self, series: UsageKey, start: date, end: date) -> dict[date, Decimal]:
        """Return what a series cost on the UTC days of [start, end) that have charges."""
        found: dict[date, Decimal] = defaultdict(Decimal)
        for row in self._rows("usage_of_days.sql", series, start, end):
            found[row["charge_date"]] = EXACT.add(found[row["charge_date"]], Decimal(row["amount"]))
        return dict(found)

    def places(
        self, series: UsageKey, now: Sequence[date], start: date, before_end: date
    ) -> tuple[dict[Place, Used], dict[Place, Used]]:
        """Return what a series cost and used by the values of `DIMENSIONS`, on the days of [start, before_end) and on those of `now`."""
        end = date.fromordinal(max(now).toordinal() + 1)
        rows = self._rows("usage_by_sku.sql", series, start, end, before_end=before_end, now=list(now))
        before: dict[Place, Used] = {}
        after: dict[Place, Used] = {}
        for row in rows:
            place = tuple(row[name] or None for name in ("service_name", "sub_account_id", "region_id", "sku_id"))
            for used, has, name in ((before, "was_before", "before"), (after, "is_now", "now")):
                if row[has]:
                    _add(used, place, row[f"cost_{name}"], row[f"quantity_{name}"], row["pricing_unit"])
        return before, after

    def _rows(self, statement: str, series: UsageKey, start: date, end: date, **values: Any) -> list[Mapping[str, Any]]:
        values |= {
            "customer_id": self.customer_id,
            "generations": [
                one.generation
                for one in self.resolved.publications
                if one.slice.account_id == series.account and one.has_charges_in(start, end)
            ],
            "account_id": series.account,
            "service": series.service,
            "currency": series.currency,
            "start": start,
            "end": end,
        }
        text = sql_files.read("clickhouse", "store", statement)
        with clickhouse_errors(self.warehouse.client):
            found = self.warehouse.client.query(text, parameters=values, settings=self.warehouse.only(self.customer_id))
        return [row for row in found.named_results() if _is_used(row["service_name"])]


def _is_used(service: str) -> bool:
    """Tell whether usage of a service is that: support is not."""
    return part_of("Usage", None, None, service) is CostPart.USAGE


def _add(used: dict[Place, Used], place: Place, cost: str, quantity: str | None, unit: str) -> None:
    """Add what was used in one unit; of several units there is no quantity."""
    known = used.get(place)
    if known is None:
        used[place] = Used(Decimal(cost), Decimal(quantity) if quantity and unit else None, unit or None)
    else:
        used[place] = Used(EXACT.add(known.cost, Decimal(cost)))
