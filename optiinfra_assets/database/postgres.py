"""A PostgreSQL database behind a pool of connections, and the statements of ``sql/postgres/queries``.

Repositories stand on it. Flow in: a URL. Flow out: rows as dictionaries.

Reads for one customer go through `Database.of_customer`: a read-only transaction in the role ``optiinfra_api``, whose row policies
(made by the migrations) show that customer's rows and nothing else, whatever the statement asks for. A role, and not policies on the
user that connects: policies bind neither superusers, as the embedded server's user is, nor the owner of a table, as whoever runs the
migrations is; taking on a role works for all of them. And so all other processes, which work for every customer,
are not affected. A forgotten binding shows no row, a table without a grant is refused: both fail to the safe side.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from optiinfra_assets.database import migrations, sql_files
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.settings import Settings

Row = dict[str, Any]

_CONNECTING: dict[str, Any] = {
    "connect_timeout": 10,
    # A peer that vanished without a word is noticed after 30 + 3 x 10 s instead of the system's two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Database:
    """Connections to one database, safe for threads. Connections that died with the server are replaced."""

    def __init__(self, settings: Settings, url: str, pool: ConnectionPool[psycopg.Connection[Row]]) -> None:
        self._settings = settings
        self._url = url
        self._pool = pool
        self._thread = threading.local()

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Open the database at `settings.postgres_url`.

        Raises:
            MetadataUnavailable: no address is set, nothing answers there, or it refuses us.
        """
        url = _check(settings.postgres_url)
        with postgres_errors(url):
            psycopg.connect(url, **_CONNECTING).close()
            pool = ConnectionPool(
                url,
                kwargs={**_CONNECTING, "row_factory": dict_row, "autocommit": True},
                connection_class=psycopg.Connection[Row],
                min_size=1,
                max_size=8,
                timeout=10,
                check=ConnectionPool.check_connection,
                configure=_speak_utc,
                open=True,
            )
        return cls(settings, url, pool)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def migrate(self, *, dry_run: bool = False) -> list[str]:
        """Bring the tables up to date; returns the statements that ran, or with `dry_run` would run.

        Raises:
            MigrationError: the database was changed by other files than ours.
        """
        with self.own_connection() as connection:
            return migrations.migrate_postgres(connection, dry_run=dry_run)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What this thread stores within is stored together at the end, and none of it if an error comes first."""
        before = getattr(self._thread, "connection", None)
        with postgres_errors(self._url), self._connection() as connection, connection.transaction():
            self._thread.connection = connection
            try:
                yield
            finally:
                self._thread.connection = before

    @contextmanager
    def of_customer(self, customer_id: str) -> Iterator[None]:
        """What this thread reads within sees rows of one customer only, and nothing can be changed. Not within a transaction.

        Raises:
            RuntimeError: this thread is in a transaction, which would stay bound.
        """
        if getattr(self._thread, "connection", None) is not None:
            raise RuntimeError("of_customer: within a transaction is not accepted")
        with self.transaction():
            self.rows("bind_customer.sql", {"customer_id": customer_id})
            yield

    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run ``sql/postgres/queries/<statement>``, in a transaction of its own unless within one; its rows, if it returns any."""
        with postgres_errors(self._url), self._connection() as connection:
            cursor = connection.execute(sql_files.read("postgres", "queries", statement).encode(), values)
            return cursor.fetchall() if cursor.description else []

    def row(self, statement: str, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row of `rows`, None if there is none."""
        return next(iter(self.rows(statement, values)), None)

    def many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of `values`, all or none."""
        with postgres_errors(self._url), self._connection() as connection, connection.transaction():
            connection.cursor().executemany(sql_files.read("postgres", "queries", statement).encode(), values)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        """That of this thread's transaction, or one of the pool."""
        of_transaction = getattr(self._thread, "connection", None)
        if of_transaction is not None:
            yield of_transaction
            return
        with self._pool.connection() as connection:
            yield connection

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection outside the pool, in autocommit, closed at the end."""
        with postgres_errors(self._url):
            connection = psycopg.connect(self._url, autocommit=True, **_CONNECTING)
        with connection:
            yield connection

    @contextmanager
    def locked(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> Iterator[psycopg.Connection[Any] | None]:
        """Take the advisory lock of ``sql/postgres/queries/<statement>``, which lives on a connection of its own.

        So it ends with this process, however that ends. Yields the connection, or None if the statement did not get the lock.
        """
        with self.own_connection() as connection:
            with postgres_errors(self._url):
                row = connection.execute(sql_files.read("postgres", "queries", statement).encode(), values).fetchone()
            yield connection if row and row[0] is not False else None


class Repository:
    """The statements of one subject over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _speak_utc(connection: psycopg.Connection[Row]) -> None:
    """Times come back in the session's zone, which is the server's unless said otherwise."""
    connection.execute(b"SET TIME ZONE 'UTC'")


@contextmanager
def postgres_errors(url: str) -> Iterator[None]:
    """Turn a failed connection to `url` into one line that names host and database, not the password."""
    try:
        yield
    except (psycopg.OperationalError, PoolTimeout, PoolClosed) as error:
        parts = conninfo_to_dict(url)
        where = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}, database {parts.get('dbname')}"
        text = f"PostgreSQL at {where}: {_reason(error)}: check OPTIINFRA_POSTGRES_URL"
        raise MetadataUnavailable(text) from error


def _check(url: str | None) -> str:
    if url is None:
        raise MetadataUnavailable("PostgreSQL: no address: start `optiinfra up`, or set OPTIINFRA_POSTGRES_URL")
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Without its cause, which quotes the password.
        form = "postgresql://user:password@host:port/database"
        raise MetadataUnavailable(f"PostgreSQL: OPTIINFRA_POSTGRES_URL is not of the form {form}") from None
    return url


def _reason(error: Exception) -> str:
    """The server's or the system's own words: libpq puts the attempts before them and a hint, indented, after."""
    said = [line for line in str(error).splitlines() if line and not line.startswith("\t")]
    return said[-1].rpartition("failed: ")[2] if said else type(error).__name__
