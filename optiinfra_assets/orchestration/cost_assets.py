"""A factory for the cost assets of one provider: raw → derived → published, collected together slice by slice."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import dagster as dg

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account, Slice
from optiinfra_assets.domain.run_scope import (
    ACCEPT_EMPTY_TAG,
    MAX_PERIODS,
    SLICES,
    TASK_TAG,
    TRIGGER_TAG,
    op_name,
    slice_tags,
)
from optiinfra_assets.ingestion.run import MAX_RETRIES, RETRY_SECONDS, CollectionRun, SliceFailure, Stores
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import Trigger
from optiinfra_assets.orchestration import bulk_events, materializations
from optiinfra_assets.orchestration.asset_specs import asset_specs, check_specs
from optiinfra_assets.orchestration.partitions import parse, register, slices
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import Provider

_SLICES = "Partition keys of slices that one run collects together, such as acme.main|2026-11; without them, those of the run."
Collected = Iterator[materializations.AssetEvent]


def cost_assets(provider: Provider, retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the step that collects slices of a provider. It always makes all of its assets, because they are published together.

    Whoever selects some of them, as a backfill of one derived table does, gets all of them: it would be refused if `can_subset` were not
    set, with a sentence that names two assets of seven.
    """

    @dg.multi_asset(
        name=op_name(provider.name),
        description=f"Collect, derive, verify and publish slices of {provider.title}.",
        specs=asset_specs(provider),
        check_specs=check_specs(provider),
        partitions_def=slices(provider.name),
        config_schema={SLICES: dg.Field([str], is_required=False, description=_SLICES)},
        backfill_policy=dg.BackfillPolicy.multi_run(MAX_PERIODS),
        retry_policy=retry_policy,
        pool=provider.name,
        can_subset=True,
    )
    def collect(context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]) -> Collected:
        failures: list[SliceFailure] = []
        with stores.metadata() as metadata, stores.warehouse() as warehouse:
            partitions = _partitions(context, metadata)
            work = [(account, slice_) for slice_, (account, _) in partitions.items()]
            pages = stores.settings().api_url
            tools = Stores(warehouse, metadata, context.log, stores.clock)
            waiting = bulk_events.Waiting(context, together=_is_of_many(context))
            for one in _task(context, partitions).collect(provider, work, tools):
                failures += [one] if isinstance(one, SliceFailure) else []
                yield from waiting.add(materializations.asset_events(partitions[one.slice][1], one, pages))
            yield from waiting.record()
        raise_failures(failures, stores.clock())

    return collect


def _partitions(context: dg.AssetExecutionContext, metadata: Metadata) -> dict[Slice, tuple[Account, str]]:
    """Return the slices of the run with their account and partition key, newest billing period first.

    Raises:
        Failure: no account of them is there.
    """
    keys = context.op_execution_context.op_config[SLICES] if _is_of_many(context) else context.partition_keys
    accounts: dict[str, Account] = {}
    found: dict[Slice, tuple[Account, str]] = {}
    missing: RecordNotFound | None = None
    for account_id, period, key in ((*parse(key), key) for key in keys):
        try:
            if account_id not in accounts:
                accounts[account_id] = metadata.accounts.get(account_id)
        except RecordNotFound as error:
            context.log.warning("%s: not collected: %s", key, error)
            missing = error
            continue
        found[Slice.of(accounts[account_id], period)] = accounts[account_id], key
    if not found:
        raise dg.Failure(f"{missing}: connect it, or delete its partition", allow_retries=False)
    if _is_of_many(context):
        register(context.instance, found)
    return dict(sorted(found.items(), key=lambda item: item[0].billing_period, reverse=True))


def _is_of_many(context: dg.AssetExecutionContext) -> bool:
    """Whether the slices of the run stand in its configuration, as those of a run do that we requested for several."""
    return SLICES in context.op_execution_context.op_config


def _task(context: dg.AssetExecutionContext, slices: Iterable[Slice]) -> CollectionRun:
    """Return the task of the run from its tags. A run launched or re-executed from the Dagster UI is a task of its own.

    This adds the tags of its own task and of its `slices` to such a run: if its worker dies, the run that replaces it inherits them.
    """
    run = context.run
    resumes = "dagster/retry_number" in run.tags
    is_ours = TASK_TAG in run.tags and (resumes or run.parent_run_id is None)
    task_id, trigger = run.tags[TASK_TAG] if is_ours else run.run_id, _trigger(run, is_ours)
    if not is_ours:
        context.instance.add_run_tags(run.run_id, {TASK_TAG: task_id, TRIGGER_TAG: trigger, **slice_tags(slices)})
    return CollectionRun(
        task_id=task_id,
        trigger=trigger,
        run_id=run.run_id,
        attempt=context.retry_number + 1,
        resumes=resumes,
        accept_empty=run.tags.get(ACCEPT_EMPTY_TAG) == "true",
    )


def _trigger(run: dg.DagsterRun, is_ours: bool) -> Trigger:
    if is_ours:
        return run.tags[TRIGGER_TAG]  # type: ignore[return-value]
    if "dagster/backfill" in run.tags:
        return "backfill"
    return "retry" if run.parent_run_id else "ui"


def raise_failures(failures: Sequence[SliceFailure], now: datetime) -> None:
    """Fail the run if any slice failed, and name each. Dagster retries only if at least one failure is transient.

    Raises:
        Failure: at least one slice failed.
        RetryRequested: the same, and a provider asks to wait longer than the usual 60 s.
    """
    if not failures:
        return
    reasons = "\n".join(f"{one.slice}: {one.message}" for one in failures)
    failure = dg.Failure(reasons, allow_retries=any(one.is_transient for one in failures))
    waits = [(one.until - now).total_seconds() for one in failures if one.is_transient and one.until]
    if waits and max(waits) > RETRY_SECONDS:
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=max(waits)) from failure
    raise failure
