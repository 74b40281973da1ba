"""What is not well although every part answers: failures, changes and tasks that do not move on, accounts nobody asks, full disks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optiinfra_assets.domain.freshness import is_ahead

if TYPE_CHECKING:
    from optiinfra_assets.domain.failures import Failure
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.accounts import AccountState
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.warehouse.warehouse import Warehouse

NOT_ASKED: Final = timedelta(hours=1)
"""An account that nobody tried to probe for this long was left out by four ticks: the schedule is stopped, or has too many accounts."""

STUCK: Final = timedelta(hours=2)
"""A collection that waits this long while no other one ends is not waiting for its turn."""

LONGEST_RUN: Final = timedelta(hours=6)
"""Dagster ends a run after this time, so a collection that runs longer has no run."""

DEAD: Final = timedelta(days=8)
"""A message of an alert is tried for a day; that it was given up is shown for a week, as nobody may want to send it any more."""

LEAST_FREE_SHARE: Final = 0.05
LEAST_FREE_BYTES: Final = 2 * 2**30
"""A disk is nearly full below 5 % and below 2 GiB: merges of ClickHouse and a backfill need as much for a while."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not well.

    Attributes:
        kind: ``failure``, ``stuck``, ``not_asked``, ``disk``, ``clock`` or ``alerts``.
        what: what is wrong, in one line.
        remedy: what to do, in one sentence.
        since: UTC instant, None if unknown.
    """

    kind: str
    what: str
    remedy: str
    since: datetime | None = None


def problems_of(
    settings: Settings, metadata: Metadata, warehouse: Warehouse, failures: Sequence[Failure], now: datetime
) -> list[Problem]:
    """Return everything that is not well at the UTC instant `now`, what stops most first."""
    return [
        *_full_disks(settings, warehouse),
        *_clock(metadata, now),
        *_not_asked(metadata, now),
        *_stuck(metadata, now),
        *map(_of_failure, failures),
        *_dead_messages(metadata, now),
    ]


def disk_problem(name: str, free: int, total: int) -> Problem | None:
    """Return what is wrong with a disk that has `free` of `total` bytes; None if it has enough."""
    if free >= LEAST_FREE_BYTES or free >= total * LEAST_FREE_SHARE:
        return None
    what = f"the disk of {name} is {'full' if free < total * 0.001 else 'nearly full'}: {_bytes(free)} of {_bytes(total)} are free"
    return Problem("disk", what, "Make room on it, or give it more: collections fail when it is full.")


def home_disk(settings: Settings) -> Problem | None:
    """Return what is wrong with the disk of the home, which needs no database to be seen."""
    home = settings.home if settings.home.is_dir() else Path.home()
    usage = shutil.disk_usage(home)
    return disk_problem(str(home), usage.free, usage.total)


def _full_disks(settings: Settings, warehouse: Warehouse) -> Iterator[Problem]:
    yield from filter(None, (home_disk(settings), *(disk_problem(*disk) for disk in warehouse.disks())))


def _clock(metadata: Metadata, now: datetime) -> Iterator[Problem]:
    newest = metadata.work_queue.newest_record()
    if newest is not None and is_ahead(newest, now):
        yield Problem(
            "clock",
            f"something was recorded at {newest:%Y-%m-%d %H:%M} UTC, which is yet to come: the clock was ahead then, or is behind now",
            "Set the clock of this machine if it is wrong now; nothing waits for that time, and this ends with the next tick.",
        )


def _not_asked(metadata: Metadata, now: datetime) -> Iterator[Problem]:
    waiting = sorted(
        (since, state.account.account_id)
        for state in metadata.accounts.states()
        if state.status == "active" and (since := _asked_at(state)) < now - NOT_ASKED
    )
    if waiting:
        since, account_id = waiting[0]
        more = f" and {len(waiting) - 1} more accounts" if len(waiting) > 1 else ""
        yield Problem(
            "not_asked",
            f"{account_id}{more}: nobody asked the source for a change",
            "If the platform was started just now, wait for the next quarter of an hour; else look at the schedule collect_due in Dagster.",
            since,
        )


def _asked_at(state: AccountState) -> datetime:
    """When an account was probed last, or connected; or may be probed again, where its provider throttles."""
    asked = state.probe_tried_at or state.created_at
    return max(asked, state.probe_not_before or asked)


def _stuck(metadata: Metadata, now: datetime) -> Iterator[Problem]:
    for one in metadata.work_queue.stuck_collections(now - STUCK, now - LONGEST_RUN):
        yield Problem(
            "stuck",
            f"{one.slice}: {one.status}, and does not move on (task {one.task_id})",
            "Look at its run in Dagster; cancel the task and collect again.",
            one.started_at or one.queued_at,
        )


def _dead_messages(metadata: Metadata, now: datetime) -> Iterator[Problem]:
    for one in metadata.alert_outbox.dead(now - DEAD):
        count = f"{one.messages} messages were" if one.messages > 1 else "1 message was"
        yield Problem(
            "alerts",
            f"{one.customer_id}: {count} not received by the channel {one.name} and given up: {one.error or 'no error is known'}",
            f"Try it: optiinfra alerts test --customer {one.customer_id} {one.channel_id}; "
            f"then: optiinfra alerts deliveries --customer {one.customer_id} --state dead, and alerts resend.",
            one.since,
        )


def _of_failure(failure: Failure) -> Problem:
    where = f"{failure.account_id}{f' {failure.billing_period}' if failure.billing_period else ''}"
    return Problem("failure", f"{where}: {failure.message}", failure.remedy, failure.since)


def _bytes(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"
