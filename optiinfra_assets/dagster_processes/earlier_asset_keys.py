"""Moves Dagster's history to the asset keys of today; up to version 0.1.0 they began with the layer: ``raw/aws/costs``.

Dagster has no verb that renames an asset: without this, each month that was ever collected would be shown as missing, and the old keys
as assets that nothing defines. Runs, materializations and checks keep their ids, so that links to them stay good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

FORM: Final = "provider/name"

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
    """Rename every asset of the earlier form, in one transaction; a second call finds nothing to do.

    Raises:
        psycopg.Error: PostgreSQL refuses; nothing is changed then.
    """
    with connection.transaction():
        connection.execute(_FORGET_TWINS)
        for table, columns in _COLUMNS.items():
            renamed = ", ".join(f"{column} = {_renamed(column)}" for column in columns)
            where = " OR ".join(f"{column} ~ '{_ANY}'" for column in columns)
            connection.execute(f"UPDATE {table} SET {renamed} WHERE {where}")  # noqa: S608


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
