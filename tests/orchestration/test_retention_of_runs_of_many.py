"""Of an old run of many slices stays what is the newest of its slice, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from orchestrated import NOW, Files, Platform

from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.dagster_retention import purge_runs

ACCOUNTS = ("acme.a", "acme.b", "acme.c")


@pytest.fixture
def instance(postgres_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The platform's instance is in PostgreSQL."""
    return postgres_instance


def test_superseded_materializations_go_and_the_newest_of_each_slice_stay(platform: Platform, tmp_path: Path) -> None:
    folders = {account_id: Files(tmp_path / account_id) for account_id in ACCOUNTS}
    for account_id, files in folders.items():
        files.write("october", "2026-10", ["1"])
        platform.add_account(account_id, location=str(files.path))
    (first,) = platform.collect(platform.tick(NOW))
    for account_id in ACCOUNTS[:2]:
        folders[account_id].write("october", "2026-10", ["1", "2"])
    (second,) = platform.collect(platform.tick(NOW + timedelta(minutes=15)))
    instance = platform.instance
    purged = purge_runs(instance, datetime.now(UTC) + timedelta(minutes=1), 60)
    assert (purged.removed, purged.kept) == (0, 2)
    expected = {(f"{one}|2026-10", second.run_id) for one in ACCOUNTS[:2]} | {("acme.c|2026-10", first.run_id)}
    for key in ProviderAssetKeys("focus").collected:
        records = instance.fetch_materializations(key, limit=10).records
        assert {(one.partition_key, one.run_id) for one in records} == expected
        assert len(records) == len(expected)
        assert instance.get_materialized_partitions(key) == {f"{one}|2026-10" for one in ACCOUNTS}
