"""A PostgreSQL database behind a connection pool, which runs the statements of ``sql/postgres/queries``; the base of all repositories.

Data in: a URL and statement parameters. Data out: rows as dictionaries.

Reads for one customer use `Database.of_customer`: a read-only transaction in the role ``optiinfra_api``, whose row policies (created by the
migrations) show only that customer's rows, independent of the statement. It is a role because policies on the connecting user would not
work: they bind neither superusers, such as the embedded server's user, nor the owner of a table, which is the user that ran the
migrations; SET ROLE works for all of them. It also leaves all other processes, which work for every customer, unaffected. Without the
customer setting the policies show no row, and a table without a grant is refused: both fail safe.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from optiinfra_assets.database import migrations, sql_files
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.settings import Settings

Row = dict[str, Any]

CONNECTING: dict[str, Any] = {
    "connect_timeout": 10,
    # A peer that vanished silently is detected after 30 + 3 x 10 s instead of the system's two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Database:
    """A connection pool of one database. Thread-safe; it replaces connections that died with the server."""

    def __init__(self, settings: Settings, url: str, pool: ConnectionPool[psycopg.Connection[Row]]) -> None:
        self._settings = settings
        self._url = url
        self._pool = pool
        self._thread = threading.local()

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Connect to the database at `settings.postgres_url`.

        Raises:
            MetadataUnavailable: no URL is set, nothing answers there, or PostgreSQL refuses the connection.
        """
        url = _check(settings.postgres_url)
        with postgres_errors(url):
            psycopg.connect(url, **CONNECTING).close()
            pool = ConnectionPool(
                url,
                kwargs={**CONNECTING, "row_factory": dict_row, "autocommit": True},
                connection_class=psycopg.Connection[Row],
                min_size=1,
                max_size=8,
                timeout=10,
                check=_refuse_closed,
                configure=_speak_utc,
                open=True,
            )
        return cls(settings, url, pool)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def migrate(self, *, dry_run: bool = False) -> list[str]:
        """Bring the tables up to date; return the statements that ran, or with `dry_run` would run.

        Raises:
            MigrationError: the recorded migrations do not match the files of this version.
        """
        with self.own_connection() as connection:
            return migrations.migrate_postgres(connection, dry_run=dry_run)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the statements of this thread in one transaction: commit at the end, roll back on an error."""
        before = getattr(self._thread, "connection", None)
        with postgres_errors(self._url), self._connection() as connection, connection.transaction():
            self._thread.connection = connection
            try:
                yield
            finally:
                self._thread.connection = before

    @contextmanager
    def of_customer(self, customer_id: str) -> Iterator[None]:
        """Run the statements of this thread in a read-only transaction that sees rows of one customer only.

        Raises:
            RuntimeError: this thread is already in a transaction, which would stay limited to the customer afterwards.
        """
        if getattr(self._thread, "connection", None) is not None:
            raise RuntimeError("of_customer: within a transaction is not accepted")
        with self.transaction():
            self.rows("bind_customer.sql", {"customer_id": customer_id})
            yield

    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run ``sql/postgres/queries/<statement>`` in this thread's transaction, or else its own; return its rows, if it has any."""
        with postgres_errors(self._url), self._connection() as connection:
            cursor = connection.execute(sql_files.read("postgres", "queries", statement).encode(), values)
            return cursor.fetchall() if cursor.description else []

    def row(self, statement: str, values: Mapping[str, Any] | None = None) -> Row | None:
        """Return the first row of `rows`, None if there is none."""
        return next(iter(self.rows(statement, values)), None)

    def many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of `values`, all in one transaction."""
        with postgres_errors(self._url), self._connection() as connection, connection.transaction():
            connection.cursor().executemany(sql_files.read("postgres", "queries", statement).encode(), values)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        """Yield the connection of this thread's transaction, or one of the pool."""
        of_transaction = getattr(self._thread, "connection", None)
        if of_transaction is not None:
            yield of_transaction
            return
        with self._pool.connection() as connection:
            yield connection

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection outside the pool, in autocommit mode, and close it at the end."""
        with postgres_errors(self._url):
            connection = psycopg.connect(self._url, autocommit=True, **CONNECTING)
        with connection:
            yield connection

    def errors(self) -> AbstractContextManager[None]:
        """Convert a failed connection to `MetadataUnavailable`, for code that uses `own_connection`."""
        return postgres_errors(self._url)

    @contextmanager
    def locked(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> Iterator[psycopg.Connection[Any] | None]:
        """Take the advisory lock of ``sql/postgres/queries/<statement>`` on a separate connection.

        So PostgreSQL releases it when this process ends in any way. Yields the connection, or None if the statement did not get the lock.
        """
        with self.own_connection() as connection:
            with postgres_errors(self._url):
                row = connection.execute(sql_files.read("postgres", "queries", statement).encode(), values).fetchone()
            try:
                yield connection if row and row[0] is not False else None
            finally:
                # What a closed connection held is free only a moment later, and who asks at once would be refused.
                with suppress(psycopg.Error):
                    connection.execute(b"SELECT pg_advisory_unlock_all()")


class Repository:
    """Base of the repositories, each of which runs the statements of one subject."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _refuse_closed(connection: psycopg.Connection[Row]) -> None:
    """Raise if the server has ended this session, by what has arrived here: the pool's own check asks the server before each statement.

    That was a second round trip: half of the 24 that the collection of an unchanged slice made. The first read takes what the server said
    when it ended the session, the next one finds the end of the stream.

    Raises:
        psycopg.OperationalError: the session has ended; the pool replaces the connection.
    """
    for _ in range(2):
        connection.pgconn.consume_input()


def _speak_utc(connection: psycopg.Connection[Row]) -> None:
    """Set the session's time zone, in which PostgreSQL returns times; the default is the server's."""
    connection.execute(b"SET TIME ZONE 'UTC'")


@contextmanager
def postgres_errors(url: str) -> Iterator[None]:
    """Convert a failed connection to `url` to a one-line error that names host and database, not the password."""
    try:
        yield
    except (psycopg.OperationalError, PoolTimeout, PoolClosed) as error:
        parts = conninfo_to_dict(url)
        where = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}, database {parts.get('dbname')}"
        is_full = isinstance(error, psycopg.errors.DiskFull)
        remedy = "its disk is full, make room on it" if is_full else "check OPTIINFRA_POSTGRES_URL"
        text = f"PostgreSQL at {where}: {_reason(error)}: {remedy}"
        raise MetadataUnavailable(text) from error


def _check(url: str | None) -> str:
    if url is None:
        raise MetadataUnavailable("PostgreSQL: no address: start `optiinfra up`, or set OPTIINFRA_POSTGRES_URL")
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Raised without its cause, which quotes the password.
        form = "postgresql://user:password@host:port/database"
        raise MetadataUnavailable(f"PostgreSQL: OPTIINFRA_POSTGRES_URL is not of the form {form}") from None
    return url


def _reason(error: psycopg.Error) -> str:
    """Return what the server says, without its hint and context, or why there is no connection.

    Of that, libpq puts the attempts before the message and an indented hint after it.
    """
    if error.diag.message_primary:
        return error.diag.message_primary
    said = [line for line in str(error).splitlines() if line and not line.startswith("\t")]
    return said[-1].rpartition("failed: ")[2] if said else type(error).__name__
