"""The delivery of FOCUS files: once an hour, what was published since goes to every place that a customer has."""

from typing import Any, Final

import dagster as dg

from optiinfra_assets.database.errors import SliceBusy
from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.ingestion.delivering import DeliveryResult, deliver
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.context import ProviderContext, transient_context

FOCUS_FILES: Final = dg.AssetKey(["deliveries", "focus"])


def focus_delivery_asset(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that delivers to all places; a place that fails delays no other one, and fails the run at its end."""

    @dg.asset(
        key=FOCUS_FILES,
        description=(
            "Published slices as FOCUS files in a folder or in S3, with a manifest: each generation once, a restated slice in the "
            "place of its file, in one step. Places are added by `optiinfra delivery add`."
        ),
        kinds={"parquet"},
        group_name="deliveries",
        retry_policy=retry_policy,
        pool="deliveries",
    )
    def focus_files(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        done: list[DeliveryResult] = []
        failed: dict[str, str] = {}
        with stores.metadata() as metadata, stores.warehouse() as warehouse:
            for one in metadata.deliveries.find():
                try:
                    about = _context(stores)
                    done.append(
                        deliver(
                            one, metadata, warehouse, run_id=context.run.run_id, say=context.log.info, context=about
                        )
                    )
                except (ProviderError, SliceBusy) as error:
                    context.log.error("delivery %s: %s", one.delivery_id, error)
                    failed[one.delivery_id] = str(error)
        if failed:
            said = "; ".join(f"{name}: {error}" for name, error in failed.items())
            raise dg.Failure(
                f"{len(failed)} of {len(failed) + len(done)} deliveries failed: {said}", allow_retries=True
            )
        return dg.MaterializeResult(
            metadata={
                "places": len(done),
                "files written": sum(one.written for one in done),
                "files removed": sum(one.removed for one in done),
                "files unchanged": sum(one.unchanged for one in done),
            }
        )

    return focus_files


def focus_delivery_schedule() -> dg.ScheduleDefinition:
    """The schedule that delivers every hour, if there is a place to deliver to."""

    @dg.schedule(
        name="deliver_focus",
        cron_schedule="40 * * * *",
        target=dg.AssetSelection.assets(FOCUS_FILES),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Delivers what was published since as FOCUS files; skips while there is no place to deliver to.",
    )
    def deliver_focus(stores: dg.ResourceParam[StoresResource]) -> dg.RunRequest | dg.SkipReason:
        with stores.metadata() as metadata:
            places = metadata.deliveries.find()
        return dg.RunRequest() if places else dg.SkipReason("no delivery: optiinfra delivery add makes one")

    return deliver_focus


def _context(stores: StoresResource) -> ProviderContext:
    return ProviderContext(stores.clock, transient_context().snapshots)
