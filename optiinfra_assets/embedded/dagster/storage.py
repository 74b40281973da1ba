"""Dagster's PostgreSQL storage with an explicit driver.

For ``postgresql://`` SQLAlchemy 2.1 uses psycopg 3, where 2.0 used psycopg2. dagster-postgres works with psycopg2 only: it sends ``NOTIFY``
with a bound parameter (a syntax error in psycopg 3) and reuses connections after ``with connection`` (psycopg 3 closes them there), so
events are lost and the web interface says "the connection is closed". Seen with dagster-postgres 0.29.27 and SQLAlchemy 2.1.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config


def with_driver(url: str) -> str:
    """Make `url` name psycopg2 for SQLAlchemy; accepts ``postgresql://`` and its old name ``postgres://``, which libpq both knows."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


class PostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` that accepts every URL that libpq accepts."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresStorage:
        """Called by Dagster with ``storage`` of ``dagster.yaml``."""
        return cls(with_driver(pg_url_from_config(config_value)), inst_data=inst_data)
