"""The history of collections: queued to ended, in pages, and closed when a run dies."""

from __future__ import annotations

from decimal import Decimal

import pytest

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.source_warnings import SourceWarning
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionRecord, Ended

PERIODS = [BillingPeriod(2026, month) for month in (8, 9, 10)]
SLICES = [Slice("acme", "focus", "acme.main", period) for period in PERIODS]
OTHER = Slice("zenith", "aws", "zenith.main", PERIODS[0])


def one(metadata: Metadata, task_id: str = "task") -> CollectionRecord:
    (record,) = metadata.collections.history(task_id=task_id)
    return record


def test_from_queued_to_ended(metadata: Metadata) -> None:
    metadata.collections.queue("task", "api", SLICES[:1])
    queued = one(metadata)
    assert (queued.status, queued.run_id, queued.started_at, queued.is_open) == ("queued", None, None, True)
    metadata.collections.assign_run("task", SLICES, "run")
    assert one(metadata).run_id == "run"
    id_ = metadata.collections.start("task", "api", SLICES[0], "run")
    running = one(metadata)
    assert (id_, running.status, running.attempt) == (queued.id, "running", 1)
    metadata.collections.finish(id_, "succeeded", generation=7, rows=100, requests=3, request_cost=Decimal("0.01"))
    ended = one(metadata)
    assert (ended.status, ended.generation, ended.rows, ended.error) == ("succeeded", 7, 100, None)
    assert (ended.requests, ended.request_cost, ended.is_open) == (3, Decimal("0.01"), False)
    assert ended.queued_at <= (ended.started_at or ended.queued_at) <= (ended.ended_at or ended.queued_at)
    assert (ended.slice, ended.trigger) == (SLICES[0], "api")


def test_what_a_collection_warned_of_is_kept(metadata: Metadata) -> None:
    said = (SourceWarning("labels-missing", "no labels: 'é\\", 3, 'row 1: "x"'), SourceWarning("b", "b"))
    id_ = metadata.collections.start("task", "cli", SLICES[0], "run")
    assert one(metadata).warnings == ()
    metadata.collections.finish(id_, "unchanged", warnings=said)
    assert one(metadata).warnings == said


def test_a_retry_is_one_attempt_more_and_its_requests_add_up(metadata: Metadata) -> None:
    id_ = metadata.collections.start("task", "schedule", SLICES[0], "run")
    metadata.collections.retry(id_, "no answer", requests=2, request_cost=Decimal("0.02"))
    waiting = one(metadata)
    assert (waiting.status, waiting.error, waiting.is_open) == ("retrying", "no answer", True)
    assert metadata.collections.start("task", "schedule", SLICES[0], "run") == id_
    running = one(metadata)
    assert (running.status, running.attempt, running.error, running.started_at) == (
        "running",
        2,
        None,
        waiting.started_at,
    )
    metadata.collections.finish(id_, "failed", error="still no answer", requests=1, request_cost=Decimal("0.01"))
    failed = one(metadata)
    assert (failed.requests, failed.request_cost, failed.error) == (3, Decimal("0.03"), "still no answer")


@pytest.mark.parametrize("ended", ["succeeded", "unchanged", "failed", "canceled"])
def test_what_has_ended_stays_as_it_ended(metadata: Metadata, ended: Ended) -> None:
    id_ = metadata.collections.start("task", "schedule", SLICES[0], "run")
    metadata.collections.finish(id_, ended, generation=7, rows=5)
    before = one(metadata)
    metadata.collections.finish(id_, "failed", error="the run ended")
    metadata.collections.retry(id_, "no answer", requests=1)
    assert metadata.collections.start("task", "schedule", SLICES[0], "run") == id_
    assert metadata.collections.start("task", "schedule", SLICES[0], "another run") == id_
    assert one(metadata) == before


