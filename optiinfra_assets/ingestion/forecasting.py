"""Forecasts the costs of customers of whom something new is published, and keeps what was forecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from optiinfra_assets.analytics.customer_forecast import HISTORY_DAYS, HORIZON_DAYS, final_days, forecast_customer
from optiinfra_assets.analytics.stored_forecast import to_bytes
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.forecasts import MadeForecast
from optiinfra_assets.warehouse.cost_history import forecast_history
from optiinfra_assets.warehouse.warehouse import Warehouse

MOST_SERIES: Final = 6000
"""With more series, sub accounts are told apart by their shares, and have no forecast of their own."""


@dataclass(frozen=True, slots=True)
class RefreshedForecast:
    """What was forecast for a customer, or why it was not."""

    customer_id: str
    series: int = 0
    stored_bytes: int = 0
    error: Exception | None = None


def refresh_forecasts(
    metadata: Metadata, warehouse: Warehouse, now: datetime, retention_days: int
) -> Iterator[RefreshedForecast]:
    """Forecast each customer of whom something is published that no forecast knows. What fails for one keeps no other from its forecast."""
    for customer_id, newest in metadata.forecasts.due().items():
        try:
            yield forecast_costs(metadata, warehouse, customer_id, now, retention_days, newest)
        except Exception as error:  # noqa: BLE001
            yield RefreshedForecast(customer_id, error=error)


def forecast_costs(
    metadata: Metadata, warehouse: Warehouse, customer_id: str, now: datetime, retention_days: int, newest: int = 0
) -> RefreshedForecast:
    """Forecast the costs of one customer, and store that as what knows the generation `newest`.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
        MetadataUnavailable: PostgreSQL went away.
    """
    start, end = now.date() - timedelta(days=HISTORY_DAYS), now.date() + timedelta(days=1)
    standing = metadata.slices.freshness(customer_id)
    resolved = warehouse.resolve(customer_id, start=start, end=end, standing=standing)
    is_by_sub_account, rows = forecast_history(warehouse, customer_id, resolved, start, end, MOST_SERIES)
    horizon = end + timedelta(days=HORIZON_DAYS)
    found = forecast_customer(rows, start, final_days(resolved), horizon)
    body = to_bytes(found)
    made = MadeForecast(
        made_at=now,
        generation=max([newest, *(one.generation for one in resolved.publications)]),
        data_through=resolved.data_through,
        published_at=resolved.published_at,
        is_simulated=resolved.is_simulated,
        is_by_sub_account=is_by_sub_account,
    )
    metadata.forecasts.keep(customer_id, made, body, retention_days)
    return RefreshedForecast(customer_id, sum(len(one.keys) for one in found), len(body))
