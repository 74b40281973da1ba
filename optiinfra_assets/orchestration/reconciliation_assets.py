"""Invoices as sources state them, and the costs of each closed month compared with them: two assets, and a check that warns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import dagster as dg

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.reconciliations import ReconciliationStatus, StoredReconciliation
from optiinfra_assets.ingestion.invoice_reading import MONTHS_BACK, InvoiceReader
from optiinfra_assets.ingestion.reconciling import reconcile_months
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import Provider

INVOICES: Final = dg.AssetKey(["reconciliation", "invoices"])
RECONCILED_MONTHS: Final = dg.AssetKey(["reconciliation", "months"])
RECONCILED: Final = "reconciled"
SHOWN: Final = 50
"""Most lines in a table of metadata."""


def invoices_asset(providers: Mapping[str, Provider], retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that reads invoices."""

    @dg.asset(
        key=INVOICES,
        deps=[ProviderAssetKeys(name).source for name in providers],
        description=(
            "What sources state of the invoices of months that were never read, and once a day of the last three closed months and of "
            "every older one that is not settled. A source "
            "that states none over an API is `not stated` until a person records it. Each version stays readable (`asOf`). PostgreSQL "
            "table `invoice_statements`."
        ),
        kinds={"postgres", "python"},
        group_name="reconciliation",
        retry_policy=retry_policy,
        pool="reconciliation",
    )
    def invoices(
        context: dg.AssetExecutionContext, stores: dg.ResourceParam[StoresResource]
    ) -> dg.MaterializeResult[Any]:
        with stores.metadata() as metadata:
            summary = InvoiceReader(metadata, providers, context.run.run_id, stores.clock).read()
        for one in summary.failures:
            context.log.warning("%s: invoices not read: %s", one.slice, one.error)
        lines = [f"- {one.slice}: {one.error}" for one in summary.failures[:SHOWN]]
        return dg.MaterializeResult(
            metadata={
                "months read": summary.read,
                "statements published": summary.published,
                "months not read": len(summary.failures),
                **({"failures": dg.MetadataValue.md("\n".join(lines))} if lines else {}),
            }
        )

    return invoices


def reconciliation_asset(providers: Mapping[str, Provider], retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Define the asset that compares costs with invoices."""

    @dg.asset(
        key=RECONCILED_MONTHS,
        deps=[INVOICES, *(ProviderAssetKeys(name).published for name in providers)],
        description=(
            "Published costs compared with invoices, by account, billing month, invoice issuer and currency, within the tolerance of FOCUS "
            "1.4: what differs, since when, and where the difference is. Only months whose costs or invoices changed are compared again. "
            "PostgreSQL table `reconciliations`."
        ),
        kinds={"postgres", "clickhouse"},
        group_name="reconciliation",
        retry_policy=retry_policy,
        pool="reconciliation",
    )
    def months(stores: dg.ResourceParam[StoresResource]) -> dg.MaterializeResult[Any]:
        with stores.metadata() as metadata, stores.warehouse() as warehouse:
            found = reconcile_months(metadata, warehouse, stores.clock())
        statuses = Counter(str(one.found.status) for one in found)
        return dg.MaterializeResult(
            metadata={
                "comparisons that are new": len(found),
                **{f"{status} (new)": count for status, count in sorted(statuses.items())},
                **({"new": dg.MetadataValue.md(_table(found))} if found else {}),
            }
        )

    return months


def reconciliation_check() -> dg.AssetChecksDefinition:
    """Define the check that warns while a month does not agree with its invoices."""
    description = (
        "Every closed month of the last 13 that has a stated invoice agrees with it. Months whose source states none are not among them. "
        "Skipped if no month could be compared."
    )

    # can_subset: the check may yield nothing, which Dagster shows as skipped.
    @dg.multi_asset_check(
        name="reconciliation_months",
        specs=[dg.AssetCheckSpec(RECONCILED, asset=RECONCILED_MONTHS, description=description)],
        can_subset=True,
    )
    def reconciled(stores: dg.ResourceParam[StoresResource]) -> Iterator[dg.AssetCheckResult]:
        with stores.metadata() as metadata:
            found = _recent(metadata, BillingPeriod.of(stores.clock()))
        result = evaluate_reconciliation(found)
        if result is not None:
            yield result

    return reconciled


def evaluate_reconciliation(found: Iterable[StoredReconciliation]) -> dg.AssetCheckResult | None:
    """Evaluate the check for comparisons; None if none of them compared anything."""
    by_status: dict[ReconciliationStatus, list[StoredReconciliation]] = {one: [] for one in ReconciliationStatus}
    for one in found:
        by_status[one.found.status].append(one)
    agreed, wrong = by_status[ReconciliationStatus.RECONCILED], by_status[ReconciliationStatus.MISMATCH]
    if not agreed and not wrong:
        return None
    counts = {str(status): len(some) for status, some in by_status.items()}
    return dg.AssetCheckResult(
        asset_key=RECONCILED_MONTHS,
        check_name=RECONCILED,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(agreed)} reconciled, {len(wrong)} not; {counts['not stated']} not stated",
        metadata={**counts, **({"not reconciled": dg.MetadataValue.md(_table(wrong))} if wrong else {})},
    )


def _recent(metadata: Metadata, current: BillingPeriod) -> list[StoredReconciliation]:
    first = current.shift(-MONTHS_BACK)
    customers = metadata.customers.find()
    asked = (Months(customer_id=one.customer_id, first=first) for one in customers)
    return [stored for months in asked for stored in metadata.invoices.reconciliations(months)]


def _table(found: list[StoredReconciliation]) -> str:
    lines = ["| month | status | ours | stated | difference | reason |", "| --- | --- | --- | --- | --- | --- |"]
    for one in found[:SHOWN]:
        amounts = (one.found.ours, one.found.stated, one.found.difference)
        shown = ("" if amount is None else f"{plain(amount)} {one.found.currency}" for amount in amounts)
        lines.append(f"| {one.slice} | {one.found.status} | {' | '.join(shown)} | {one.found.reason} |")
    return "\n".join([*lines, *([f"\nand {len(found) - SHOWN} more"] if len(found) > SHOWN else [])])
