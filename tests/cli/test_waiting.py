"""Who waits for a task is told of its first published slice once, before the others have ended."""

from __future__ import annotations

from optiinfra_assets.cli.collecting import wait_for
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionRecord, CollectionTask


def test_the_first_number_comes_after_the_first_slice(metadata: Metadata) -> None:
    slices = tuple(Slice("acme", "focus", "acme.files", BillingPeriod(2026, month)) for month in (10, 9, 8))
    metadata.collections.queue("task", "cli", slices)
    rows = [metadata.collections.start("task", "cli", slice_, "run") for slice_ in slices]
    metadata.collections.finish(rows[0], "unchanged", rows=1)
    metadata.collections.finish(rows[1], "succeeded", generation=1, rows=1)
    told: list[tuple[CollectionRecord, int]] = []

    def first(row: CollectionRecord) -> None:
        told.append((row, metadata.collections.task_status("task").done))
        metadata.collections.finish(rows[2], "succeeded", generation=2, rows=1)

    assert wait_for(metadata, CollectionTask("task", slices), first).state == "succeeded"
    assert [(row.slice, done) for row, done in told] == [(slices[1], 2)]
