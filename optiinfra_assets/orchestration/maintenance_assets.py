"""Garbage collection: once a day, remove rows and events that no reader can need any more."""

from datetime import timedelta
from typing import Any

import dagster as dg

from optiinfra_assets.orchestration.resources import StoresResource

GARBAGE = dg.AssetKey(["maintenance", "garbage"])

EVENTS_KEPT = timedelta(days=35)
"""Collection events are kept this long: a subscriber comes back within a month, or reads the history, which is kept forever."""


def garbage_collection_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that applies retention: it keeps the last generation of each UTC day for `OPTIINFRA_RETENTION_DAYS` days."""

    @dg.asset(
        key=GARBAGE,
        description=(
            "Rows that nobody can read any more, removed: superseded generations past retention (the last one of each UTC day is kept "
            "for OPTIINFRA_RETENTION_DAYS days) and what attempts that died left behind. Published data that readers see are never touched."
        ),
        kinds={"clickhouse"},
        group_name="maintenance",
        retry_policy=retry_policy,
        pool="maintenance",
    )
    def garbage(stores: dg.ResourceParam[StoresResource]) -> dg.MaterializeResult[Any]:
        with stores.metadata() as metadata, stores.warehouse() as warehouse:
            days = stores.settings().retention_days
            now = stores.clock()
            removed = warehouse.collect_garbage(now, days, metadata.slices.live_generations())
            events = metadata.events.forget(now - EVENTS_KEPT)
        return dg.MaterializeResult(
            metadata={
                "generations expired now (rows go with the next run)": removed.expired,
                "generations removed": removed.removed,
                "generations of dead attempts removed": removed.orphans,
                "rows removed": removed.rows,
                "events of collections removed": events,
                "retention (days)": days,
            }
        )

    return garbage
