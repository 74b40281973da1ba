"""Migrations of both databases: from zero, again, after a crash, at once, and when files and records disagree."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from optiinfra_assets.database import migrations
from optiinfra_assets.database.errors import MigrationError
from optiinfra_assets.database.migrations import AppliedMigration, Migration, on_cluster, pending
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, project_file
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

DATABASES = ["clickhouse", "postgres"]


class Target:
    """One of the two databases, behind the few words the tests need."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings

    def migrate(self, *, dry_run: bool = False) -> list[str]:
        opened: Warehouse | Metadata
        opened = Warehouse.connect(self.settings) if self.name == "clickhouse" else Metadata.connect(self.settings)
        try:
            return opened.migrate(dry_run=dry_run)
        finally:
            opened.close()

    def run(self, statement: str) -> list[tuple[object, ...]]:
        if self.name == "clickhouse":
            warehouse = Warehouse.connect(self.settings)
            rows = [tuple(row) for row in warehouse.client.query(statement).result_rows]
            warehouse.close()
            return rows
        with psycopg.connect(str(self.settings.postgres_url), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def record(self) -> list[tuple[object, ...]]:
        table = "schema_migrations" if self.name == "clickhouse" else "optiinfra.schema_migrations"
        return self.run(f"SELECT number, name FROM {table} ORDER BY number")

    def tables(self) -> set[str]:
        if self.name == "clickhouse":
            statement = "SELECT name FROM system.tables WHERE database = currentDatabase()"
        else:
            statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'optiinfra'"
        return {str(row[0]) for row in self.run(statement)}


@pytest.fixture(params=DATABASES)
def target(request: pytest.FixtureRequest, settings: Settings) -> Target:
    return Target(request.param, settings)


@pytest.fixture
def folder(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the target's migrations that a test may change, in place of the project's."""
    copied = tmp_path / "copied"
    shutil.copytree(project_file("sql", target.name, "migrations"), copied)
    original: Callable[..., Path] = project_file

    def changed(*parts: str) -> Path:
        return copied if parts == ("sql", target.name, "migrations") else original(*parts)

    monkeypatch.setattr(migrations, "project_file", changed)
    return copied


def expected(target: Target) -> list[tuple[int, str]]:
    files = sorted(project_file("sql", target.name, "migrations").glob("*.sql"))
    return [(int(path.name[:4]), path.stem[5:]) for path in files]


def test_from_zero_and_again(target: Target) -> None:
    views = len(derived_tables()) + 1 if target.name == "clickhouse" else 0
    assert len(target.migrate()) == len(expected(target)) + views
    assert target.record() == expected(target)
    assert target.migrate() == []
    assert target.record() == expected(target)


def test_a_dry_run_prints_everything_and_does_nothing(target: Target) -> None:
    printed = target.migrate(dry_run=True)
    assert target.tables() == set()
    assert printed == target.migrate()
    assert target.migrate(dry_run=True) == []


def test_several_at_once_migrate_once(target: Target) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            target.migrate()
        except BaseException as error:  # noqa: BLE001 - reported by the test
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(set(target.record())) == expected(target)
    assert target.migrate() == []


def test_a_crash_between_running_and_recording_is_harmless(target: Target) -> None:
    """PostgreSQL rolls both back together, so what is on record is what there is; ClickHouse runs the statement again."""
    target.migrate()
    if target.name == "clickhouse":
        target.run("DELETE FROM schema_migrations WHERE number > 3")
        assert len(target.migrate()) == len(expected(target)) - 3
    assert target.record() == expected(target)


def test_a_failing_migration_leaves_no_record_and_goes_on_when_corrected(target: Target, folder: Path) -> None:
    last = folder / f"{len(expected(target)) + 1:04d}_planted.sql"
    last.write_text("-- Planted.\nCREATE TABLE IF NOT EXISTS planted (oops NoSuchType) ENGINE = Nothing\n")
    with pytest.raises(Exception, match=r"(?i)syntax error|NoSuchType|unknown"):
        target.migrate()
    assert (target.record() if target.name == "clickhouse" else target.tables()) in (expected(target), set())
    last.write_text(
        "-- Planted.\nCREATE TABLE IF NOT EXISTS planted (a UInt8) ENGINE = MergeTree ORDER BY a\n"
        if target.name == "clickhouse"
        else "-- Planted.\nCREATE TABLE optiinfra.planted (a integer)\n"
    )
    target.migrate()
    assert "planted" in target.tables()


def test_a_file_changed_after_it_ran_is_refused(target: Target, folder: Path) -> None:
    target.migrate()
    changed = sorted(folder.glob("*.sql"))[1]
    changed.write_text(changed.read_text() + "-- one more line\n")
    with pytest.raises(MigrationError, match=f"migration {changed.stem} was changed after it ran"):
        target.migrate()


def test_a_database_newer_than_the_code_is_refused(target: Target, folder: Path) -> None:
    target.migrate()
    newest = sorted(folder.glob("*.sql"))[-1]
    newest.unlink()
    with pytest.raises(MigrationError, match=f"migration {newest.stem} was run by a newer version") as caught:
        target.migrate()
    assert "upgrade optiinfra" in str(caught.value)


@pytest.mark.parametrize("broken", ["missing", "doubled", "misnamed"])
def test_numbers_without_gap_or_double(target: Target, folder: Path, broken: str) -> None:
    second = sorted(folder.glob("*.sql"))[1]
    if broken == "missing":
        second.unlink()
    else:
        shutil.copy(second, folder / ("0002_again.sql" if broken == "doubled" else "2_Again.sql"))
    with pytest.raises(MigrationError, match=r"expected number 0002|expected number 0003|2_Again\.sql: not accepted"):
        target.migrate()
    assert target.tables() == set()


def test_pending_are_those_without_a_record() -> None:
    files = [Migration(number, f"step_{number}", "", str(number)) for number in (1, 2, 3)]
    assert pending(files, [AppliedMigration(1, "step_1", "1"), AppliedMigration(2, "step_2", "2")], "here") == files[2:]
    with pytest.raises(MigrationError, match="here: migration 0002_step_2 was changed"):
        pending(files, [AppliedMigration(2, "step_2", "other")], "here")


def test_on_a_cluster_every_table_is_replicated() -> None:
    for file in migrations.load(project_file("sql", "clickhouse", "migrations")):
        text = on_cluster(file.text, "costs")
        assert on_cluster(file.text, None) == file.text
        assert "ON CLUSTER 'costs'" in text, file
        if "CREATE TABLE" in text and "ENGINE = Null" not in text:
            assert "\nENGINE = ReplicatedMergeTree" in text
            assert "\nENGINE = MergeTree" not in text
    altered = on_cluster("-- Why.\nALTER TABLE raw_costs ADD COLUMN IF NOT EXISTS x String", "costs")
    assert altered == "-- Why.\nALTER TABLE raw_costs ON CLUSTER 'costs' ADD COLUMN IF NOT EXISTS x String"


def test_clickhouse_migrations_can_be_run_twice() -> None:
    for file in migrations.load(project_file("sql", "clickhouse", "migrations")):
        assert "IF NOT EXISTS" in file.text or "IF EXISTS" in file.text, file
