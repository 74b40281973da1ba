"""The keys of the assets that a collection materializes; the definitions and the client of Dagster's webserver both use them."""

from __future__ import annotations

from optiinfra_assets.database import sql_files


def asset_paths(provider: str) -> list[list[str]]:
    """Return the keys of the assets of `provider`, in the order the data flow: raw, derived, published. A run always takes all of them.

    The provider comes first: Dagster's catalog shows ``aws / cost_by_day``, which a node of the lineage has room for.
    """
    return [[provider, name] for name in ("raw_costs", *sql_files.names("clickhouse", "derived"), "published_costs")]
