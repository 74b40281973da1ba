"""Reads what forecasts are made from: daily costs of series, of the generations that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.warehouse import Warehouse

FORECAST_BASIS: Final = "billed_cost"
"""The cost that is forecast after each publication; others are when somebody asks."""


def series_columns(*, by_sub_account: bool, region: str = "nothing") -> dict[str, str]:
    """Return the parameters of ``forecast_history`` that name columns."""
    return {"sub_account": "sub_account_id" if by_sub_account else "nothing", "region": region}


def forecast_history(
    warehouse: Warehouse,
    customer_id: str,
    resolved: ResolvedGenerations,
    start: date,
    end: date,
    most: int,
    basis: str = FORECAST_BASIS,
) -> tuple[bool, Sequence[Mapping[str, Any]]]:
    """Return the rows of ``forecast_history`` for the UTC days of [start, end), and whether they are told apart by sub account: they are if
    there are at most so many series. `basis` is the column of the cost.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
    """
    values = {"customer_id": customer_id, "generations": list(resolved.generations), "start": start, "end": end}
    only = warehouse.only(customer_id)
    found = clickhouse.tuples(warehouse.client, "count_series.sql", values, only)
    by_sub_account = found[0][0] <= most
    values |= {**series_columns(by_sub_account=by_sub_account), "cost": basis}
    text = sql_files.read("clickhouse", "queries", "forecast_history.sql")
    with clickhouse.clickhouse_errors(warehouse.client):
        return by_sub_account, list(warehouse.client.query(text, parameters=values, settings=only).named_results())
