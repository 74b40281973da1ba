"""The history of a home whose asset keys began with the layer is shown under the keys and partitions of today."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from orchestrated import Files, Platform

from optiinfra_assets.dagster_processes.earlier_asset_keys import rename
from optiinfra_assets.database import sql_files
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.dagster_retention import purge_runs

TABLES = sql_files.names("clickhouse", "derived")


def earlier_paths(provider: str) -> list[list[str]]:
    """The keys of then."""
    return [
        ["raw", provider, "costs"],
        *(["derived", provider, table] for table in TABLES),
        ["published", provider, "costs"],
    ]


@pytest.fixture
def instance(postgres_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The platform's instance is in PostgreSQL."""
    return postgres_instance


@pytest.fixture
def of_then(platform: Platform, files: Files, monkeypatch: pytest.MonkeyPatch) -> tuple[Platform, str]:
    """The platform of today, and the id of a run that collected two months, one of them shrunken, under the keys of then."""
    files.write("october", "2026-10", ["1", "2"])
    files.write("september", "2026-09", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    with monkeypatch.context() as then:
        then.setattr("optiinfra_assets.orchestration.asset_keys.asset_paths", earlier_paths)
        then.setattr(ProviderAssetKeys, "source", property(lambda keys: dg.AssetKey(["source", keys.provider])))
        earlier = replace(platform)
        earlier.materialise("2026-09", "2026-10")
        files.write("october", "2026-10", ["1"])
        run_id = earlier.materialise("2026-09", "2026-10").run_id
        job = earlier.definitions.get_repository_def().get_job("__ASSET_JOB")
        selected = {dg.AssetKey(path) for path in earlier_paths("focus")}
        platform.instance.create_run_for_job(job.get_subset(asset_selection=selected), asset_selection=selected)
    return platform, run_id


def test_partitions_checks_and_runs_are_found_under_the_keys_of_today(of_then: tuple[Platform, str]) -> None:
    platform, run_id = of_then
    instance, keys = platform.instance, ProviderAssetKeys("focus")
    months = {"acme.files|2026-09", "acme.files|2026-10"}
    assert instance.get_materialized_partitions(keys.raw) == set()
    with psycopg.connect(str(platform.settings.postgres_url)) as connection:
        rename(connection)
        rename(connection)
    assert set(instance.all_asset_keys()) == set(keys.collected)
    for key in keys.collected:
        assert instance.get_materialized_partitions(key) == months
        newest = instance.get_latest_materialization_event(key)
        assert newest is not None
        assert newest.run_id == run_id
        assert newest.dagster_event is not None
        assert newest.dagster_event.asset_key == key
    launched = [run.asset_selection for run in instance.get_runs() if run.asset_selection]
    assert launched == [set(keys.collected)]
    checks = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(keys.raw, "shrinkage"), 5)
    assert [one.run_id for one in checks if one.event and one.event.dagster_event_type == "ASSET_CHECK_EVALUATION"]
    assert purge_runs(instance, datetime.now(UTC) + timedelta(minutes=1), 60).kept == 1


def test_what_an_older_version_did_after_this_one_is_added(of_then: tuple[Platform, str], files: Files) -> None:
    platform, _ = of_then
    files.write("august", "2026-08", ["1"])
    platform.materialise("2026-08")
    with psycopg.connect(str(platform.settings.postgres_url)) as connection:
        rename(connection)
    raw = ProviderAssetKeys("focus").raw
    assert platform.instance.get_materialized_partitions(raw) == {
        f"acme.files|2026-{month}" for month in ("08", "09", "10")
    }
    assert set(platform.instance.all_asset_keys()) == set(ProviderAssetKeys("focus").collected)


def test_what_was_collected_is_a_partition_and_accounts_are_none(of_then: tuple[Platform, str]) -> None:
    instance = of_then[0].instance
    for key in instance.get_dynamic_partitions("focus_slices"):
        instance.delete_dynamic_partition("focus_slices", key)
    instance.add_dynamic_partitions("focus_accounts", ["acme.files", "acme.empty"])
    with psycopg.connect(str(of_then[0].settings.postgres_url)) as connection:
        rename(connection)
        rename(connection)
    assert instance.get_dynamic_partitions("focus_accounts") == []
    assert instance.get_dynamic_partitions("focus_slices") == ["acme.files|2026-09", "acme.files|2026-10"]
