"""Convert the result of a slice to Dagster events: materializations with their metadata, and check evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import dagster as dg

from optiinfra_assets.database.errors import IntegrityError
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.publications import MEASURES, Totals
from optiinfra_assets.domain.source_warnings import SourceWarning
from optiinfra_assets.ingestion.run import SliceFailure, SliceSkipped
from optiinfra_assets.ingestion.slice_attempt import CollectionOutcome, ControlTotalMismatch, SliceResult
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.asset_specs import (
    CONTROL_TOTALS,
    DERIVED_EQUALS_RAW,
    SHRINKAGE,
    SHRINKAGE_LIMIT,
)

SOURCES_SHOWN = 100
"""Most rows in the table of sources; `publications.sources` has all of them."""

AssetEvent = dg.AssetMaterialization | dg.AssetCheckEvaluation


def asset_events(partition: str, one: SliceResult | SliceFailure | SliceSkipped, pages: str) -> Iterator[AssetEvent]:
    """Yield the events of one slice; a skipped slice has none, and the run's log has the reason. `pages` is the address of our pages."""
    if isinstance(one, SliceSkipped):
        return iter(())
    return _of_failure(partition, one) if isinstance(one, SliceFailure) else _of_result(partition, one, pages)


def _of_result(partition: str, result: SliceResult, pages: str) -> Iterator[AssetEvent]:
    """Yield the events of a successful slice: raw, derived and published in the order of the lineage, then every check that compared
    something. Dagster shows a check without an evaluation as skipped; the materialization of the raw costs says why."""
    keys = ProviderAssetKeys(result.slice.provider)
    yield _materialised(partition, keys.raw, _raw(result))
    for table, key in keys.derived.items():
        yield _materialised(partition, key, _derived(result, table))
    yield _materialised(partition, keys.published, _published(result, pages))
    if result.before and result.before.line_items:
        yield _shrinkage(partition, keys, result, result.before.line_items)
    if result.collection.control_totals:
        yield _passed(partition, keys.raw, CONTROL_TOTALS, _control_totals(result.collection.control_totals))
    if result.outcome is CollectionOutcome.PUBLISHED and result.loaded.line_items:
        for key in keys.derived.values():
            yield _passed(partition, key, DERIVED_EQUALS_RAW, f"equal for {_amounts(result.loaded.totals)}")


def _of_failure(partition: str, failure: SliceFailure) -> Iterator[AssetEvent]:
    """Yield the failed checks if a check prevented the publication of the slice."""
    keys = ProviderAssetKeys(failure.slice.provider)
    if isinstance(failure.error, ControlTotalMismatch):
        yield _failed(partition, keys.raw, CONTROL_TOTALS, failure.message)
    if isinstance(failure.error, IntegrityError):
        named = [key for table, key in keys.derived.items() if f": {table} has " in failure.message]
        for key in named or keys.derived.values():
            yield _failed(partition, key, DERIVED_EQUALS_RAW, failure.message)


