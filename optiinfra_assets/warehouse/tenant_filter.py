"""ClickHouse shows a reader the rows of one customer only, whatever its statement asks for.

Flow in: a customer's id. Flow out: settings of one query.

On every engine `tenant_settings` gives the query a filter on each table that holds rows of customers; the engine adds it where the table is
read, in subqueries and views too, as a condition on the first column of every primary key. The embedded engine knows neither users
nor row policies, so there this is the guarantee. It costs 0.5 to 0.8 ms a statement (``benchmarks/isolation.py``), and the same granules
are read.

On a server it is enforced once more: where `OPTIINFRA_CLICKHOUSE_READER_URL` is set, the API connects as that user, and
`create_row_policies` makes a role with row policies that compare with the setting ``SQL_optiinfra_customer_id`` of the query."""

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
    """Names of the tables with rows of customers: those that ``sql/clickhouse/migrations`` create with a customer_id."""
    texts = [
        sql_files.read("clickhouse", "migrations", f"{name}.sql")
        for name in sql_files.names("clickhouse", "migrations")
    ]
    return tuple(sorted(name for text in texts if "customer_id" in text for name in _CREATED.findall(text)))


@lru_cache(maxsize=10_000)
def tenant_settings(customer_id: str, has_policies: bool) -> dict[str, str]:
    """Settings of a query that shall see rows of one customer only. Do not change them.

    Args:
        customer_id: the customer; one that does not exist has no row.
        has_policies: the server has the row policies of `create_row_policies`.
    """
    condition = f"customer_id = {format_str(customer_id)}"
    filters = ", ".join(f"{format_str(table)}: {format_str(condition)}" for table in customer_tables())
    # A server reads the value of a setting it does not know itself as a literal.
    bound = {"SQL_optiinfra_customer_id": format_str(customer_id)} if has_policies else {}
    return {"additional_table_filters": f"{{{filters}}}", **bound}


def create_row_policies(client: Client, cluster: str | None, *, dry_run: bool) -> list[str]:
    """Make the role of readers and its row policies if they are not there; returns the statements that ran, or would run.

    Not exercised against a server by our tests, since the embedded engine has no users: that they are understood is.
    """
    if clickhouse.scalar(client, "has_reader_policies.sql"):
        return []
    statements = [on_cluster(sql_files.read("clickhouse", "store", name), cluster) for name in _READERS]
    if not dry_run:
        for statement in statements:
            clickhouse.run(client, statement)
    return statements
