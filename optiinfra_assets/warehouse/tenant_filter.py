"""Limits a ClickHouse query to the rows of one customer, independent of the text of its statement.

Data in: a customer id. Data out: the settings of one query.

`tenant_settings` gives the query a filter on each table with rows of customers. Every engine adds it where it reads the table, also in
subqueries and views, as a condition on the first column of every primary key. The embedded engine has neither users nor row policies, so
there this is the only guarantee. It costs 0.5 to 0.8 ms per statement (``benchmarks/isolation.py``); the query reads the same granules.

A server enforces it once more: if `OPTIINFRA_CLICKHOUSE_READER_URL` is set, the API connects as that user, and
`create_row_policies` creates a role with row policies that compare with the setting ``SQL_optiinfra_customer_id`` of the query."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.database.migrations import on_cluster

_CREATED = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
_READERS = ("reader_role.sql", "reader_grant.sql", "reader_policy.sql", "reader_others.sql")


@cache
def customer_tables() -> tuple[str, ...]:
    """Return the names of the tables with rows of customers: those that ``sql/clickhouse/migrations`` creates with a customer_id."""
    texts = [
        sql_files.read("clickhouse", "migrations", f"{name}.sql")
        for name in sql_files.names("clickhouse", "migrations")
    ]
    return tuple(sorted(name for text in texts if "customer_id" in text for name in _CREATED.findall(text)))


@lru_cache(maxsize=10_000)
def tenant_settings(customer_id: str, has_policies: bool) -> dict[str, str]:
    """Return the settings of a query that must see rows of one customer only. Callers must not change the dictionary, which is cached.

    Args:
        customer_id: the customer; if it does not exist, the query sees no row.
        has_policies: the server has the row policies of `create_row_policies`.
    """
    condition = f"customer_id = {format_str(customer_id)}"
    filters = ", ".join(f"{format_str(table)}: {format_str(condition)}" for table in customer_tables())
    # A server parses the value of a custom setting as a literal.
    bound = {"SQL_optiinfra_customer_id": format_str(customer_id)} if has_policies else {}
    return {"additional_table_filters": f"{{{filters}}}", **bound}


def create_row_policies(client: Client, cluster: str | None, *, dry_run: bool) -> list[str]:
    """Create the role of readers and its row policies if they do not exist; return the statements that ran, or with `dry_run` would run.

    Our tests check only that ClickHouse can parse them: the embedded engine of the tests has no users.
    """
    if clickhouse.scalar(client, "has_reader_policies.sql"):
        return []
    statements = [on_cluster(sql_files.read("clickhouse", "store", name), cluster) for name in _READERS]
    if not dry_run:
        for statement in statements:
            clickhouse.run(client, statement)
    return statements
