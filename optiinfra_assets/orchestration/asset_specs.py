"""The specs of one provider's assets for the Dagster UI: descriptions, lineage, tables and checks."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Final

import dagster as dg

from optiinfra_assets.database import sql_files
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.partitions import slices
from optiinfra_assets.providers.base import Provider

SHRINKAGE = "shrinkage"
CONTROL_TOTALS = "control_totals"
DERIVED_EQUALS_RAW = "derived_equals_raw"

SHRINKAGE_LIMIT: Final = Decimal("0.20")
"""The check warns above this fraction: a restatement rarely drops a fifth of the line items, a truncated export does."""

_RAW = """\
Every charge of {title} for one account and billing month, one row each, in the columns of FOCUS 1.4.

Each collection writes a new **generation** that nobody reads until `{name}/published_costs` names it. Money is Decimal(38, 18);
numbers with more fraction digits are rounded half-even once, and counted here. ClickHouse table `raw_costs`.
"""
_DERIVED = """\
{header}

Computed from the generation being collected and published together with it. ClickHouse table `{table}`:

```sql
{select}
```
"""
_PUBLISHED = """\
What readers see: the newest published generation of each account and month, made visible by one row in the ClickHouse table
`publications`.

A collection whose content equals the published generation publishes nothing. Earlier generations stay readable (`asOf`) until
`maintenance/garbage` removes them.
"""
_AUTOMATION = """
The schedule `collect_due` asks every 15 minutes whether anything changed, and the sensor `new_accounts` collects what a new account has.
Choose any of these assets to collect slices by hand: all of them are made, as they are published together.
"""
_SOURCE = """\
{title}: where the costs come from, outside. A probe asks every quarter of an hour whether anything changed. Charge periods: {granularity}.
"""

_SHRINKAGE = "Warns if more than 20 % of the line items that were published are gone. Skipped if none was."
_CONTROL_TOTALS = (
    "The line items add up to the total that the provider states, or nothing is published. Skipped if it states none."
)
_DERIVED_EQUALS_RAW = (
    "Line items and the sum of every cost, by currency, equal those of raw_costs, or nothing is published. "
    "Skipped if nothing is derived."
)


def source_spec(provider: Provider) -> dg.AssetSpec:
    """The spec of the source, an external asset where the lineage begins."""
    return dg.AssetSpec(
        ProviderAssetKeys(provider.name).source,
        description=_SOURCE.format(title=provider.title, granularity=provider.capabilities.granularity),
        kinds={"source", provider.name},
        group_name=provider.name,
    )


def asset_specs(provider: Provider) -> list[dg.AssetSpec]:
    """The specs of the raw, derived and published costs of a provider.

    They are `skippable`: the run reports their materializations as separate events, for each slice as soon as it is published, and
    not as outputs at its end. So a failed slice does not affect the others.
    """
    keys = ProviderAssetKeys(provider.name)
    raw = dg.AssetSpec(
        keys.raw,
        deps=[keys.source],
        description=_RAW.format(title=provider.title, name=provider.name) + _AUTOMATION,
        kinds={"raw", "python", "clickhouse"},
        metadata={"dagster/table_name": "raw_costs"},
        group_name=provider.name,
        skippable=True,
    )
    published = dg.AssetSpec(
        keys.published,
        deps=list(keys.derived.values()),
        description=_PUBLISHED + _AUTOMATION,
        kinds={"published", "clickhouse"},
        metadata={"dagster/table_name": "publications"},
        group_name=provider.name,
        skippable=True,
    )
    return [raw, *(_derived_spec(keys, provider.name, table) for table in keys.derived), published]


def _derived_spec(keys: ProviderAssetKeys, group: str, table: str) -> dg.AssetSpec:
    file = ("clickhouse", "derived", f"{table}.sql")
    return dg.AssetSpec(
        keys.derived[table],
        deps=[keys.raw],
        description=_DERIVED.format(header=sql_files.description(*file), table=table, select=sql_files.read(*file))
        + _AUTOMATION,
        kinds={"derived", "sql", "clickhouse"},
        metadata={"dagster/table_name": table},
        group_name=group,
        skippable=True,
    )


def check_specs(provider: Provider) -> list[dg.AssetCheckSpec]:
    """The specs of the checks that a collection evaluates for each slice."""
    keys = ProviderAssetKeys(provider.name)
    return [
        _check(provider, SHRINKAGE, keys.raw, _SHRINKAGE),
        _check(provider, CONTROL_TOTALS, keys.raw, _CONTROL_TOTALS),
        *(_check(provider, DERIVED_EQUALS_RAW, key, _DERIVED_EQUALS_RAW) for key in keys.derived.values()),
    ]


def _check(provider: Provider, name: str, asset: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    # Partitioned by slice: the check of one account must not hide that of another. Dagster supports this, but warns that it is a preview.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=description, partitions_def=slices(provider.name))
