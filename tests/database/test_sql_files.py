"""The SQL files agree with each other and with the table of FOCUS columns."""

from __future__ import annotations

import pytest

from optiinfra_assets.database import sql_files
from optiinfra_assets.domain import focus
from optiinfra_assets.domain.publications import MEASURES
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

Columns = list[tuple[str, str]]

OURS = [
    "customer_id",
    "provider",
    "account_id",
    "billing_period",
    "generation",
    "line_number",
    "source",
    "is_estimated",
]
KINDS = {
    focus.ColumnType.STRING: {
        "String",
        "Nullable(String)",
        "LowCardinality(String)",
        "LowCardinality(Nullable(String))",
    },
    focus.ColumnType.DECIMAL: {"Decimal(38, 18)", "Nullable(Decimal(38, 18))"},
    focus.ColumnType.TIME: {"DateTime('UTC')"},
    focus.ColumnType.KEY_VALUE: {"Nullable(String)"},
    focus.ColumnType.JSON: {"Nullable(String)"},
}


def columns(warehouse: Warehouse, what: str) -> Columns:
    answer = warehouse.client.query(f"DESCRIBE {what}", parameters={"customers": [], "generations": []})
    return [(row[0], row[1]) for row in answer.result_rows]


@pytest.mark.parametrize("table", derived_tables())
def test_a_derived_select_gives_exactly_the_columns_of_its_table(warehouse: Warehouse, table: str) -> None:
    select = columns(warehouse, f"({sql_files.read('clickhouse', 'derived', f'{table}.sql')})")
    assert select == columns(warehouse, table)


def test_every_derived_table_has_what_verification_compares(warehouse: Warehouse) -> None:
    needed = {*MEASURES, "list_cost_missing", "contracted_cost_missing", "line_items", "billing_currency"}
    for table in derived_tables():
        assert needed <= {name for name, _ in columns(warehouse, table)}, table


def test_raw_costs_has_the_focus_columns_and_ours(warehouse: Warehouse) -> None:
    found = columns(warehouse, "raw_costs")
    kept = [one for one in focus.COLUMNS if one.until is None]
    assert [name for name, _ in found] == [*OURS, *(one.snake for one in kept), "x_columns"]
    types = dict(found)
    assert types["tags"] == "Map(LowCardinality(String), Nullable(String))"
    wrong = {
        one.name: types[one.snake] for one in kept if one.name != "Tags" and types[one.snake] not in KINDS[one.kind]
    }
    assert wrong == {}


def test_money_is_never_a_float(warehouse: Warehouse) -> None:
    floats = warehouse.client.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND type LIKE '%Float%'"
    )
    assert floats.result_rows == []
