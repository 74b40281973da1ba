"""Writes each database to a folder, and reads it from there: PostgreSQL by pg_dump and pg_restore, ClickHouse by BACKUP and RESTORE."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM
from typing import Final

from clickhouse_connect.driver.binding import format_str, quote_identifier

from optiinfra_assets.backup.errors import BackupError
from optiinfra_assets.backup.manifest import Watch, files_of
from optiinfra_assets.database import clickhouse
from optiinfra_assets.embedded.postgres import data_folder
from optiinfra_assets.embedded.processes import tie_to_parent
from optiinfra_assets.warehouse.warehouse import Warehouse

_PAUSE: Final = 0.1
_RUNNING: Final = frozenset({"CREATING_BACKUP", "RESTORING"})
_DONE: Final = frozenset({"BACKUP_CREATED", "RESTORED"})
# Whoever was signed in then is not signed in again, and a link that was used stays used.
_WITHOUT: Final = "--exclude-table-data=optiinfra.web_sessions"


def dump_postgres(url: str, target: Path, database_bytes: int, watch: Watch) -> None:
    """Write one consistent state of the database at `url`, Dagster's tables included, to the file `target`.

    Raises:
        BackupError: pg_dump failed.
    """

    def progress() -> None:
        with suppress(FileNotFoundError):
            watch("PostgreSQL", target.stat().st_size, database_bytes)

    _run("pg_dump", ("--format=custom", _WITHOUT, f"--file={target}", f"--dbname={url}"), progress)


def restore_postgres(url: str, source: Path, watch: Watch) -> None:
    """Fill the empty database at `url` from the file `source`, in one transaction.

    Raises:
        BackupError: pg_restore failed.
    """
    options = ("--single-transaction", "--exit-on-error", f"--dbname={url}", str(source))
    _run("pg_restore", options, lambda: watch("PostgreSQL", 0, None))


def _run(program: str, options: Iterable[str], progress: Callable[[], None]) -> None:
    # Without our environment: variables such as PGOPTIONS are meant for other programs.
    command = [data_folder.binary(program), *options]
    with subprocess.Popen(
        command,
        env={"TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=tie_to_parent(SIGTERM),
    ) as process:
        try:
            while True:
                progress()
                with suppress(subprocess.TimeoutExpired):
                    said = process.communicate(timeout=_PAUSE)[1]
                    break
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BackupError(f"PostgreSQL: {data_folder.reason(said)}")


def backup_clickhouse(warehouse: Warehouse, tables: Iterable[str], target: Path, expected: int, watch: Watch) -> None:
    """Write `tables` to the new folder `target`, each as it is when the statement begins; `expected` is about how many bytes that makes.

    Raises:
        BackupError: ClickHouse failed, or was started again meanwhile.
        WarehouseUnavailable: ClickHouse went away.
    """
    names = ", ".join(
        f"TABLE {quote_identifier(str(warehouse.client.database))}.{quote_identifier(table)}" for table in tables
    )

    def progress() -> None:
        watch("ClickHouse", _bytes_in(target), expected)

    _in_background(warehouse, f"BACKUP {names} TO {_file(target)}", progress)


def restore_clickhouse(warehouse: Warehouse, source: Path, watch: Watch) -> None:
    """Create and fill all tables of the backup in `source`.

    Raises:
        BackupError: ClickHouse failed.
    """
    _in_background(warehouse, f"RESTORE ALL FROM {_file(source)}", lambda: watch("ClickHouse", 0, None))


def _in_background(warehouse: Warehouse, statement: str, progress: Callable[[], None]) -> None:
    """Run `statement`, which may take longer than any connection lasts, and wait for its end."""
    client = warehouse.client
    with clickhouse.clickhouse_errors(client):
        number = client.query(f"{statement} ASYNC").result_rows[0][0]
    query_id = ""
    try:
        while True:
            found = clickhouse.rows(client, "backup_status.sql", {"id": number})
            if not found:
                raise BackupError("ClickHouse: it was started again meanwhile: try again")
            query_id = found[0]["query_id"]
            if found[0]["status"] not in _RUNNING:
                break
            progress()
            time.sleep(_PAUSE)
    except BaseException:
        if query_id:
            with suppress(Exception):  # the error above is the one to report
                client.command(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        raise
    if found[0]["status"] not in _DONE:
        raise BackupError(f"ClickHouse: {_reason(found[0]['error'])}")


def _reason(error: str) -> str:
    """Return the first line of an error without its code, version and stack trace."""
    said = (error.splitlines() or ["it said nothing"])[0]
    return said.partition("DB::Exception: ")[2].partition(", Stack trace")[0] or said


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in files_of(folder):
        with suppress(FileNotFoundError):  # ClickHouse renames while it writes
            size += path.stat().st_size
    return size


def _file(path: Path) -> str:
    return f"File({format_str(str(path))})"
