"""Real engines for the tests: one embedded ClickHouse and one PostgreSQL a session, a fresh database in each for every test.

``OPTIINFRA_CLICKHOUSE_URL`` and ``OPTIINFRA_POSTGRES_URL`` point the same tests at real servers instead.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import clickhouse_connect
import psutil
import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from loopback import CLICKHOUSE_LOGIN, HANG, clickhouse_address, free_port, server_folder, wait_until_answers

from optiinfra_assets.embedded.postgres import __main__ as embedded_postgres
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

# The suite starts hundreds of Python processes and imports each of its files in every worker: where the environment says that nothing
# compiled is to be kept, each would compile the whole project anew, which was a tenth of all that the suite computes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Each worker imports all tests, of which nothing is ever garbage: looking for it is a sixth of the time. See `pytest_collection_finish`.
gc.disable()


WORKER_BYTES: Final = 2 * 2**30
"""What a worker, its two databases and the processes of its tests take at most."""


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores, as servers are waited for; fewer where the memory does not last."""
    return max(1, min(len(os.sched_getaffinity(0)) + 1, psutil.virtual_memory().total // WORKER_BYTES))


FIRST: Final = ("web/test_pages_in_a_browser.py", "web/test_accessibility.py")
"""Files that take a minute and come late by their names: a worker takes whole files, and would be alone at work with the last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with `FIRST`."""
    first = {Path(__file__).parent / name for name in FIRST}
    items.sort(key=lambda item: item.path not in first)


def pytest_collection_finish() -> None:
    """Let the garbage collector look no more at the tests and all modules, half a million objects that stay."""
    gc.collect()
    gc.freeze()
    gc.enable()


# No test depends on how fast the machine is; a database of a test serves all examples of it.
hypothesis_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")


@pytest.fixture(scope="session")
def clickhouse_url() -> Iterator[str]:
    """HTTP address of a ClickHouse for the whole session, without a database."""
    given = os.environ.get("OPTIINFRA_CLICKHOUSE_URL")
    if given:
        yield given
        return
    with server_folder() as folder:
        yield from _clickhouse(folder)


def _clickhouse(folder: Path) -> Iterator[str]:
    port = free_port()
    engine = [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse"]
    environment = {**os.environ, **CLICKHOUSE_LOGIN}
    process = subprocess.Popen([*engine, "--path", str(folder / "clickhouse"), "--port", str(port)], env=environment)
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/ping", process)
        yield clickhouse_address(port)
    finally:
        process.terminate()
        process.wait(HANG)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL for the whole session."""
    given = os.environ.get("OPTIINFRA_POSTGRES_URL")
    if given:
        yield given
        return
    with server_folder() as folder:
        try:
            yield embedded_postgres.start(folder / "postgres")
        finally:
            embedded_postgres.stop(folder / "postgres")


def with_database(url: str, database: str) -> str:
    """`url` with its database replaced."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@dataclass(frozen=True, slots=True)
class Databases:
    """Both engines of the session, and in each a migrated database that others are copied from: migrating anew takes four times as long.

    Attributes:
        definitions: how each table and view of ClickHouse is made, the tables first.
        spare: copies in ClickHouse that a test has left as they were made but for rows: emptying one takes a tenth of making it.
    """

    clickhouse: Client
    postgres: psycopg.Connection
    template: str
    definitions: dict[str, str]
    spare: list[str] = field(default_factory=list)

    def create(self, name: str, *, is_migrated: bool) -> None:
        """An empty ClickHouse database, and one in PostgreSQL, either empty or migrated."""
        source = f'TEMPLATE "{self.template}"' if is_migrated else ""
        self.postgres.execute(f'CREATE DATABASE "{name}" {source} STRATEGY file_copy'.encode())
        if name not in self.spare:
            self.clickhouse.command(f"CREATE DATABASE {name}")

    def fill(self, name: str) -> None:
        """Give a ClickHouse database of `create` the tables and views that migrations make, and the record of those."""
        if name in self.spare:
            return
        for table, created in self.definitions.items():
            cloned = f"CREATE TABLE {name}.{table} CLONE AS {self.template}.{table}"
            self.clickhouse.command(cloned if _MERGE_TREE in created else created.replace(self.template, name))

    def drop(self, name: str) -> None:
        """Remove both, whoever is still connected; keep the tables of ClickHouse for another test if nothing else is different."""
        self.postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        if self._empty(name):
            self.spare[:] = [name]
        else:
            self.spare[:] = [one for one in self.spare if one != name]
            self.clickhouse.command(f"DROP DATABASE {name}")

    def _empty(self, name: str) -> bool:
        """Empty the tables of a database that are not those of the template, unless it has others, or something still runs in it."""
        answer = self.clickhouse.query(_TABLES, parameters={"database": name}).result_rows
        if {table: created.replace(name, self.template) for table, created, *_ in answer} != self.definitions:
            return False
        if any(running for *_, running in answer):
            return False
        for table, _, parts, _ in answer:
            if parts and table != "schema_migrations":
                self.clickhouse.command(f"TRUNCATE TABLE {name}.{table}")
        return True


_MERGE_TREE: Final = "ENGINE = MergeTree"
_TABLES: Final = """
SELECT
    name,
    create_table_query,
    ifNull(active_parts, 0),
    (SELECT count() FROM system.processes WHERE current_database = {database:String})
        + (SELECT count() FROM system.mutations WHERE database = {database:String} AND NOT is_done)
FROM system.tables
WHERE database = {database:String}
ORDER BY engine IN ('View', 'MaterializedView'), engine = 'Null', name
"""


@pytest.fixture(scope="session")
def databases(clickhouse_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """What databases of tests are made with."""
    template = f"test_{uuid.uuid4().hex[:12]}"
    clickhouse = clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False)
    with psycopg.connect(postgres_url, autocommit=True) as postgres:
        made = Databases(clickhouse, postgres, template, {})
        made.create(template, is_migrated=False)
        try:
            _migrate(_settings(clickhouse_url, postgres_url, template, tmp_path_factory.mktemp("template")))
            rows = clickhouse.query(_TABLES, parameters={"database": template}).result_rows
            yield replace(made, definitions={name: created for name, created, *_ in rows})
        finally:
            for name in (*made.spare, template):
                clickhouse.command(f"DROP DATABASE {name}")
            postgres.execute(f'DROP DATABASE "{template}" WITH (FORCE)'.encode())
            clickhouse.close()


def _migrate(settings: Settings) -> None:
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    warehouse.migrate()
    metadata.migrate()
    warehouse.close()
    metadata.close()


def _settings(clickhouse_url: str, postgres_url: str, database: str, home: Path) -> Settings:
    return Settings(
        home=home,
        clickhouse_url=with_database(clickhouse_url, database),
        postgres_url=with_database(postgres_url, database),
    )


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    databases: Databases,
    clickhouse_url: str,
    postgres_url: str,
    tmp_path: Path,
) -> Iterator[Settings]:
    """Settings whose two databases exist, are empty, belong to this test alone, and are dropped after it."""
    is_spare = databases.spare and "warehouse" in request.fixturenames
    name = databases.spare[0] if is_spare else f"test_{uuid.uuid4().hex[:12]}"
    databases.create(name, is_migrated="metadata" in request.fixturenames)
    try:
        yield _settings(clickhouse_url, postgres_url, name, tmp_path / "home")
    finally:
        databases.drop(name)


@pytest.fixture
def warehouse(settings: Settings, databases: Databases) -> Iterator[Warehouse]:
    """A migrated ClickHouse database of this test alone."""
    opened = Warehouse.connect(settings)
    databases.fill(str(opened.client.database))
    yield opened
    opened.close()


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """A migrated PostgreSQL database of this test alone."""
    opened = Metadata.connect(settings)
    yield opened
    opened.close()
