"""Small slices of many accounts that are due at one tick are collected by one run; each is published, fails and is shown by itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster import AssetKey
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.run_monitoring import monitor_runs

ACCOUNTS = [f"acme.{name}" for name in ("a", "b", "c", "d", "e", "f")]


@pytest.fixture
def folders(scripted_platform: Platform, tmp_path: Path) -> dict[str, Files]:
    """A folder of one month for each of `ACCOUNTS`, collected once, so that everybody knows how small they are."""
    found = {}
    for number, account_id in enumerate(ACCOUNTS):
        found[account_id] = Files(tmp_path / account_id)
        found[account_id].write("october", "2026-10", [str(number + 1)])
        scripted_platform.add_account(account_id, "scripted", location=str(found[account_id].path))
    scripted_platform.collect(scripted_platform.tick(NOW))
    return found


def change(folders: dict[str, Files]) -> None:
    """Give each account another amount."""
    for number, files in enumerate(folders.values()):
        files.write("october", "2026-10", [str(number + 1), "100"])


def totals(platform: Platform) -> dict[str, Decimal | None]:
    """What readers see of each account."""
    return {account_id: platform.total("2026-10", "scripted", account_id) for account_id in ACCOUNTS}


def wanted(folders: dict[str, Files]) -> dict[str, Decimal | None]:
    """What they should see."""
    return {account_id: files.total("2026-10") for account_id, files in folders.items()}


def materialised(platform: Platform, key: AssetKey) -> set[str]:
    """Partitions of an asset that have a materialization."""
    return set(platform.instance.get_materialized_partitions(key))


@pytest.mark.parametrize("batch", ["0", "1000"])
def test_a_tick_asks_for_one_run_of_what_is_small(
    scripted_platform: Platform, folders: dict[str, Files], monkeypatch: pytest.MonkeyPatch, batch: str
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
    change(folders)
    (request,) = scripted_platform.tick(NOW.replace(hour=13))
    assert request.tags["optiinfra/slices"] == "6"
    assert request.tags["optiinfra/customer"] == "acme"
    (run,) = scripted_platform.collect([request])
    assert run.success
    assert totals(scripted_platform) == wanted(folders)
    for key in ProviderAssetKeys("scripted").collected:
        records = scripted_platform.instance.fetch_materializations(key, limit=100).records
        made = sorted(str(one.partition_key) for one in records if one.run_id == run.run_id)
        assert made == [f"{one}|2026-10" for one in ACCOUNTS]
        assert materialised(scripted_platform, key) == {f"{one}|2026-10" for one in ACCOUNTS}
    checks = run.get_asset_check_evaluations()
    assert {one.passed for one in checks} == {True}
    assert {one.description for one in checks} == {"passed for each of 6 slices"}
    assert scripted_platform.metadata.slices.live_generations() == frozenset()


def test_an_account_that_fails_fails_alone(scripted_platform: Platform, folders: dict[str, Files]) -> None:
    change(folders)
    expected = wanted(folders) | {"acme.b": Decimal(2)}
    folders["acme.b"].write("october", "2026-10", ["not a number"])
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW.replace(hour=13)))
    assert not run.success
    assert totals(scripted_platform) == expected
    rows = scripted_platform.metadata.collections.history(first=6)
    assert {row.slice.account_id: row.status for row in rows} == dict.fromkeys(ACCOUNTS, "succeeded") | {
        "acme.b": "failed"
    }
    assert scripted_platform.tick(NOW.replace(hour=14)) == []


def test_a_transient_failure_is_tried_again_without_the_others(
    scripted_platform: Platform, scripted: Scripted, folders: dict[str, Files]
) -> None:
    change(folders)
    tried: list[str] = []

    def fail_once(account_id: str, _: object) -> None:
        tried.append(account_id)
        if account_id == "acme.d" and tried.count("acme.d") == 1:
            raise Transient("the network is away")

    scripted.on_collect = fail_once
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW.replace(hour=13)))
    assert run.success
    assert sorted(tried) == sorted([*ACCOUNTS, "acme.d"])
    assert totals(scripted_platform) == wanted(folders)


def test_what_clickhouse_does_not_take_of_one_keeps_no_other_back(
    scripted_platform: Platform, folders: dict[str, Files]
) -> None:
    change(folders)
    client = scripted_platform.warehouse.client
    client.command("ALTER TABLE raw_costs ADD CONSTRAINT poison CHECK account_id != 'acme.c'")
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW.replace(hour=13)))
    assert not run.success
    assert totals(scripted_platform) == wanted(folders) | {"acme.c": Decimal(3)}
    client.command("ALTER TABLE raw_costs DROP CONSTRAINT poison")
    scripted_platform.collect(scripted_platform.tick(NOW.replace(hour=20)))
    assert totals(scripted_platform) == wanted(folders)
    assert scripted_platform.metadata.slices.live_generations() == frozenset()


def test_a_difference_in_one_slice_keeps_no_other_back(scripted_platform: Platform, folders: dict[str, Files]) -> None:
    """A row that nobody sent, as a server that takes an insert twice would leave it."""
    change(folders)
    client = scripted_platform.warehouse.client
    names = "customer_id, provider, account_id, generation, billing_period, charge_date, billing_currency, billed_cost"
    client.command(
        f"CREATE MATERIALIZED VIEW twice TO cost_by_type AS SELECT {names} FROM cost_by_day WHERE account_id = 'acme.e'"
    )
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW.replace(hour=13)))
    assert not run.success
    assert totals(scripted_platform) == wanted(folders) | {"acme.e": Decimal(5)}
    (error,) = {row.error for row in scripted_platform.metadata.collections.history(first=6) if row.error}
    assert "cost_by_type has billed_cost" in error


def test_what_is_large_is_collected_by_a_run_of_its_own(
    scripted_platform: Platform, folders: dict[str, Files], tmp_path: Path
) -> None:
    change(folders)
    new = Files(tmp_path / "new")
    new.write("october", "2026-10", ["1"])
    scripted_platform.add_account("acme.new", "scripted", location=str(new.path))
    with psycopg.connect(str(scripted_platform.settings.postgres_url)) as connection:
        connection.execute("UPDATE optiinfra.slice_state SET line_items = 50001 WHERE account_id = 'acme.f'")
    requests = scripted_platform.tick(NOW.replace(hour=13))
    runs = sorted(one.tags.get("dagster/partition") or one.tags["optiinfra/slices"] for one in requests)
    assert runs == ["6", "acme.f|2026-10"]


def test_a_run_of_many_that_never_was_is_asked_for_again(
    scripted_platform: Platform, folders: dict[str, Files], instance: dg.DagsterInstance
) -> None:
    change(folders)
    (request,) = scripted_platform.tick(NOW.replace(hour=13))
    rows = scripted_platform.metadata.work_queue.open_collections()
    assert len(rows) == 6
    run = instance.create_run_for_job(
        scripted_platform.definitions.get_repository_def().get_job("__ASSET_JOB"),
        tags=dict(request.tags),
        run_config=request.run_config,
    )
    monitor_runs(scripted_platform.metadata, instance, NOW.replace(hour=13))
    assert {row.run_id for row in scripted_platform.metadata.work_queue.open_collections()} == {run.run_id}
