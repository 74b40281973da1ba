"""Under the settings of `isolation.only` ClickHouse itself shows the rows of one customer, whatever the statement asks for."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from optiinfra_api.reading.held_rows import TABLES
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.migrations import on_cluster
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse import tenant_filter
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

CUSTOMERS = ("acme", "beta", "o'neil \\ co")
READERS = ("reader_role", "reader_grant", "reader_policy", "reader_others")


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """For each customer a row in every table."""
    for number, customer in enumerate(CUSTOMERS):
        row = {"customer_id": customer, "generation": number, "billing_period": date(2026, 10, 1)}
        warehouse.client.insert("raw_costs", [list(row.values())], column_names=list(row))
        warehouse.client.insert("publications", [list(row.values())], column_names=list(row))
        removed = {"customer_id": customer, "generation": number, "removed_at": datetime.now(UTC)}
        warehouse.client.insert("removed_generations", [list(removed.values())], column_names=list(removed))
        archived = {"customer_id": customer, "generation": number, "archived_at": datetime.now(UTC)}
        warehouse.client.insert("archived_publications", [list(archived.values())], column_names=list(archived))
        warehouse._derive(derived_tables(), [customer], [number])
    return warehouse


def seen(warehouse: Warehouse, customer: str, statement: str) -> list[Any]:
    """First column of what the statement shows when bound to a customer."""
    return [row[0] for row in warehouse.client.query(statement, settings=warehouse.only(customer)).result_rows]


def test_every_table_with_a_customer_is_known(warehouse: Warehouse) -> None:
    found = warehouse.client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MergeTree' "
        "AND name IN (SELECT table FROM system.columns WHERE name = 'customer_id')"
    )
    assert {row[0] for row in found.result_rows} == set(tenant_filter.customer_tables())
    assert len(tenant_filter.customer_tables()) > 7


def test_without_any_condition_only_the_customers_rows_are_seen(filled: Warehouse) -> None:
    for table in tenant_filter.customer_tables():
        assert len(filled.client.query(f"SELECT 1 FROM {table}").result_rows) == len(CUSTOMERS)
        for customer in CUSTOMERS:
            assert seen(filled, customer, f"SELECT customer_id FROM {table}") == [customer], table
            assert seen(filled, customer, f"SELECT count() FROM {table}") == [1], table


STATEMENTS = [
    "SELECT customer_id FROM raw_costs AS line ORDER BY generation",
    "SELECT customer_id FROM raw_costs PREWHERE generation >= 0",
    "SELECT * FROM (SELECT customer_id FROM raw_costs UNION DISTINCT SELECT customer_id FROM publications)",
    "WITH every AS (SELECT customer_id FROM cost_by_day) SELECT customer_id FROM every",
    "SELECT DISTINCT a.customer_id FROM raw_costs AS a CROSS JOIN publications AS b",
    "SELECT b.customer_id FROM removed_generations AS a RIGHT JOIN raw_costs AS b USING (generation)",
    "SELECT arrayJoin((SELECT groupArray(customer_id) FROM cost_trends))",
    "SELECT customer_id FROM raw_costs WHERE generation IN (SELECT generation FROM publications)",
    "SELECT customer_id FROM raw_costs WHERE customer_id = 'acme' OR 1",
    "SELECT min(customer_id) FROM publications",
]


def test_however_a_table_is_read(filled: Warehouse) -> None:
    for statement in STATEMENTS:
        for customer in CUSTOMERS:
            assert seen(filled, customer, statement) == [customer], statement


def test_another_customer_cannot_be_asked_for(filled: Warehouse) -> None:
    assert seen(filled, "acme", "SELECT 1 FROM raw_costs WHERE customer_id = 'beta'") == []
    for nobody in ("", "nobody", "acme' OR 1 OR '", "acme\\"):
        assert seen(filled, nobody, "SELECT customer_id FROM raw_costs") == []


def test_what_is_published_is_resolved_of_one_customer(filled: Warehouse) -> None:
    resolved = [filled.resolve(customer).publications for customer in CUSTOMERS]
    assert [[one.slice.customer_id for one in found] for found in resolved] == [[one] for one in CUSTOMERS]


def test_as_much_is_read_as_with_a_condition(warehouse: Warehouse) -> None:
    warehouse.client.command(
        "INSERT INTO cost_by_day (customer_id, generation, billing_period, charge_date) "
        "SELECT 'c' || toString(number % 100), number % 50, '2026-10-01', '2026-10-01' FROM numbers(1000000)"
    )
    warehouse.client.command("OPTIMIZE TABLE cost_by_day FINAL")

    def granules(statement: str, settings: dict[str, str]) -> int:
        text = warehouse.client.command(f"EXPLAIN indexes = 1 {statement}", settings=settings)
        return int(re.findall(r"Granules: (\d+)/", str(text))[-1])

    narrow = "SELECT sum(billed_cost) FROM cost_by_day WHERE customer_id = 'c7' AND generation IN [3, 4]"
    by_hand = granules(narrow, {})
    assert granules(narrow, warehouse.only("c7")) == by_hand
    everything = granules("SELECT sum(billed_cost) FROM cost_by_day", warehouse.only("c7"))
    assert by_hand <= everything <= 4
    assert granules("SELECT sum(billed_cost) FROM cost_by_day WHERE generation >= 0", {}) > 100


def test_statements_of_the_api_read_nothing_but_these_tables() -> None:
    """The filter belongs to tables by name: a table function, or a table of another database, would read past it."""
    folders = ("queries", "exports")
    readers = [(folder, name) for folder in folders for name in sql_files.names("clickhouse", folder)]
    stores = (
        "resolve",
        "resolve_as_of",
        "published_generations",
        "slice_history",
        "restated",
        "published_since",
    )
    readers += [("store", name) for name in stores]
    held = {"{table:Identifier}"}
    assert set(TABLES.values()) <= {*tenant_filter.customer_tables()}
    for folder, name in readers:
        read = re.findall(r"\b(?:FROM|JOIN)\s+([^\s(]\S*|\()", sql_files.read("clickhouse", folder, f"{name}.sql"))
        assert set(read) <= {"(", *tenant_filter.customer_tables()} | {
            f"{one})" for one in tenant_filter.customer_tables()
        } | (held if name == "generation_rows" else set()), name


def test_the_engine_understands_the_statements_for_readers(warehouse: Warehouse) -> None:
    for name in READERS:
        text = sql_files.read("clickhouse", "store", f"{name}.sql")
        for statement in (text, on_cluster(text, "costs")):
            formatted = warehouse.client.query("SELECT formatQuery({text:String})", {"text": statement})
            assert formatted.result_rows, statement
        assert on_cluster(text, "costs").count("ON CLUSTER 'costs'") == 1


def test_readers_are_prepared_where_they_are_configured(settings: Settings) -> None:
    """The embedded engine has no users and says so: what is asked of it shows that they would be made."""
    opened = Warehouse.connect(settings.model_copy(update={"clickhouse_reader_url": settings.clickhouse_url}))
    with pytest.raises(DatabaseError, match="SHOW ROW POLICIES"):
        opened.migrate(dry_run=True)
    named = opened.only("acme")
    assert named["SQL_optiinfra_customer_id"] == "'acme'", "a server reads such a setting as a literal"
    assert "SQL_optiinfra_customer_id" not in tenant_filter.tenant_settings("acme", has_policies=False)
    opened.close()


def test_who_only_reads_connects_as_the_reader() -> None:
    owner, reader = "http://owner:a@localhost:1/costs", "http://reader:b@localhost:1/costs"
    both = Settings(clickhouse_url=owner, clickhouse_reader_url=reader)
    assert both.for_reading().clickhouse_url == reader
    assert "reader:b" not in repr(both)
    assert Settings(clickhouse_url=owner).for_reading().clickhouse_url == owner
