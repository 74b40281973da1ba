"""Moves Dagster's history to the asset keys and partitions of today.

Up to version 0.1.0 keys began with the layer (``raw/aws/costs``), and partitions were accounts by every month from 2020. Dagster has no
verb that renames an asset: without this, each month that was ever collected would be shown as missing, and the old keys as assets that
nothing defines. Runs, materializations and checks keep their ids, so that links to them stay good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

FORM: Final = "provider/name, partitions by slice"

_RENAMED: Final = {
    r'\["raw", "([^"]+)", "costs"\]': r'["\1", "raw_costs"]',
    r'\["published", "([^"]+)", "costs"\]': r'["\1", "published_costs"]',
    r'\["derived", "([^"]+)", "(cost_[a-z_]+)"\]': r'["\1", "\2"]',
    r'\["source", "([^"]+)"\]': r'["\1", "source"]',
}
"""Regular expressions of PostgreSQL: Dagster stores a key as JSON, alone in a column and within serialized events and runs."""

_COLUMNS: Final = {
    "asset_keys": ("asset_key", "last_materialization"),
    "event_logs": ("asset_key", "event"),
    "asset_event_tags": ("asset_key",),
    "asset_check_executions": ("asset_key", "evaluation_event"),
    "runs": ("run_body",),
    "bulk_actions": ("body",),
}
"""The columns of Dagster 1.13 that hold asset keys. Snapshots of jobs do too, compressed: the graph of an old run stays as it was."""


def rename(connection: psycopg.Connection) -> None:
    """Rename every asset of the earlier form, and make partitions of what was collected; a second call finds nothing to do.

    All of it is one transaction.

    Raises:
        psycopg.Error: PostgreSQL refuses; nothing is changed then.
    """
    with connection.transaction():
        connection.execute(_FORGET_TWINS)
        for table, columns in _COLUMNS.items():
            renamed = ", ".join(f"{column} = {_renamed(column)}" for column in columns)
            where = " OR ".join(f"{column} ~ '{_ANY}'" for column in columns)
            connection.execute(f"UPDATE {table} SET {renamed} WHERE {where}")  # noqa: S608
        connection.execute(_ADD_PARTITIONS)
        connection.execute(_FORGET_ACCOUNTS)


def _renamed(column: str) -> str:
    for earlier, today in _RENAMED.items():
        column = f"regexp_replace({column}, '{earlier}', '{today}', 'g')"
    return column


_ANY: Final = "|".join(_RENAMED)
_FORGET_TWINS: Final = f"""
    DELETE FROM asset_keys AS earlier USING asset_keys AS today
    WHERE earlier.asset_key ~ '{_ANY}' AND today.asset_key = {_renamed("earlier.asset_key")}
"""  # noqa: S608
"""A key is unique. Both forms are there if an older version ran once more after this one."""

_ADD_PARTITIONS: Final = r"""
    INSERT INTO dynamic_partitions (partitions_def_name, partition)
    SELECT DISTINCT earlier.provider || '_slices', event_logs.partition
    FROM event_logs
    INNER JOIN (
        SELECT DISTINCT regexp_replace(partitions_def_name, '_accounts$', '') AS provider
        FROM dynamic_partitions
        WHERE partitions_def_name LIKE '%\_accounts'
    ) AS earlier ON event_logs.asset_key = '["' || earlier.provider || '", "raw_costs"]'
    WHERE event_logs.dagster_event_type = 'ASSET_MATERIALIZATION' AND event_logs.partition LIKE '%|____-__'
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
"""
_FORGET_ACCOUNTS: Final = r"DELETE FROM dynamic_partitions WHERE partitions_def_name LIKE '%\_accounts'"
"""Accounts were partitions of their own; they are a part of a partition's key now."""
