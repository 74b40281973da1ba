"""Maintenance: once a day, remove rows that no reader can need any more, and old records of what the platform did."""

from datetime import timedelta
from typing import Any

import dagster as dg

from optiinfra_assets.orchestration.dagster_retention import purge_runs
from optiinfra_assets.orchestration.resources import StoresResource

GARBAGE = dg.AssetKey(["maintenance", "garbage"])
HISTORY = dg.AssetKey(["maintenance", "history"])

EVENTS_KEPT = timedelta(days=35)
"""Collection events are kept this long: a subscriber comes back within a month, or reads the history, which is kept longer."""

SNAPSHOTS_KEPT = timedelta(days=2)
"""Snapshots are thinned out after their day, and the day that a late request may still look at."""

PURGE_SECONDS = 1800.0
"""So long one run removes Dagster runs; what is left is removed the next day."""


def garbage_collection_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that applies retention: it keeps the last generation of each UTC day for `OPTIINFRA_RETENTION_DAYS` days."""

    @dg.asset(
        key=GARBAGE,
        description=(
            "Rows that nobody can read any more, removed: superseded generations past retention (the last one of each UTC day is kept "
            "for OPTIINFRA_RETENTION_DAYS days; further back than OPTIINFRA_RETENTION_DAILY_DAYS, the last one of each week and month) and "
            "what attempts that died left behind. Published data that readers see are never touched. Publications of removed generations "
            "move to the table archived_publications."
        ),
        kinds={"clickhouse"},
        group_name="maintenance",
        retry_policy=retry_policy,
        pool="maintenance",
    )
    def garbage(stores: dg.ResourceParam[StoresResource]) -> dg.MaterializeResult[Any]:
        with stores.metadata() as metadata, stores.warehouse() as warehouse:
            settings, now = stores.settings(), stores.clock()
            days, daily_days = settings.retention_days, settings.retention_daily_days
            live = metadata.slices.live_generations()
            removed = warehouse.collect_garbage(now, days, live, daily_days=daily_days)
            events = metadata.events.forget(now - EVENTS_KEPT)
        return dg.MaterializeResult(
            metadata={
                "generations expired now (rows go with the next run)": removed.expired,
                "generations removed": removed.removed,
                "generations of dead attempts removed": removed.orphans,
                "rows removed": removed.rows,
                "publications archived": removed.archived,
                "events of collections removed": events,
                "retention (days)": days,
                "of these, each day (days)": min(days, daily_days or days),
            }
        )

    return garbage


def history_retention_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that removes records by age: of Dagster, and of our own."""

    @dg.asset(
        key=HISTORY,
        description=(
            "Old records of what the platform did, removed: ended Dagster runs with events and logs (OPTIINFRA_DAGSTER_HISTORY_DAYS; the "
            "newest run of each slice stays), ended collections and told alerts (OPTIINFRA_HISTORY_DAYS), audit records past their legal "
            "term (OPTIINFRA_AUDIT_DAYS), and snapshots of providers on which no charge depends."
        ),
        kinds={"postgres"},
        group_name="maintenance",
        retry_policy=retry_policy,
        pool="maintenance",
    )
    def history(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        settings, now = stores.settings(), stores.clock()
        with stores.metadata() as metadata:
            forgotten = metadata.retention.forget(
                history=now - timedelta(days=settings.history_days),
                snapshots=now - SNAPSHOTS_KEPT,
                audit=now - timedelta(days=settings.audit_days),
            )
        runs = purge_runs(context.instance, now - timedelta(days=settings.dagster_history_days), PURGE_SECONDS)
        return dg.MaterializeResult(
            metadata={
                "Dagster runs removed": runs.removed,
                "older Dagster runs that lineage needs": runs.kept,
                "collections removed": forgotten.collections,
                "attempts removed": forgotten.generations,
                "days of requests added up": forgotten.request_days,
                "snapshots removed": forgotten.snapshots,
                "audit records removed": forgotten.audit_records,
                "alerts removed": forgotten.alerts,
            }
        )

    return history