def _materialised(partition: str, key: dg.AssetKey, metadata: Mapping[str, Any]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(key, partition=partition, metadata=metadata)


def _outcome(result: SliceResult) -> dict[str, Any]:
    published = result.published
    if published is None:
        text = "unchanged: the source has no line item for this month, and nothing was published before"
    elif result.outcome is CollectionOutcome.UNCHANGED:
        text = f"unchanged: generation {published.generation} of {published.published_at:%Y-%m-%d %H:%M:%S} UTC stands"
    else:
        text = f"published generation {published.generation}"
    return {
        "outcome": text,
        "dagster/partition_row_count": result.loaded.line_items,
        "billed cost": _amounts(result.loaded.totals) or "none",
        **({"generation": published.generation} if published else {}),
    }


def _raw(result: SliceResult) -> Mapping[str, Any]:
    collection = result.collection
    return {
        **_outcome(result),
        "costs": dg.MetadataValue.md(_costs(result.loaded.totals)),
        "data through": _instant(collection.data_through),
        "sources": dg.MetadataValue.md(_sources(collection.sources)),
        "change token": collection.change_token,
        "requests": collection.requests,
        "cost of requests": f"{collection.request_cost} USD",
        **_skipped(result),
        "rounded numbers": collection.rounding.values,
        "rounded by": str(collection.rounding.total),
        "warnings": dg.MetadataValue.md(_warnings(collection.warnings)),
        "seconds": dg.MetadataValue.md(_seconds(result.seconds)),
    }


def _skipped(result: SliceResult) -> dict[str, Any]:
    """Which checks compared nothing, and why."""
    found = {}
    if not (result.before and result.before.line_items):
        found[SHRINKAGE] = "nothing was published before"
    if not result.collection.control_totals:
        found[CONTROL_TOTALS] = "the provider states no total"
    if result.outcome is CollectionOutcome.UNCHANGED:
        found[DERIVED_EQUALS_RAW] = "nothing was derived, because the line items are those that are published"
    elif not result.loaded.line_items:
        found[DERIVED_EQUALS_RAW] = "there are no line items"
    return {f"check {name}": f"skipped: {why}" for name, why in found.items()}


def _derived(result: SliceResult, table: str) -> Mapping[str, Any]:
    outcome = _outcome(result)
    # The derived table has fewer rows: groups of line items.
    outcome["line items"] = outcome.pop("dagster/partition_row_count")
    return {**outcome, "statement": f"sql/clickhouse/derived/{table}.sql"}


def _published(result: SliceResult, pages: str) -> Mapping[str, Any]:
    slice_, published, before = result.slice, result.published, result.before
    facts: dict[str, Any] = {**_outcome(result), "customer": slice_.customer_id, "account": slice_.account_id}
    if published:
        facts |= {
            "published at": _instant(published.published_at),
            "data through": _instant(published.data_through),
            "final": published.is_final,
            "simulated": published.is_simulated,
            "content hash": published.content_hash,
            "generations of this month": dg.MetadataValue.url(_page(slice_, pages)),
            "ask GraphQL": dg.MetadataValue.md(_question(slice_)),
        }
    if before and result.outcome is CollectionOutcome.PUBLISHED:
        facts["before"] = (
            f"generation {before.generation}: {before.line_items} line items, {_amounts(before.totals) or 'no costs'}"
        )
    return facts


def _shrinkage(partition: str, keys: ProviderAssetKeys, result: SliceResult, before: int) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        keys.raw,
        SHRINKAGE,
        passed=result.shrinkage <= SHRINKAGE_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{result.loaded.line_items} line items, {before} before: {result.shrinkage:.1%} fewer",
        metadata={"line items": result.loaded.line_items, "line items before": before},
        partition=partition,
    )


def _passed(partition: str, key: dg.AssetKey, check: str, description: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(key, check, passed=True, description=description, partition=partition)


def _failed(partition: str, key: dg.AssetKey, check: str, description: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(key, check, passed=False, description=description, partition=partition)


def _control_totals(stated: Mapping[str, Decimal]) -> str:
    return "equal to the provider's: " + ", ".join(
        f"{amount} {currency}" for currency, amount in sorted(stated.items())
    )


def _amounts(totals: Mapping[str, Totals]) -> str:
    return ", ".join(f"{plain(one.billed_cost)} {currency}" for currency, one in sorted(totals.items()))


def _costs(totals: Mapping[str, Totals]) -> str:
    rows = [[currency, *(plain(getattr(one, name)) for name in MEASURES)] for currency, one in sorted(totals.items())]
    return _table(["currency", *(name.removesuffix("_cost") for name in MEASURES)], rows)


def _sources(sources: Sequence[Mapping[str, str]]) -> str:
    if not sources:
        return "none: the source has nothing for this month"
    names = list(sources[0])
    table = _table(names, [[one.get(name, "") for name in names] for one in sources[:SOURCES_SHOWN]])
    more = len(sources) - SOURCES_SHOWN
    return f"{table}\n\nand {more} more, see `publications.sources`" if more > 0 else table


def _warnings(warnings: Iterable[SourceWarning]) -> str:
    rows = [[one.code, str(one.count), one.message, one.example] for one in warnings]
    return _table(["code", "count", "what", "example"], rows) if rows else "none"


def _seconds(seconds: Mapping[str, float]) -> str:
    return _table(list(seconds), [[f"{value:.3f}" for value in seconds.values()]])


def _page(slice_: Slice, pages: str) -> str:
    """The web page that shows which generations of the month there were, and what each was made of."""
    of = {"customer": slice_.customer_id, "account": slice_.account_id, "month": str(slice_.billing_period)}
    return f"{pages}/accounts/account?{urlencode(of)}#months"


def _question(slice_: Slice) -> str:
    start, end = slice_.billing_period.start, slice_.billing_period.end
    lines = [
        "```graphql",
        "{",
        f'  totalCost(customerId: "{slice_.customer_id}",',
        f'            period: {{start: "{start:%Y-%m-%d}", end: "{end:%Y-%m-%d}"}}) {{',
        "    totals { cost { amount currency } } dataThrough publishedAt",
        "  }",
        "}",
        "```",
    ]
    return "\n".join(lines)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _instant(moment: Any) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.text("not known") if moment is None else dg.MetadataValue.timestamp(moment)
