"""The keys of the assets that a collection makes, as Dagster's webserver and its definitions name them alike."""

from __future__ import annotations

from optiinfra_assets.database import sql_files


def asset_paths(provider: str) -> list[list[str]]:
    """Keys of the assets that a collection makes, in the order of the way of the data; a run always takes all of them."""
    derived = [["derived", provider, table] for table in sql_files.names("clickhouse", "derived")]
    return [["raw", provider, "costs"], *derived, ["published", provider, "costs"]]
