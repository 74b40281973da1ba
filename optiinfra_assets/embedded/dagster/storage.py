"""Dagster's own PostgreSQL storage, with the driver named.

SQLAlchemy 2.1 takes psycopg 3 for ``postgresql://``, where 2.0 took psycopg2. dagster-postgres works with psycopg2 only: it sends
``NOTIFY`` with a bound parameter (a syntax error in psycopg 3) and leaves connections by ``with connection`` (closed there), so that
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
    """`url` as SQLAlchemy must get it: ``postgresql://`` and its old name ``postgres://``, both known to libpq, name psycopg2."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


class PostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` that accepts every URL libpq does."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresStorage:
        """Built by Dagster from ``storage`` in ``dagster.yaml``."""
        return cls(with_driver(pg_url_from_config(config_value)), inst_data=inst_data)
