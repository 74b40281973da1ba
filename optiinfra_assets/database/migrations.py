"""Migrations: the numbered statements of ``sql/<database>/migrations``. Each runs once, in order, forward only.

The database records what ran, with a checksum of the file's text. If a file changed after it ran, if a file is missing, or if the
database is newer than this code, this raises a one-line error and runs nothing.

PostgreSQL runs all pending migrations in one transaction under an advisory lock. ClickHouse has no transactions for schema changes:
there every statement is ``IF NOT EXISTS``, so running it again after a crash, or twice at once, changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from psycopg import Connection

from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.database.errors import MigrationError
from optiinfra_assets.settings import project_file

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_ALREADY_THERE = {44, 57}
"""ClickHouse error codes: column or table exists. It raises them if two migrators create the same one in the same millisecond."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration file: its number (1, 2, ...), its name, its text and the SHA-256 of the text in hex."""

    number: int
    name: str
    text: str
    checksum: str

    @classmethod
    def load(cls, path: Path) -> Migration:
        """Read one file.

        Raises:
            MigrationError: its name does not have the form ``0001_what_it_does.sql``.
        """
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"migration {path.name}: not accepted: use 0001_what_it_does.sql")
        text = path.read_text(encoding="utf-8")
        return cls(int(match[1]), match[2], text, hashlib.sha256(text.encode()).hexdigest())

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """The record that a database keeps of a migration that ran."""

    number: int
    name: str
    checksum: str


def load(folder: Path) -> list[Migration]:
    """Load all migrations of `folder`, in order.

    Raises:
        MigrationError: a number is missing or used twice.
    """
    migrations = sorted((Migration.load(path) for path in folder.glob("*.sql")), key=lambda one: one.number)
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            raise MigrationError(
                f"migration {migration}: expected number {expected:04d}: numbers have no gap and no double"
            )
    return migrations


def pending(migrations: list[Migration], applied: Iterable[AppliedMigration], database: str) -> list[Migration]:
    """Return the migrations that have not run yet. `database` is its name in errors.

    Raises:
        MigrationError: the recorded migrations do not match the files.
    """
    files = {migration.number: migration for migration in migrations}
    done = {one.number: one for one in applied}
    for number, one in sorted(done.items()):
        _check(one, files.get(number), len(migrations), database)
    return [migration for migration in migrations if migration.number not in done]


def _check(applied: AppliedMigration, file: Migration | None, newest: int, database: str) -> None:
    label = f"{applied.number:04d}_{applied.name}"
    if file is None:
        raise MigrationError(
            f"{database}: migration {label} was run by a newer version, this one knows {newest}, and nothing was changed: "
            "upgrade optiinfra, or restore a backup of before that upgrade"
        )
    if file.checksum != applied.checksum:
        raise MigrationError(
            f"{database}: migration {label} was changed after it ran (file {file}): restore the file, add a new one instead"
        )


def migrate_clickhouse(client: Client, cluster: str | None = None, *, dry_run: bool = False) -> list[str]:
    """Bring a ClickHouse database up to date; return the statements that ran, or with `dry_run` would run.

    Raises:
        MigrationError: the recorded migrations do not match the files.
    """
    database = f"ClickHouse database {client.database}"
    recorded = bool(clickhouse.scalar(client, "has_schema_migrations.sql"))
    todo = pending(
        load(project_file("sql", "clickhouse", "migrations")),
        _clickhouse_record(client) if recorded else (),
        database,
    )
    if not dry_run:
        _create(client, on_cluster(sql_files.read("clickhouse", "store", "create_schema_migrations.sql"), cluster))
        for migration in todo:
            _create(client, on_cluster(migration.text, cluster))
            _record_in_clickhouse(client, migration)
    return [on_cluster(migration.text, cluster) for migration in todo]


def _clickhouse_record(client: Client) -> list[AppliedMigration]:
    return [
        AppliedMigration(*row)
        for row in client.query(sql_files.read("clickhouse", "store", "schema_migrations.sql")).result_rows
    ]


def _create(client: Client, statement: str) -> None:
    """Run one ``IF NOT EXISTS`` statement; this is safe if another migrator runs the same one at the same moment."""
    try:
        clickhouse.run(client, statement)
    except DatabaseError as error:
        if error.code not in _ALREADY_THERE:
            raise


def _record_in_clickhouse(client: Client, migration: Migration) -> None:
    values = {
        "number": migration.number,
        "name": migration.name,
        "checksum": migration.checksum,
        "applied_at": datetime.now(UTC),
    }
    clickhouse.run(client, sql_files.read("clickhouse", "store", "record_migration.sql"), values)


_CREATE = re.compile(
    r"^(CREATE (?:TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS \S+|DROP VIEW IF EXISTS \S+)$", re.MULTILINE
)
_ALTER_TABLE = re.compile(r"^(ALTER TABLE \S+)", re.MULTILINE)
_ACCESS = re.compile(r"^(CREATE ROLE IF NOT EXISTS \S+|CREATE ROW POLICY IF NOT EXISTS \S+|GRANT)", re.MULTILINE)
_ENGINE = re.compile(r"^(ENGINE = )(\w*MergeTree)", re.MULTILINE)


def on_cluster(statement: str, cluster: str | None) -> str:
    """Rewrite `statement` for `cluster`, with ``ON CLUSTER`` and Replicated engines; return it unchanged if `cluster` is None.

    Replica paths and names are the server's defaults (``default_replica_path``, macros ``{shard}`` and ``{replica}``).
    Our tests check only the text: they have one server and no cluster.
    """
    if cluster is None:
        return statement
    clause = rf"\1 ON CLUSTER '{cluster}'"
    for named in (_CREATE, _ALTER_TABLE, _ACCESS):
        statement = named.sub(clause, statement)
    return _ENGINE.sub(r"\1Replicated\2", statement)


def migrate_postgres(connection: Connection[Any], *, dry_run: bool = False) -> list[str]:
    """Bring a PostgreSQL database up to date; return the statements that ran, or with `dry_run` would run.

    `connection` must not be in a transaction; this runs everything in one, so that a crash leaves nothing half done.

    Raises:
        MigrationError: the recorded migrations do not match the files.
    """
    database = f"PostgreSQL database {connection.info.dbname}"
    with connection.transaction():
        run = _runner(connection)
        run("lock_migrations.sql")
        recorded = bool(run("has_schema_migrations.sql").fetchone()[0])
        applied = [AppliedMigration(*row) for row in run("schema_migrations.sql")] if recorded else []
        todo = pending(load(project_file("sql", "postgres", "migrations")), applied, database)
        if not dry_run:
            run("create_schema.sql")
            run("create_schema_migrations.sql")
            for migration in todo:
                connection.execute(migration.text.encode())
                values = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
                run("record_migration.sql", values)
    return [migration.text for migration in todo]


def _runner(connection: Connection[Any]) -> Callable[..., Any]:
    def run(name: str, values: dict[str, Any] | None = None) -> Any:
        return connection.execute(sql_files.read("postgres", "queries", name).encode(), values)

    return run
