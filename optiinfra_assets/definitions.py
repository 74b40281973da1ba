"""Everything Dagster runs, assembled; and the policy that holds for all of it, said once.

``build_definitions`` reaches no database and needs no setting: those are read when a run, the schedule or a sensor opens the stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from optiinfra_assets.ingestion.run import MAX_RETRIES, RETRY_SECONDS
from optiinfra_assets.orchestration.asset_specs import source_spec
from optiinfra_assets.orchestration.cost_assets import cost_assets
from optiinfra_assets.orchestration.freshness_checks import freshness_check
from optiinfra_assets.orchestration.maintenance_assets import garbage_collection_asset
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.orchestration.schedules import collect_due_schedule, garbage_collection_schedule
from optiinfra_assets.orchestration.sensors import (
    freshness_sensor,
    new_accounts_sensor,
    run_monitoring_sensor,
)
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Provider

OWNERS: Final = ["team:finops"]

RETRY: Final = dg.RetryPolicy(max_retries=MAX_RETRIES, delay=RETRY_SECONDS)
"""Reaches transient errors only: a step that fails for any other reason forbids retries itself (`assets.costs`)."""


def build_definitions(
    providers: Mapping[str, Provider] = PROVIDERS,
    stores: StoresResource | None = None,
    retry: dg.RetryPolicy = RETRY,
) -> dg.Definitions:
    """Definitions of all `providers`; tests give providers, stores and a shorter delay of their own."""
    every = list(providers.values())
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *(cost_assets(provider, retry) for provider in every),
        garbage_collection_asset(retry),
        *map(source_spec, every),
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: spec.replace_attributes(owners=OWNERS), assets),
        asset_checks=[freshness_check(provider) for provider in every],
        schedules=[collect_due_schedule(providers), garbage_collection_schedule()],
        sensors=[new_accounts_sensor(providers), run_monitoring_sensor(), freshness_sensor(providers)],
        resources={"stores": stores or StoresResource()},
        # One process a run: a run is one step, which loads in a stream, and places in the queue are what limits how many there are.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
