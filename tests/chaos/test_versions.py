"""Data of an earlier version, and of one that is yet to come: the first are brought over, the second are refused and left as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Final

import psycopg
import pytest
from running_platform import Platform
from warehouse_samples import SLICE, Line, publish

from optiinfra_assets.database import migrations
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.embedded import sessions
from optiinfra_assets.embedded.dagster import home as dagster_home
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, project_file
from optiinfra_assets.warehouse.warehouse import Warehouse

EARLIER: Final = {"postgres": 37, "clickhouse": 7}
"""The newest migration of each database that an earlier version had."""

ROWS_OF_THEN: Final = """
INSERT INTO optiinfra.customers (customer_id, name) VALUES ('acme', 'Acme');
INSERT INTO optiinfra.accounts (account_id, customer_id, provider, settings, last_error, last_probe_at)
VALUES ('acme.main', 'acme', 'focus', '{"location": "/data"}', 'no answer', '2026-10-05T00:00:00Z');
INSERT INTO optiinfra.slice_state (account_id, billing_period, seen_token, collected_token, generation, failed_token, retry_at)
VALUES ('acme.main', '2026-10', 'b', 'a', 1, 'b', '2026-10-06T00:00:00Z'), ('acme.main', '2026-09', 'a', 'a', NULL, NULL, NULL);
INSERT INTO optiinfra.generations (account_id, billing_period, run_id, state) VALUES ('acme.main', '2026-10', 'run', 'published');
INSERT INTO optiinfra.collection_history (task_id, trigger, customer_id, provider, account_id, billing_period, run_id, status, started_at)
VALUES ('task', 'schedule', 'acme', 'focus', 'acme.main', '2026-10', 'run', 'running', now());
INSERT INTO optiinfra.api_tokens (token_id, token_hash, name, customer_id, role) VALUES ('t1', '\\x00', 'ops', NULL, 'admin')
"""


def run(settings: Settings, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def migrate(settings: Settings) -> subprocess.CompletedProcess[str]:
    """What `optiinfra up` does first."""
    urls = {
        "OPTIINFRA_CLICKHOUSE_URL": str(settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
    }
    return Platform(settings.home, **urls).command("migrate")


def of_then(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make both databases as the earlier version left them, with rows of that time."""
    original: Callable[..., Path] = project_file

    def earlier(*parts: str) -> Path:
        source = original(*parts)
        if parts[-1] != "migrations":
            return source
        copied = folder / parts[1]
        shutil.copytree(source, copied)
        for file in copied.glob("*.sql"):
            if int(file.name[:4]) > EARLIER[parts[1]]:
                file.unlink()
        return copied

    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    with monkeypatch.context() as then:
        then.setattr(migrations, "project_file", earlier)
        metadata.migrate()
        migrations.migrate_clickhouse(warehouse.client)
    run(settings, ROWS_OF_THEN)
    with monkeypatch.context() as then:
        tables = ("cost_by_day", "cost_by_service", "cost_trends", "cost_by_type")
        then.setattr("optiinfra_assets.warehouse.warehouse.derived_tables", lambda: tables)
        publish(warehouse, 1, [Line(Decimal("12.34")), Line(Decimal("-0.01"))])
    warehouse.close()
    metadata.close()


def test_data_of_an_earlier_version_are_brought_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_then(settings, tmp_path, monkeypatch)
    moved = migrate(settings)
    assert moved.returncode == 0, moved.stderr
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    assert metadata.migrate(dry_run=True) == warehouse.migrate(dry_run=True) == []
    for table in ("raw_costs", "cost_by_day", "cost_by_resource"):
        assert warehouse.client.query(f"SELECT sum(billed_cost) FROM {table}").result_rows == [(Decimal("12.33"),)], (
            table
        )
    assert warehouse.resolve("acme").generations == (1,)
    (state,) = metadata.accounts.states()
    assert (state.account.settings, state.last_error) == ({"location": "/data"}, "no answer")
    (due,) = metadata.slices.states(due=True)
    assert (due.slice, due.generation) == (SLICE, 1)
    (row,) = metadata.work_queue.open_collections()
    assert (row.status, row.warnings, row.slice.billing_period) == ("running", (), BillingPeriod(2026, 10))
    assert [one.name for one in metadata.tokens.find()] == ["ops"]
    (failure,) = metadata.failures.find()
    assert (failure.billing_period, failure.message) == (None, "no answer")
    assert metadata.slices.start_generation(SLICE, "next") == 2
    warehouse.close()
    metadata.close()


