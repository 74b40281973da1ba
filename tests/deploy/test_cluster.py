"""What is asked of a cluster of ClickHouse: there is none here, so its statements are read by ClickHouse's own parser and not run."""

from __future__ import annotations

import re

import pytest

from optiinfra_assets.database import migrations, sql_files
from optiinfra_assets.database.migrations import on_cluster
from optiinfra_assets.settings import project_file
from optiinfra_assets.warehouse.warehouse import Warehouse

STATEMENTS = {
    **{str(one): one.text for one in migrations.load(project_file("sql", "clickhouse", "migrations"))},
    "create_schema_migrations": sql_files.read("clickhouse", "store", "create_schema_migrations.sql"),
}


def formatted(warehouse: Warehouse, statement: str) -> str:
    """The statement as ClickHouse understands it."""
    return str(warehouse.client.query("SELECT formatQuery({text:String})", {"text": statement}).result_rows[0][0])


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_statement_is_the_same_on_a_cluster_but_for_its_engine(warehouse: Warehouse, name: str) -> None:
    """Nothing else differs, so what is shown on one server of columns, keys and codecs holds there."""
    single, clustered = (formatted(warehouse, on_cluster(STATEMENTS[name], cluster)) for cluster in (None, "costs"))
    assert clustered.count("ON CLUSTER costs") == 1
    assert clustered.count("ENGINE = ReplicatedMergeTree") == single.count("ENGINE = MergeTree")
    back = clustered.replace(" ON CLUSTER costs", "").replace("ENGINE = ReplicatedMergeTree", "ENGINE = MergeTree")
    assert back == single
    assert any(known in single for known in ("CREATE VIEW", "ENGINE = MergeTree", "ENGINE = `Null`", "ALTER TABLE"))


def test_nothing_else_changes_the_schema_but_rows_of_replicated_tables() -> None:
    """Replicas hear of deletions by themselves; a statement that made or dropped anything would have to name the cluster."""
    folder = project_file("sql", "clickhouse", "store")
    changing = {
        path.stem: re.sub(r"^--.*\n", "", path.read_text(), flags=re.MULTILINE).split()[:2]
        for path in folder.glob("*.sql")
        if re.search(
            r"^(CREATE|ALTER|DROP|RENAME|EXCHANGE|TRUNCATE|OPTIMIZE|SYSTEM|KILL|GRANT|DELETE)\b",
            path.read_text(),
            re.MULTILINE,
        )
    }
    through_on_cluster = {"create_schema_migrations", "reader_grant", "reader_policy", "reader_role", "reader_others"}
    assert {name: words for name, words in changing.items() if name not in through_on_cluster} == {
        "delete_rows": ["DELETE", "FROM"],
        "remove_rows": ["ALTER", "TABLE"],
    }
