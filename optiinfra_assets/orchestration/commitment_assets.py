"""The commitments that sources state: once a day, what they are now."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from optiinfra_assets.ingestion.commitment_reading import read_commitments
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import CommitmentSource, Provider

COMMITMENTS: Final = dg.AssetKey(["commitments", "stated"])


def commitments_asset(providers: Mapping[str, Provider], retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that reads commitments; an account that cannot be read is named, and keeps those that are stored."""

    @dg.asset(
        key=COMMITMENTS,
        deps=[ProviderAssetKeys(name).source for name, one in providers.items() if isinstance(one, CommitmentSource)],
        description=(
            "Commitments of contracts as sources state them now: of FOCUS files, the dataset ContractCommitment. PostgreSQL table "
            "`commitments`, GraphQL field `commitments`."
        ),
        kinds={"postgres"},
        group_name="commitments",
        retry_policy=retry_policy,
        pool="commitments",
    )
    def commitments(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        with stores.metadata() as metadata:
            done = read_commitments(metadata, providers, stores.clock, context.run.run_id)
        for account_id, error in done.failures.items():
            context.log.warning("%s: commitments not read: %s", account_id, error)
        return dg.MaterializeResult(
            metadata={
                "accounts read": done.accounts,
                "commitments new, changed or gone": done.changed,
                "accounts not read": len(done.failures),
            }
        )

    return commitments


def commitments_schedule() -> dg.ScheduleDefinition:
    """The schedule that reads commitments every day at 05:27 UTC."""
    return dg.ScheduleDefinition(
        name="read_commitments",
        cron_schedule="27 5 * * *",
        target=dg.AssetSelection.assets(COMMITMENTS),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reads what sources state of commitments.",
    )
