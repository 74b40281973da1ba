"""What is inserted together goes through views to all tables: the same rows as by the statements of each table."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.line_items import Layout, Normalizer
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.collected_views import create_views
from optiinfra_assets.warehouse.loading import insert, insert_and_derive
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables
from tests.focus_samples import random_rows

GENERATIONS = itertools.count(100)
MONTH = BillingPeriod(2024, 9)


def batch(rows: int, seed: int) -> pa.RecordBatch:
    """Line items in three currencies; those of one seed are the same."""
    drawn = [
        *random_rows(rows, seed),
        *random_rows(rows // 2, seed + 1, BillingCurrency="JPY", ChargeCategory="Credit"),
    ]
    names = list(drawn[0])
    delivered = pa.record_batch({name: pa.array([one.get(name) for one in drawn], pa.string()) for name in names})
    return Normalizer(Layout.of(names), Rounding(), source="focus file").convert(delivered)


def contents(warehouse: Warehouse, generations: list[int]) -> dict[str, list[Any]]:
    """The rows of some generations by table, in the order of the generations."""
    tables = ("raw_costs", *derived_tables())
    asked = "SELECT * EXCEPT generation FROM {table} WHERE generation = {generation} ORDER BY ALL"
    return {
        table: [
            warehouse.client.query(asked.format(table=table, generation=generation)).result_rows
            for generation in generations
        ]
        for table in tables
    }


@settings(max_examples=8)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 300), st.integers(0, 99)), min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_views_write_what_the_statements_write(warehouse: Warehouse, drawn: list[list[tuple[int, int]]]) -> None:
    """However many slices share the insert, and in however many pieces each of them comes."""
    slices = [Slice(f"customer-{number % 2}", "focus", f"account-{number}", MONTH) for number in range(len(drawn))]
    items = [[batch(*one) for one in pieces] for pieces in drawn]
    together, apart = ([next(GENERATIONS) for _ in slices] for _ in range(2))
    insert_and_derive(warehouse.client, zip(slices, together, items, strict=True))
    insert(warehouse.client, zip(slices, apart, items, strict=True))
    warehouse.derive(dict(zip(apart, slices, strict=True)))
    assert contents(warehouse, together) == contents(warehouse, apart)


def test_what_is_inserted_together_has_every_column_of_line_items(warehouse: Warehouse) -> None:
    described = [
        [row[:2] for row in warehouse.client.query(f"DESCRIBE {table}").result_rows]
        for table in ("raw_costs", "collected_line_items")
    ]
    assert described[0] == described[1]


def test_views_are_made_once_and_anew_when_their_statement_is_another(warehouse: Warehouse) -> None:
    assert warehouse.migrate() == []
    select = "SELECT customer_id, generation, billing_currency, sum(billed_cost) AS billed_cost FROM collected_line_items GROUP BY ALL"
    warehouse.client.command("DROP VIEW collected_to_cost_by_day")
    warehouse.client.command(
        f"CREATE MATERIALIZED VIEW collected_to_cost_by_day TO cost_by_day AS {select} COMMENT 'earlier'"
    )
    would = warehouse.migrate(dry_run=True)
    assert [one.split("\n")[0] for one in would] == [
        "DROP VIEW IF EXISTS collected_to_cost_by_day",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS collected_to_cost_by_day",
    ]
    warehouse.client.command("DROP VIEW collected_to_cost_by_sku")  # as if a migration died between the two
    assert len(warehouse.migrate()) == 3
    assert warehouse.migrate() == []
    insert_and_derive(warehouse.client, [(Slice("acme", "focus", "acme.main", MONTH), 1, [batch(50, 7)])])
    insert(warehouse.client, [(Slice("acme", "focus", "acme.main", MONTH), 2, [batch(50, 7)])])
    warehouse.derive({2: Slice("acme", "focus", "acme.main", MONTH)})
    assert contents(warehouse, [1]) == contents(warehouse, [2])


@pytest.mark.usefixtures("warehouse")
def test_on_a_cluster_every_view_is_made_on_all_servers(settings: Settings) -> None:
    warehouse = Warehouse.connect(settings)
    for table in derived_tables():
        warehouse.client.command(f"DROP VIEW collected_to_{table}")
    warehouse.client.command("DROP VIEW collected_to_raw_costs")
    warehouse.client.command("CREATE VIEW collected_to_raw_costs AS SELECT 1")
    statements = create_views(warehouse.client, "costs", derived_tables(), dry_run=True)
    assert len(statements) == len(derived_tables()) + 2
    for statement in statements:
        text = warehouse.client.query("SELECT formatQuery({text:String})", {"text": statement}).first_row[0]
        assert text.count("ON CLUSTER costs") == 1, text
    warehouse.close()
