"""What is made of published costs: forecasts and anomalies of all customers, refreshed after publications."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, TypeVar

import dagster as dg

from optiinfra_assets.ingestion.finding_anomalies import RefreshedAnomalies, refresh_anomalies
from optiinfra_assets.ingestion.forecasting import RefreshedForecast, refresh_forecasts
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.warehouse.warehouse import Warehouse

_Refreshed = TypeVar("_Refreshed", RefreshedForecast, RefreshedAnomalies)

FORECASTS: Final = dg.AssetKey(["analytics", "forecasts"])
ANOMALIES: Final = dg.AssetKey(["analytics", "anomalies"])
BEHIND: Final = {"dagster/priority": "-1"}
"""Tags of a run that waits until the collections that were requested before it have begun."""


def forecasts_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that forecasts the costs of each customer of whom something new is published; one run takes all of them."""

    @dg.asset(
        key=FORECASTS,
        description=(
            "What costs will be, by customer: each day of the next 12 months of each account, sub account and service, from the derived "
            "table cost_by_charge. Refreshed by a sensor after publications; the last of each UTC day is kept for OPTIINFRA_RETENTION_DAYS."
        ),
        kinds={"clickhouse", "postgres"},
        group_name="analytics",
        retry_policy=retry_policy,
        pool="analytics",
    )
    def forecasts(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        found = _refreshed(context, stores, refresh_forecasts, "forecast")
        return dg.MaterializeResult(
            metadata={
                "customers": len(found),
                "series": sum(one.series for one in found),
                "bytes stored": sum(one.stored_bytes for one in found),
            }
        )

    return forecasts


def anomalies_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that judges the days of each customer of whom something new is published; one run takes all of them."""

    @dg.asset(
        key=ANOMALIES,
        description=(
            "Which final days of usage are odd, by customer: each day of each account and service with what was expected and its band, and "
            "anomalies with their causes, from the derived tables cost_by_charge, cost_by_sku and cost_by_resource_sku. A day whose costs "
            "changed is judged again. Refreshed by a sensor after publications; kept for OPTIINFRA_RETENTION_DAYS."
        ),
        kinds={"clickhouse", "postgres"},
        group_name="analytics",
        retry_policy=retry_policy,
        pool="analytics",
    )
    def anomalies(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        found = _refreshed(context, stores, refresh_anomalies, "judged")
        return dg.MaterializeResult(
            metadata={
                "customers": len(found),
                "series": sum(one.series for one in found),
                "days judged": sum(one.days for one in found),
                "new anomalies": sum(one.found for one in found),
                "changed anomalies": sum(one.changed for one in found),
            }
        )

    return anomalies


def _refreshed(
    context: dg.AssetExecutionContext,
    stores: StoresResource,
    refresh: Callable[[Metadata, Warehouse, datetime, int], Iterator[_Refreshed]],
    what: str,
) -> list[_Refreshed]:
    """Refresh all customers that are due; log each that failed, and then fail."""
    found = []
    with stores.metadata() as metadata, stores.warehouse() as warehouse:
        for one in refresh(metadata, warehouse, stores.clock(), stores.settings().retention_days):
            found.append(one)
            if one.error is not None:
                context.log.error("%s: not %s: %s", one.customer_id, what, one.error)
    failed = [one for one in found if one.error is not None]
    if failed:
        names = ", ".join(one.customer_id for one in failed[:10])
        raise dg.Failure(f"{len(failed)} of {len(found)} customers not {what}: {names}: {failed[0].error}")
    return found


def forecasts_sensor() -> dg.SensorDefinition:
    """The sensor that requests a refresh when something is published that forecasts or anomalies do not know: one run for all."""

    @dg.sensor(
        name="refresh_forecasts",
        target=dg.AssetSelection.assets(FORECASTS, ANOMALIES),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests new forecasts and anomalies of the customers of whom something was published since the last.",
    )
    def refresh(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.RunRequest | dg.SkipReason:
        with stores.metadata() as metadata:
            due = metadata.forecasts.due() | metadata.anomalies.due()
        if not due:
            return dg.SkipReason("no publication that no forecast knows")
        waiting = context.instance.get_runs_count(
            dg.RunsFilter(
                tags={"dagster/sensor_name": "refresh_forecasts"},
                statuses=[dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING],
            )
        )
        if waiting:
            return dg.SkipReason("a run that will refresh them waits already")
        return dg.RunRequest(
            run_key=f"forecasts-{max(due.values())}-{len(due)}-{stores.clock():%Y%m%dT%H}", tags=BEHIND
        )

    return refresh
