"""Reads what forecasts are made from: daily costs of series, of the generations that readers see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final

from optiinfra_assets.analytics.forecast_groups import TagName
from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.domain.charge_filters import LINE_ITEMS
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.warehouse.warehouse import Warehouse

FORECAST_BASIS: Final = "billed_cost"
"""The cost that is forecast after each publication; others are when somebody asks."""
_DERIVED: Final = frozenset({"sub_account", "region", "charge_category"})
"""What ``cost_by_charge`` tells series apart by."""
_OF_A_SERIES: Final = ("provider", "account", "service", "charge_category", "charge_class", "charge_frequency")
"""What names a series, and the kind of its charges."""


def series_columns(*, by_sub_account: bool, region: str = "nothing") -> dict[str, str]:
    """Return the parameters of ``forecast_history`` that name columns."""
    return {"sub_account": "sub_account_id" if by_sub_account else "nothing", "region": region}


def shares_need_line_items(dimensions: Collection[str]) -> bool:
    """Return whether ``charge_shares`` tells series apart by `dimensions`, and not ``forecast_history``."""
    return not _DERIVED.issuperset(dimensions)


def share_columns(dimensions: Collection[str], tags: Sequence[TagName], *, by_sub_account: bool) -> dict[str, Any]:
    """Return the parameters that name columns of the statement whose rows tell series apart by `dimensions`.

    Args:
        dimensions: such as ``region``, as `SeriesKey` calls them.
        tags: those of the dimension ``tags``.
        by_sub_account: whether the series are told apart by sub account.
    """
    by_sub_account = by_sub_account or "sub_account" in dimensions
    if not shares_need_line_items(dimensions):
        region = "region_id" if "region" in dimensions else "nothing"
        return series_columns(by_sub_account=by_sub_account, region=region)
    named = {*dimensions, *_OF_A_SERIES, *(("sub_account",) if by_sub_account else ())}
    columns = {name: column if name in named else "nothing" for name, column in LINE_ITEMS.items()}
    of_tags: dict[str, Any] = {
        "tag": "no_tag",
        "tags": "tags_as_asked" if tags else "nothing",
        "tag_key": "",
        "tag_names": [one.name for one in tags],
        "tags_ignore_case": [one.in_any_case for one in tags],
    }
    return columns | of_tags


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
