"""What Dagster loads: names, lineage, policy, schedules. A change here is seen by everybody who looks at the UI."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from orchestrated import Platform

from optiinfra_assets.database import sql_files
from optiinfra_assets.definitions import RETRY, defs
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import CollectionRunRequest, RunScope, partition_key, run_scopes
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.partitions import parse, slices
from optiinfra_assets.providers import PROVIDERS

DERIVED = sql_files.names("clickhouse", "derived")
GRAPH = defs.resolve_asset_graph()


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_assets_and_lineage_of_each_provider(provider: str) -> None:
    raw, published = dg.AssetKey([provider, "raw_costs"]), dg.AssetKey([provider, "published_costs"])
    derived = {dg.AssetKey([provider, table]) for table in DERIVED}
    assert GRAPH.get(raw).parent_keys == {dg.AssetKey([provider, "source"])}
    assert all(GRAPH.get(key).parent_keys == {raw} for key in derived)
    assert GRAPH.get(published).parent_keys == derived
    checks = {(key.asset_key, key.name) for key in GRAPH.asset_check_keys if provider in key.asset_key.path}
    assert checks == {
        (raw, "shrinkage"),
        (raw, "control_totals"),
        (dg.AssetKey([provider, "source"]), "freshness"),
        *((key, "derived_equals_raw") for key in derived),
    }


def test_every_asset_is_described_owned_and_of_a_kind() -> None:
    for key in GRAPH.get_all_asset_keys():
        node = GRAPH.get(key)
        assert node.description, key
        assert list(node.owners) == ["team:finops"], key
        assert node.kinds, key
        assert node.group_name != "default", key


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_each_asset_shows_what_collects_it_by_itself(provider: str) -> None:
    """Dagster shows a sensor on the assets that it selects; a schedule only if it has a job, and one job has partitions of one provider."""
    keys = ProviderAssetKeys(provider)
    selecting = {one.name: one.asset_selection.resolve(GRAPH) for one in defs.sensors or [] if one.asset_selection}
    assert {name for name, selected in selecting.items() if set(keys.collected) <= selected} == {
        "new_accounts",
        "follow_runs",
    }
    assert {name for name, selected in selecting.items() if keys.source in selected} == {"freshness"}
    for key in keys.collected:
        assert "schedule `collect_due`" in (GRAPH.get(key).description or "")


def test_policy() -> None:
    assert (RETRY.max_retries, RETRY.delay) == (3, 60)
    for assets in defs.assets or []:
        if isinstance(assets, dg.AssetsDefinition):
            assert assets.op.retry_policy == RETRY
            assert assets.op.pool


def test_schedules_and_sensors_run_by_default() -> None:
    schedules = {one.name: (one.cron_schedule, one.default_status.value) for one in defs.schedules or []}  # type: ignore[union-attr]
    assert schedules == {
        "collect_due": ("*/15 * * * *", "RUNNING"),
        "collect_garbage": ("17 3 * * *", "RUNNING"),
        "remove_history": ("47 3 * * *", "RUNNING"),
        "reconcile": ("27 4 * * *", "RUNNING"),
        "deliver_focus": ("40 * * * *", "RUNNING"),
        "read_commitments": ("27 5 * * *", "RUNNING"),
    }
    sensors = {one.name: (one.minimum_interval_seconds, one.default_status.value) for one in defs.sensors or []}
    assert sensors == {
        "new_accounts": (20, "RUNNING"),
        "alerts": (30, "RUNNING"),
        "follow_runs": (30, "RUNNING"),
        "freshness": (900, "RUNNING"),
        "reconcile_changes": (60, "RUNNING"),
        "refresh_forecasts": (30, "RUNNING"),
    }


def test_definitions_load_alone_without_a_setting_in_under_5_seconds(tmp_path: Path) -> None:
    code = "from optiinfra_assets.definitions import defs; import dagster; dagster.Definitions.validate_loadable(defs)"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    begun = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (
        time.monotonic() - begun < 60
    )  # measured 2 s, and 16 s on a machine with eight times the load it has cores for


def test_ten_thousand_accounts_load_no_slower(platform: Platform) -> None:
    names = [f"acme.{number}|2026-10" for number in range(10_000)]
    platform.instance.add_dynamic_partitions("focus_slices", names)
    begun = time.monotonic()
    dg.Definitions.validate_loadable(platform.definitions)
    assert time.monotonic() - begun < 5


def test_partition_keys() -> None:
    assert parse("acme.main|2026-10") == ("acme.main", BillingPeriod(2026, 10))
    assert partition_key(Slice("acme", "focus", "acme.main", BillingPeriod(2026, 10))) == "acme.main|2026-10"


def test_scopes_cover_exactly_what_they_were_made_of() -> None:
    periods = [BillingPeriod(2026, 11).shift(-back) for back in (0, 1, 3, *range(5, 40))]
    asked = [Slice("acme", "focus", "acme.main", period) for period in periods]
    found = run_scopes(asked)
    assert sorted(slice_.billing_period for scope in found for slice_ in scope.slices) == sorted(periods)
    assert [str(scope) for scope in found[:3]] == [
        "focus/acme.main/2026-10..2026-11",
        "focus/acme.main/2026-08",
        "focus/acme.main/2025-06..2026-06",
    ]
    assert all(len(scope.periods) <= 13 for scope in found)


def test_tags_of_runs_are_of_the_form_that_dagster_accepts(recwarn: pytest.WarningsRecorder) -> None:
    january, february = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
    for last in (january, february):
        scope = RunScope("acme", "focus", "acme.main", january, last)
        tags = CollectionRunRequest.of((scope,), "key", "task", "api", accept_empty=True).tags
        assert dg.RunRequest(tags=tags).tags == tags
    assert len(recwarn) == 0


def test_dagster_lists_no_month_that_no_account_has(platform: Platform) -> None:
    assert slices("focus").get_partition_keys(dynamic_partitions_store=platform.instance) == []
