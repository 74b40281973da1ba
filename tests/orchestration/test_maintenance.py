"""The daily maintenance, run in Dagster: garbage and history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from orchestrated import Files, Platform

from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.dagster_retention import purge_runs
from optiinfra_assets.orchestration.maintenance_assets import GARBAGE, HISTORY


def test_garbage_is_collected_and_counted(platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    platform.materialise("2026-10")
    published = platform.warehouse.current(platform.slice("2026-10"))
    job = platform.definitions.get_repository_def().get_job("__ASSET_JOB").get_subset(asset_selection={GARBAGE})
    result = job.execute_in_process(instance=platform.instance)
    (materialised,) = result.asset_materializations_for_node("maintenance__garbage")
    assert materialised.metadata["rows removed"].value == 0
    assert materialised.metadata["retention (days)"].value == 95
    assert published is not None
    assert platform.stored("raw_costs", "2026-10") == {published.generation}


def tables_of(platform: Platform, run_id: str) -> dict[str, int]:
    """How many rows of a run Dagster has, by table."""
    storage = platform.instance.event_log_storage
    found = {"runs": len(platform.instance.get_runs(dg.RunsFilter(run_ids=[run_id])))}
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        for table in ("event_logs", "asset_check_executions"):
            query = f"SELECT count(*) FROM {table} WHERE run_id = '{run_id}'"
            found[table] = connection.exec_driver_sql(query).scalar_one()
    return found


def test_old_runs_go_with_all_they_left_but_not_those_that_lineage_needs(platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    files.write("september", "2026-09", ["1"])
    platform.add_account("acme.files", location=str(files.path))
    first = platform.materialise("2026-09", "2026-10").run_id
    again, newest = (platform.materialise("2026-10").run_id for _ in range(2))
    failed = platform.materialise("2026-01").run_id
    waiting = platform.instance.create_run_for_job(
        platform.definitions.get_repository_def().get_job("__ASSET_JOB"), status=dg.DagsterRunStatus.NOT_STARTED
    ).run_id
    raw = ProviderAssetKeys("focus").raw
    partitions = platform.instance.get_materialized_partitions(raw)
    assert tables_of(platform, again)["event_logs"] > 10

    assert purge_runs(platform.instance, datetime.now(UTC) - timedelta(days=1), 60).removed == 0
    purged = purge_runs(platform.instance, datetime.now(UTC) + timedelta(minutes=1), 60)
    assert (purged.removed, purged.kept, purged.is_cut) == (2, 2, False)
    assert {run.run_id for run in platform.instance.get_runs()} == {first, newest, waiting}
    for gone in (again, failed):
        assert set(tables_of(platform, gone).values()) == {0}
    assert platform.instance.get_materialized_partitions(raw) == partitions
    (newest_record,) = platform.instance.fetch_materializations(
        dg.AssetRecordsFilter(raw, asset_partitions=["acme.files|2026-10"]), limit=1
    ).records
    assert newest_record.run_id == newest
    assert purge_runs(platform.instance, datetime.now(UTC) + timedelta(minutes=1), 60).removed == 0


def test_a_purge_that_runs_out_of_time_goes_on_the_next_day(
    platform: Platform, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiinfra_assets.orchestration.dagster_retention.BATCH", 1)
    platform.add_account("acme.files", location=str(files.path))
    for month in ("2026-01", "2026-02"):
        platform.materialise(month)
    later = datetime.now(UTC) + timedelta(minutes=1)
    first, second = (purge_runs(platform.instance, later, 0) for _ in range(2))
    assert [(one.removed, one.is_cut) for one in (first, second)] == [(1, True), (1, True)]
    assert platform.instance.get_runs() == []


def test_history_is_removed_and_counted(platform: Platform) -> None:
    job = platform.definitions.get_repository_def().get_job("__ASSET_JOB").get_subset(asset_selection={HISTORY})
    result = job.execute_in_process(instance=platform.instance)
    (materialised,) = result.asset_materializations_for_node("maintenance__history")
    assert {value.value for value in materialised.metadata.values()} == {0}
