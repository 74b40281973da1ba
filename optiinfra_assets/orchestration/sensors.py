"""The sensors: collect new accounts, monitor runs, evaluate freshness, compare costs with invoices, and tell of what rules watch for."""

import uuid
from collections.abc import Mapping
from typing import Final

import dagster as dg

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.ingestion.rate_files import start_rates
from optiinfra_assets.notifications.finding import find_occasions
from optiinfra_assets.notifications.sender import Sender
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.freshness_checks import evaluate_freshness
from optiinfra_assets.orchestration.reconciliation_assets import INVOICES, RECONCILED_MONTHS
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.orchestration.run_monitoring import monitor_runs
from optiinfra_assets.orchestration.schedules import requested
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.warehouse.warehouse import Warehouse

ACCOUNTS_AT_ONCE: Final = 50
"""Most new accounts in one evaluation; the next evaluation comes 20 s later."""

PROBE_SECONDS: Final = 20.0
"""No probe begins later than this. With 15 s for the last probe, an evaluation stays under the 60 s that Dagster allows."""


def _collected(providers: Mapping[str, Provider]) -> dg.AssetSelection:
    """All assets that collections make. Dagster shows a sensor on the page of each asset that it selects."""
    return dg.AssetSelection.assets(*(key for name in providers for key in ProviderAssetKeys(name).collected))


def new_accounts_sensor(providers: Mapping[str, Provider]) -> dg.SensorDefinition:
    """The sensor that probes each new account (one that nobody has probed) and collects everything its source has."""

    @dg.sensor(
        name="new_accounts",
        asset_selection=_collected(providers),
        minimum_interval_seconds=20,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks each new account what it has and collects every billing period of it, newest first.",
    )
    def new_accounts(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[StoresResource]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        with stores.metadata() as metadata:
            now = stores.clock()
            new = metadata.work_queue.accounts_to_probe(list(providers), now, is_new=True)[:ACCOUNTS_AT_ONCE]
            if not new:
                return dg.SkipReason("no new account")
            tick = find_due(
                metadata,
                providers,
                now=now,
                task_id=f"backfill-{uuid.uuid4().hex[:12]}",
                trigger="backfill",
                account_ids=[one.account_id for one in new],
                max_runs=10 * ACCOUNTS_AT_ONCE,
                budget=PROBE_SECONDS,
            )
        return requested(context, tick.requests, f"{len(new)} new accounts, nothing to collect: {tick.noticed}")

    return new_accounts


def run_monitoring_sensor(providers: Mapping[str, Provider]) -> dg.SensorDefinition:
    """The sensor that closes the history rows of runs that died, and requests runs that are missing."""

    @dg.sensor(
        name="follow_runs",
        asset_selection=_collected(providers),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Closes the history of collections whose run died or was canceled, and asks again for runs that never came to be.",
    )
    def follow(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[StoresResource]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        with stores.metadata() as metadata:
            followed = monitor_runs(metadata, context.instance, stores.clock())
        return requested(context, followed.requests, f"{followed.closed} collections closed")

    return follow


def freshness_sensor(providers: Mapping[str, Provider]) -> dg.SensorDefinition:
    """The sensor that evaluates `optiinfra_assets.orchestration.freshness_checks` without a run."""

    @dg.sensor(
        name="freshness",
        asset_selection=dg.AssetSelection.assets(*(ProviderAssetKeys(name).source for name in providers)),
        minimum_interval_seconds=900,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks every quarter of an hour whether each account is being checked and what changed is being collected.",
    )
    def freshness(stores: dg.ResourceParam[StoresResource]) -> dg.SensorResult:
        with stores.metadata() as metadata:
            now = stores.clock()
            found = [evaluate_freshness(metadata, provider, now) for provider in providers.values()]
        return dg.SensorResult(asset_events=[one for one in found if one])

    return freshness


def reconciliation_sensor() -> dg.SensorDefinition:
    """The sensor that compares costs with invoices again soon after costs of a closed month are published, or an invoice is stated.

    Its runs also read the invoices of months that were never asked for, such as those of a new account.
    """

    @dg.sensor(
        name="reconcile_changes",
        asset_selection=dg.AssetSelection.assets(INVOICES, RECONCILED_MONTHS),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares closed months with their invoices again once their costs or their invoices changed.",
    )
    def reconcile_changes(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.SensorResult:
        with stores.metadata() as metadata:
            news = metadata.invoices.news(BillingPeriod.of(stores.clock()))
        if news == (context.cursor or ""):
            return dg.SensorResult(skip_reason="no cost of a closed month and no invoice changed")
        request = dg.RunRequest(run_key=f"reconcile {news}", asset_selection=[INVOICES, RECONCILED_MONTHS])
        return dg.SensorResult(run_requests=[request], cursor=news)

    return reconcile_changes


def alerts_sensor() -> dg.SensorDefinition:
    """The sensor that looks for occasions of all rules, and sends the messages that are due."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for what the rules of customers watch for, and sends the messages that are due, until they were received.",
    )
    def alerts(stores: dg.ResourceParam[StoresResource]) -> dg.SkipReason:
        settings = stores.settings()
        with stores.metadata() as metadata:
            start_rates(metadata.rates)
            found = find_occasions(metadata, lambda: Warehouse.connect(settings), stores.clock())
            done = Sender(metadata, settings.api_url, stores.clock).run()
        return dg.SkipReason(
            f"{found} occasions; messages: {done.sent} sent, {done.failed} failed, {done.dead} given up"
        )

    return alerts
