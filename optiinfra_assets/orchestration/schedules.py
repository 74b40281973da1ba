"""Every quarter of an hour: ask all accounts whether anything changed, and request runs for that alone.

A tick evaluated twice makes the same requests under the same run keys, so Dagster makes one run of each. A change that comes later, and
a collection that failed, is requested by a later tick. Dagster gives an evaluation 60 seconds: probes begin for 25, end within 15 more,
and accounts that were not reached come first in the next tick, so that any number of accounts delays a tick, never breaks it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from optiinfra_assets.domain.run_scope import ASSET_JOB
from optiinfra_assets.ingestion.change_detection import CollectionRunRequest, find_due
from optiinfra_assets.ingestion.probe_pool import BUDGET_SECONDS
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.maintenance_assets import GARBAGE
from optiinfra_assets.orchestration.partitions import register
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import Provider

RUNS_PER_TICK: Final = 200
"""What two places in the queue can do in a quarter of an hour; the rest stays due. Newest periods first."""


def run_request(request: CollectionRunRequest) -> dg.RunRequest:
    """A run of everything of one provider for the slices of `request`."""
    keys = ProviderAssetKeys(request.scope.provider).collected
    return dg.RunRequest(run_key=request.key, asset_selection=keys, tags=dict(request.tags))


def requested(
    context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext,
    requests: Sequence[CollectionRunRequest],
    otherwise: str,
) -> list[dg.RunRequest] | dg.SkipReason:
    """Runs for `requests`, whose accounts become partitions; without any, why there is none."""
    for name in {one.scope.provider for one in requests}:
        register(context.instance, name, {one.scope.account_id for one in requests if one.scope.provider == name})
    return [run_request(one) for one in requests] or dg.SkipReason(otherwise)


def collect_due_schedule(providers: Mapping[str, Provider]) -> dg.ScheduleDefinition:
    """The one schedule that collects."""

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
    """Once a day, in a quiet hour."""
    return dg.ScheduleDefinition(
        name="collect_garbage",
        cron_schedule="17 3 * * *",
        target=dg.AssetSelection.assets(GARBAGE),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes superseded generations past retention and what dead attempts left.",
    )
