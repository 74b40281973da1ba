"""Who waits for a task is told of its first published slice once, before the others have ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from optiinfra_assets.cli.collecting import _report, wait_for
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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A worker of pytest-xdist ignores SIGINT, a command does not."""
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, ignored)


def test_who_stops_waiting_is_told_that_the_work_goes_on(
    metadata: Metadata, capsys: pytest.CaptureFixture[str], interruptible: None
) -> None:
    slices = (Slice("acme", "focus", "acme.files", BillingPeriod(2026, 10)),)
    metadata.collections.queue("cli-7", "cli", slices)
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        _report(metadata, CollectionTask("cli-7", slices), wait=True, as_json=False)
    said = capsys.readouterr().err
    assert said.endswith("task cli-7 goes on without this command; follow it with: optiinfra status\n")
    assert metadata.collections.task_status("cli-7").state == "queued"