@pytest.mark.parametrize("newer", ["PostgreSQL", "ClickHouse"])
def test_data_of_a_newer_version_are_refused_and_neither_database_is_changed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer: str
) -> None:
    """The other one would have migrations to run."""
    of_then(settings, tmp_path, monkeypatch)
    warehouse = Warehouse.connect(settings)
    if newer == "PostgreSQL":
        run(settings, "INSERT INTO optiinfra.schema_migrations VALUES (9000, 'of_tomorrow', 'x')")
    else:
        warehouse.client.command("INSERT INTO schema_migrations VALUES (9000, 'of_tomorrow', 'x', now())")

    def contents() -> list[object]:
        recorded = "SELECT number FROM schema_migrations ORDER BY number"
        columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'optiinfra' ORDER BY 1, 2"
        tables = "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name"
        return [
            run(settings, recorded.replace("schema_m", "optiinfra.schema_m")),
            run(settings, columns),
            warehouse.client.query(recorded).result_rows,
            warehouse.client.query(tables).result_rows,
        ]

    before = contents()
    refused = migrate(settings)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"{newer} database" in refused.stderr
    for said in (
        "9000_of_tomorrow was run by a newer version",
        "nothing was changed",
        "upgrade optiinfra, or restore a backup",
    ):
        assert said in refused.stderr
    assert contents() == before
    warehouse.close()


def test_tables_of_a_newer_dagster_are_refused_and_left(settings: Settings) -> None:
    settings = settings.model_copy(update={"home": settings.home.resolve()})
    dagster_home.prepare(settings)
    run(
        settings,
        "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('ffff00001111')",
    )
    environment = {
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
        "DAGSTER_HOME": str(dagster_home.folder(settings)),
    }
    refused = subprocess.run(
        [sys.executable, "-m", "optiinfra_assets.embedded.dagster.home", str(settings.home)],
        env={**Platform(settings.home).environment, **environment},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "error: Dagster's tables in PostgreSQL are of a newer version (revision ffff00001111; "
    )
    assert refused.stderr.endswith(
        "nothing was changed: upgrade optiinfra, or restore a backup of before that upgrade\n"
    )
    assert run(settings, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'") == [
        ("alembic_version",)
    ]
    assert not dagster_home.is_storage_current(settings)


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"marker": "m"},
        {"marker": 1, "leaders": []},
        {"marker": "m", "leaders": ["7"]},
        {"format": 2, "sessions": []},
    ],
    ids=str,
)
def test_a_list_of_processes_in_a_form_of_tomorrow_is_refused_and_left(tmp_path: Path, content: object) -> None:
    (tmp_path / "sessions.json").write_text(json.dumps(content))
    with pytest.raises(
        PreflightError, match=r"sessions\.json: written by a newer version of OptiInfra: start that"
    ) as caught:
        sessions.end_left(tmp_path)
    assert "\n" not in str(caught.value)
    assert json.loads((tmp_path / "sessions.json").read_text()) == content


@pytest.mark.parametrize("content", ["", "{", '{"marker": "m", "leaders": [], "format": 2}'])
def test_a_list_of_processes_that_is_empty_or_has_more_in_it_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "sessions.json").write_text(content)
    sessions.end_left(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "null", '{"format": 2, "servers": {}}', '{"home": "/elsewhere"}'])
def test_addresses_in_a_form_of_tomorrow_are_no_addresses(tmp_path: Path, content: str) -> None:
    (tmp_path / "runtime.json").write_text(content)
    found = Settings(home=tmp_path)
    assert (found.home, found.dagster_port) == (tmp_path, 3000)