def test_what_one_run_began_another_does_not_begin(metadata: Metadata) -> None:
    id_ = metadata.collections.start("task", "schedule", SLICES[0], "run")
    assert metadata.collections.start("task", "schedule", SLICES[0], "another run") == id_
    assert (one(metadata).run_id, one(metadata).attempt) == ("run", 1)
    metadata.collections.assign_run("task", SLICES[:1], "another run")
    metadata.collections.start("task", "schedule", SLICES[0], "another run")
    assert (one(metadata).run_id, one(metadata).attempt) == ("another run", 2)


def test_queueing_again_changes_nothing(metadata: Metadata) -> None:
    metadata.collections.start("task", "cli", SLICES[0], "run")
    metadata.collections.queue("task", "cli", SLICES)
    assert [record.status for record in metadata.collections.history(task_id="task")] == [
        "queued",
        "queued",
        "running",
    ]


def test_open_rows_of_a_task_are_closed_and_all_others_stay(metadata: Metadata) -> None:
    done = metadata.collections.start("task", "schedule", SLICES[0], "run")
    metadata.collections.finish(done, "unchanged", rows=5)
    metadata.collections.start("task", "schedule", SLICES[1], "run")
    metadata.collections.start("other", "schedule", SLICES[2], "another")
    assert metadata.collections.close("failed", "the run died", task_id="task") == 1
    assert metadata.collections.close("failed", "the run died", task_id="task") == 0
    statuses = {record.slice: (record.status, record.error) for record in metadata.collections.history()}
    assert statuses == {
        SLICES[0]: ("unchanged", None),
        SLICES[1]: ("failed", "the run died"),
        SLICES[2]: ("running", None),
    }
    assert metadata.collections.close("canceled", None, task_id="other") == 1
    assert metadata.work_queue.open_collections() == []


def test_open_collections_are_those_that_have_not_ended_oldest_first(metadata: Metadata) -> None:
    metadata.collections.queue("first", "api", SLICES)
    metadata.collections.queue("second", "schedule", [OTHER], "run")
    id_ = metadata.collections.start("first", "api", SLICES[1], "run")
    metadata.collections.finish(id_, "unchanged")
    found = metadata.work_queue.open_collections()
    assert [(one.task_id, one.slice) for one in found] == [
        ("first", SLICES[0]),
        ("first", SLICES[2]),
        ("second", OTHER),
    ]
    assert [one.id for one in found] == sorted(one.id for one in found)


def test_closing_a_task_that_is_none_closes_nothing(metadata: Metadata) -> None:
    metadata.collections.queue("task", "cli", SLICES)
    assert metadata.collections.close("failed", "no such task", task_id="another") == 0
    assert all(record.is_open for record in metadata.collections.history())


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_are_the_whole_newest_first(metadata: Metadata, size: int) -> None:
    for task in ("one", "two", "three"):
        metadata.collections.queue(task, "schedule", SLICES)
    whole = [record.id for record in metadata.collections.history(first=100)]
    assert whole == sorted(whole, reverse=True)
    paged: list[int] = []
    while page := metadata.collections.history(first=size, before=paged[-1] if paged else None):
        assert len(page) <= size
        paged += [record.id for record in page]
    assert paged == whole


def test_each_filter(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    metadata.collections.queue("one", "api", SLICES)
    metadata.collections.queue("two", "cli", [OTHER])
    metadata.collections.start("one", "api", SLICES[1], "run")
    assert len(metadata.collections.history()) == 4
    assert {record.slice for record in metadata.collections.history(customer_id="zenith")} == {OTHER}
    assert {record.slice for record in metadata.collections.history(provider="aws")} == {OTHER}
    assert {record.slice for record in metadata.collections.history(account_id="acme.main")} == set(SLICES)
    assert {record.slice for record in metadata.collections.history(billing_period=PERIODS[0])} == {
        SLICES[0],
        OTHER,
    }
    assert {record.slice for record in metadata.collections.history(task_id="two")} == {OTHER}
    assert {record.slice for record in metadata.collections.history(status="running")} == {SLICES[1]}
    assert metadata.collections.history(customer_id="acme", provider="aws") == []
