"""The freshness check: every account is probed, and changes are collected. A sensor evaluates it every 15 minutes, without a run.

Dagster's own freshness policy does not fit. It checks when an asset was last materialized, but costs that did not change are fresh without
a new materialization. The check is on the source asset: a check on a published asset is valid for Dagster only until the next slice
of any account is published. The collection evaluates the other checks, slice by slice (`optiinfra_assets.orchestration.asset_specs`).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import dagster as dg

from optiinfra_assets.domain.freshness import UNCHECKED, UNCOLLECTED
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import Provider

FRESHNESS = "freshness"

SHOWN = 50
"""Most lines in the check's metadata."""


def freshness_check(provider: Provider) -> dg.AssetChecksDefinition:
    """Define the check for the Dagster UI, which can evaluate it at any time."""

    key = ProviderAssetKeys(provider.name).source
    description = (
        "Every active account answered a probe within the last hour, and no change seen more than 2 hours ago waits to be collected. "
        "Skipped without an active account. Evaluated by the sensor `freshness`, without a run."
    )

    # can_subset: the check may yield nothing, which Dagster shows as skipped.
    @dg.multi_asset_check(
        name=f"{provider.name}_freshness",
        specs=[dg.AssetCheckSpec(FRESHNESS, asset=key, description=description)],
        can_subset=True,
    )
    def freshness(stores: dg.ResourceParam[StoresResource]) -> Iterator[dg.AssetCheckResult]:
        with stores.metadata() as metadata:
            found = evaluate_freshness(metadata, provider, stores.clock())
        if found:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=FRESHNESS,
                passed=found.passed,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata,
            )

    return freshness


def evaluate_freshness(metadata: Metadata, provider: Provider, now: datetime) -> dg.AssetCheckEvaluation | None:
    """Evaluate the check for all active accounts of a provider at the UTC instant `now`; None if there is none."""
    accounts = sum(state.status == "active" for state in metadata.accounts.states(provider=provider.name))
    if not accounts:
        return None
    stale = [*_unchecked(metadata, provider.name, now), *_uncollected(metadata, provider.name, now)]
    rest = [f"and {len(stale) - SHOWN} more"] if len(stale) > SHOWN else []
    return dg.AssetCheckEvaluation(
        ProviderAssetKeys(provider.name).source,
        FRESHNESS,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{accounts} accounts: {_count(stale) if stale else 'all fresh'}",
        metadata={
            "accounts": accounts,
            **({"stale": dg.MetadataValue.md(_listed([*stale[:SHOWN], *rest]))} if stale else {}),
        },
    )


def _unchecked(metadata: Metadata, provider: str, now: datetime) -> Iterator[str]:
    for state in metadata.accounts.states(provider=provider):
        since = state.last_probe_at or state.created_at
        if state.status == "active" and now - since > UNCHECKED:
            yield f"{state.account.account_id}: no answer since {since:%Y-%m-%d %H:%M} UTC: {state.last_error or 'not asked'}"


def _uncollected(metadata: Metadata, provider: str, now: datetime) -> Iterator[str]:
    for state in metadata.slices.states(provider=provider, due=True):
        if state.seen_at and now - state.seen_at > UNCOLLECTED:
            yield f"{state.slice}: changed, seen {state.seen_at:%Y-%m-%d %H:%M} UTC, not collected: see its collection history"


def _count(stale: list[str]) -> str:
    return f"{len(stale)} not fresh, the first: {stale[0]}"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
