"""Events of collections: one for each change, in an order that no reader has to go back in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg
from loopback import eventually

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.events import CollectionEvent
from optiinfra_assets.settings import Settings

SLICE = Slice("acme", "focus", "acme.main", BillingPeriod(2026, 10))
OTHER = Slice("zenith", "aws", "zenith.main", BillingPeriod(2026, 10))


def test_every_change_is_an_event_and_nothing_else_is(metadata: Metadata) -> None:
    begin = metadata.events.position_now()
    metadata.collections.queue("task", "api", [SLICE, OTHER])
    metadata.collections.assign_run("task", [SLICE], "run")
    row = metadata.collections.start("task", "api", SLICE, "run")
    metadata.collections.retry(row, "no answer")
    metadata.collections.start("task", "api", SLICE, "run")
    metadata.collections.finish(row, "succeeded", generation=7, rows=3)
    events = metadata.events.after("acme", begin)
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
    assert [one.slice for one in metadata.events.after("zenith", begin)] == [OTHER]
    assert metadata.events.after("acme", last.place) == []
    assert metadata.events.after("acme", metadata.events.position_now()) == []


def test_pages_follow_one_another_and_tasks_are_told_apart(metadata: Metadata) -> None:
    begin = metadata.events.position_now()
    for number in range(6):
        metadata.collections.queue(f"task-{number % 2}-{number}", "cli", [SLICE])
    found: list[CollectionEvent] = []
    place = begin
    while page := metadata.events.after("acme", place, first=2):
        found += page
        place = page[-1].place
    assert [one.task_id for one in found] == [f"task-{number % 2}-{number}" for number in range(6)]
    assert [one.task_id for one in metadata.events.after("acme", begin, task_id="task-1-3")] == ["task-1-3"]


def test_what_a_slow_transaction_wrote_is_not_passed_by(metadata: Metadata, settings: Settings) -> None:
    """Numbers are drawn before a transaction ends: read by number alone, the slow one's event would be lost."""
    begin = metadata.events.position_now()
    insert = (
        "INSERT INTO optiinfra.collection_history (task_id, trigger, customer_id, provider, account_id, billing_period, status) "
        "VALUES ('slow', 'api', 'acme', 'focus', 'acme.main', '2026-10', 'queued')"
    )
    with psycopg.connect(str(settings.postgres_url)) as slow:
        slow.execute(insert)
        metadata.collections.queue("quick", "api", [SLICE])
        assert metadata.events.after("acme", begin) == []
    assert [one.task_id for one in metadata.events.after("acme", begin)] == ["slow", "quick"]


def test_readers_beside_many_writers_see_each_event_once(metadata: Metadata) -> None:
    begin = metadata.events.position_now()

    def write(number: int) -> None:
        for turn in range(8):
            metadata.collections.queue(f"task-{number}-{turn}", "api", [SLICE])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for one in writers:
        one.start()
    seen: list[str] = []
    place = begin

    def read_all() -> bool:
        nonlocal place
        for event in metadata.events.after("acme", place, first=7):
            seen.append(event.task_id)
            place = event.place
        return len(seen) >= 48

    assert eventually(read_all, pause=0), seen
    for one in writers:
        one.join()
    assert sorted(seen) == sorted(f"task-{number}-{turn}" for number in range(6) for turn in range(8))


def test_old_events_are_forgotten(metadata: Metadata) -> None:
    begin = metadata.events.position_now()
    metadata.collections.queue("task", "api", [SLICE])
    assert metadata.events.forget(datetime.now(UTC) - timedelta(days=1)) == 0
    assert metadata.events.forget(datetime.now(UTC) + timedelta(days=1)) == 1
    assert metadata.events.after("acme", begin) == []
