"""The daily garbage collection, run in Dagster."""

from __future__ import annotations

from orchestrated import Files, Platform

from optiinfra_assets.orchestration.maintenance_assets import GARBAGE


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
