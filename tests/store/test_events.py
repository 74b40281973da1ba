"""Events of collections: one for each change, in an order that no reader has to go back in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg

from optiinfra_assets.model import BillingPeriod, Slice
from optiinfra_assets.store.events import CollectionEvent
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.settings import Settings

SLICE = Slice("acme", "focus", "acme.main", BillingPeriod(2026, 10))
OTHER = Slice("zenith", "aws", "zenith.main", BillingPeriod(2026, 10))


def test_every_change_is_an_event_and_nothing_else_is(metadata: Metadata) -> None:
    begin = metadata.place_now()
    metadata.queue_collections("task", "api", [SLICE, OTHER])
    metadata.assign_run("task", [SLICE], "run")
    row = metadata.start_collection("task", "api", SLICE, "run")
    metadata.retry_collection(row, "no answer")
    metadata.start_collection("task", "api", SLICE, "run")
    metadata.finish_collection(row, "succeeded", generation=7, rows=3)
    events = metadata.collection_events("acme", begin)
    assert [(one.status, one.attempt) for one in events] == [
        ("queued", 1),
        ("running", 1),
        ("retrying", 1),
        ("running", 2),
        ("succeeded", 2),
    ]
    last = events[-1]
    assert (last.slice, last.task_id, last.generation, last.rows, last.run_id) == (SLICE, "task", 7, 3, "run")
    assert events[2].error == "no answer"
    assert [one.slice for one in metadata.collection_events("zenith", begin)] == [OTHER]
    assert metadata.collection_events("acme", last.place) == []
    assert metadata.collection_events("acme", metadata.place_now()) == []


def test_pages_follow_one_another_and_tasks_are_told_apart(metadata: Metadata) -> None:
    begin = metadata.place_now()
    for number in range(6):
        metadata.queue_collections(f"task-{number % 2}-{number}", "cli", [SLICE])
    found: list[CollectionEvent] = []
    place = begin
    while page := metadata.collection_events("acme", place, first=2):
        found += page
        place = page[-1].place
    assert [one.task_id for one in found] == [f"task-{number % 2}-{number}" for number in range(6)]
    assert [one.task_id for one in metadata.collection_events("acme", begin, task_id="task-1-3")] == [
        "task-1-3"
    ]


def test_what_a_slow_transaction_wrote_is_not_passed_by(metadata: Metadata, settings: Settings) -> None:
    """Numbers are drawn before a transaction ends: read by number alone, the slow one's event would be lost."""
    begin = metadata.place_now()
    insert = (
        "INSERT INTO optiinfra.collection_history (task_id, trigger, customer_id, provider, account_id, billing_period, status) "
        "VALUES ('slow', 'api', 'acme', 'focus', 'acme.main', '2026-10', 'queued')"
    )
    with psycopg.connect(str(settings.postgres_url)) as slow:
        slow.execute(insert)
        metadata.queue_collections("quick", "api", [SLICE])
        assert metadata.collection_events("acme", begin) == []
    assert [one.task_id for one in metadata.collection_events("acme", begin)] == ["slow", "quick"]


def test_readers_beside_many_writers_see_each_event_once(metadata: Metadata) -> None:
    begin = metadata.place_now()

    def write(number: int) -> None:
        for turn in range(8):
            metadata.queue_collections(f"task-{number}-{turn}", "api", [SLICE])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for one in writers:
        one.start()
    seen: list[str] = []
    place = begin
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while len(seen) < 48 and datetime.now(UTC) < deadline:
        for event in metadata.collection_events("acme", place, first=7):
            seen.append(event.task_id)
            place = event.place
    for one in writers:
        one.join()
    assert sorted(seen) == sorted(f"task-{number}-{turn}" for number in range(6) for turn in range(8))


def test_old_events_are_forgotten(metadata: Metadata) -> None:
    begin = metadata.place_now()
    metadata.queue_collections("task", "api", [SLICE])
    assert metadata.forget_events(datetime.now(UTC) - timedelta(days=1)) == 0
    assert metadata.forget_events(datetime.now(UTC) + timedelta(days=1)) == 1
    assert metadata.collection_events("acme", begin) == []
