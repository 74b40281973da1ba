"""Dagster's PostgreSQL storage with an explicit driver.

For ``postgresql://`` SQLAlchemy 2.1 uses psycopg 3, where 2.0 used psycopg2. dagster-postgres works with psycopg2 only: it sends ``NOTIFY``
with a bound parameter (a syntax error in psycopg 3) and reuses connections after ``with connection`` (psycopg 3 closes them there), so
events are lost and the web interface says "the connection is closed". Seen with dagster-postgres 0.29.27 and SQLAlchemy 2.1.9.

dagster-postgres also opens a connection for each statement: a run of 60 slices opened 2,500, a third of its time, and an idle daemon one
every second, for each of which PostgreSQL starts a process. Here a process keeps one for all three storages, and opens more while
several threads work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import create_engine

from optiinfra_assets.settings import Settings

MOST_CONNECTIONS: Final = 20
"""Most connections of one process. All but one are closed after use."""


def with_driver(url: str) -> str:
    """Make `url` name psycopg2 for SQLAlchemy; accepts ``postgresql://`` and its old name ``postgres://``, which libpq both knows."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


class PostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` that accepts every URL that libpq accepts, or takes that of our settings, and keeps a connection."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        # Each connection is tried before it is used: PostgreSQL may have been started anew since, and an event that cannot be stored
        # fails its run.
        engine = create_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=MOST_CONNECTIONS - 1,
            pool_pre_ping=True,
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine.dispose()
            storage._engine = engine

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresStorage:
        """Called by Dagster with ``storage`` of ``dagster.yaml``.

        Dagster hands that section on to the worker of a run, on its command line too: without an address in it, none is shown there.

        Raises:
            ValueError: neither names a database.
        """
        is_named = "postgres_url" in config_value or "postgres_db" in config_value
        url = pg_url_from_config(config_value) if is_named else Settings().postgres_url
        if url is None:
            raise ValueError("OPTIINFRA_POSTGRES_URL: unset: Dagster keeps its history there")
        return cls(with_driver(url), inst_data=inst_data)
