"""The schedules: every 15 minutes, probe all accounts and request runs for what changed; once a day, collect garbage and remove history.

A tick that is evaluated twice makes the same requests with the same run keys, so Dagster launches each run once. A later tick requests
later changes and failed collections again. Dagster allows an evaluation 60 seconds: probes begin during 25 seconds and end within 15 more.
The next tick begins with the accounts that were not reached, so many accounts delay a tick but never break it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from optiinfra_assets.domain.run_scope import ASSET_JOB, CollectionRunRequest
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.ingestion.probe_pool import BUDGET_SECONDS
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.maintenance_assets import GARBAGE, HISTORY
from optiinfra_assets.orchestration.partitions import register
from optiinfra_assets.orchestration.reconciliation_assets import INVOICES, RECONCILED_MONTHS
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import Provider

RUNS_PER_TICK: Final = 200
"""Two queue slots can do this many runs of one account in 15 minutes, newest periods first; the rest stays due. A run of many small slices
counts as one."""


def run_request(request: CollectionRunRequest) -> dg.RunRequest:
    """Build Dagster's request for a run of all assets of one provider for the slices of `request`."""
    return dg.RunRequest(
        run_key=request.key,
        asset_selection=ProviderAssetKeys(request.provider).collected,
        run_config=request.config,
        tags=dict(request.tags),
    )


def requested(
    context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext,
    requests: Sequence[CollectionRunRequest],
    otherwise: str,
) -> list[dg.RunRequest] | dg.SkipReason:
    """Add the partitions of the slices and return run requests; without `requests`, skip with the reason `otherwise`."""
    register(context.instance, (slice_ for one in requests for slice_ in one.slices))
    return [run_request(one) for one in requests] or dg.SkipReason(otherwise)


def collect_due_schedule(providers: Mapping[str, Provider]) -> dg.ScheduleDefinition:
    """The schedule that collects; there is no other one."""

    @dg.schedule(
        name="collect_due",
        cron_schedule="*/15 * * * *",
        job_name=ASSET_JOB,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Asks every active account whether anything changed; requests runs for what did, newest periods first.",
    )
    def collect_due(
        context: dg.ScheduleEvaluationContext, stores: dg.ResourceParam[StoresResource]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time
        with stores.metadata() as metadata:
            task_id = f"schedule-{now:%Y%m%dT%H%M%SZ}"
            tick = find_due(
                metadata,
                providers,
                now=now,
                task_id=task_id,
                trigger="schedule",
                max_runs=RUNS_PER_TICK,
                budget=BUDGET_SECONDS,
            )
        context.log.info("%s; %s runs requested", tick.noticed, len(tick.requests))
        return requested(context, tick.requests, f"nothing to collect: {tick.noticed}")

    return collect_due


def garbage_collection_schedule() -> dg.ScheduleDefinition:
    """The schedule that collects garbage every day at 03:17 UTC, a quiet hour."""
    description = "Removes superseded generations past retention and what dead attempts left."
    return _daily("collect_garbage", "17 3 * * *", GARBAGE, description)


def history_retention_schedule() -> dg.ScheduleDefinition:
    """The schedule that removes old records every day at 03:47 UTC."""
    description = "Removes old Dagster runs, ended collections, audit records past their term, and snapshots that nothing depends on."
    return _daily("remove_history", "47 3 * * *", HISTORY, description)


def reconciliation_schedule() -> dg.ScheduleDefinition:
    """The schedule that reads invoices every day at 04:27 UTC and compares costs with them."""
    description = "Reads what sources state of the invoices of closed months, and compares the costs with it."
    return _daily("reconcile", "27 4 * * *", INVOICES, description, RECONCILED_MONTHS)


def _daily(
    name: str, cron_schedule: str, asset: dg.AssetKey, description: str, *more: dg.AssetKey
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        cron_schedule=cron_schedule,
        target=dg.AssetSelection.assets(asset, *more),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
