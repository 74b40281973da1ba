"""Assembles everything that Dagster runs, and applies owners, retries and the executor to all of it.

``build_definitions`` connects to no database and needs no setting: a run, a schedule or a sensor reads them when it opens the stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from optiinfra_assets.ingestion.run import MAX_RETRIES, RETRY_SECONDS
from optiinfra_assets.orchestration.analytics_assets import anomalies_asset, forecasts_asset, forecasts_sensor
from optiinfra_assets.orchestration.asset_specs import source_spec
from optiinfra_assets.orchestration.commitment_assets import commitments_asset, commitments_schedule
from optiinfra_assets.orchestration.cost_assets import cost_assets
from optiinfra_assets.orchestration.focus_export_assets import focus_delivery_asset, focus_delivery_schedule
from optiinfra_assets.orchestration.freshness_checks import freshness_check
from optiinfra_assets.orchestration.maintenance_assets import garbage_collection_asset, history_retention_asset
from optiinfra_assets.orchestration.reconciliation_assets import (
    invoices_asset,
    reconciliation_asset,
    reconciliation_check,
)
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.orchestration.schedules import (
    collect_due_schedule,
    garbage_collection_schedule,
    history_retention_schedule,
    reconciliation_schedule,
)
from optiinfra_assets.orchestration.sensors import (
    alerts_sensor,
    freshness_sensor,
    new_accounts_sensor,
    reconciliation_sensor,
    run_monitoring_sensor,
)
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Provider

OWNERS: Final = ["team:finops"]

RETRY: Final = dg.RetryPolicy(max_retries=MAX_RETRIES, delay=RETRY_SECONDS)
"""For transient errors only: a step that fails for other reasons forbids retries itself (`orchestration.cost_assets.raise_failures`)."""


def build_definitions(
    providers: Mapping[str, Provider] = PROVIDERS,
    stores: StoresResource | None = None,
    retry: dg.RetryPolicy = RETRY,
) -> dg.Definitions:
    """Build the definitions of all `providers`; tests pass their own providers and stores, and a shorter delay."""
    every = list(providers.values())
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *(cost_assets(provider, retry) for provider in every),
        garbage_collection_asset(retry),
        history_retention_asset(retry),
        invoices_asset(providers, retry),
        reconciliation_asset(providers, retry),
        focus_delivery_asset(retry),
        commitments_asset(providers, retry),
        forecasts_asset(retry),
        anomalies_asset(retry),
        *map(source_spec, every),
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: spec.replace_attributes(owners=OWNERS), assets),
        asset_checks=[*(freshness_check(provider) for provider in every), reconciliation_check()],
        schedules=[
            collect_due_schedule(providers),
            garbage_collection_schedule(),
            history_retention_schedule(),
            reconciliation_schedule(),
            focus_delivery_schedule(),
            commitments_schedule(),
        ],
        sensors=[
            new_accounts_sensor(providers),
            run_monitoring_sensor(providers),
            freshness_sensor(providers),
            reconciliation_sensor(),
            alerts_sensor(),
            forecasts_sensor(),
        ],
        resources={"stores": stores or StoresResource()},
        # One process per run: a run is one step, which loads a stream, and the slots of Dagster's queue limit the number of runs.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
