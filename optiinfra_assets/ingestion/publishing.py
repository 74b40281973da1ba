"""Publish what several attempts have read, by statements that they share; each slice succeeds or fails alone.

Three statements publish whatever is held in memory: one inserts and derives it, one compares, one makes it visible.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from optiinfra_assets.database.errors import WarehouseUnavailable
from optiinfra_assets.domain.publications import Publication
from optiinfra_assets.ingestion.slice_attempt import SliceAttempt, SliceResult
from optiinfra_assets.warehouse.loading import insert_and_derive
from optiinfra_assets.warehouse.warehouse import Warehouse

Results = dict[SliceAttempt, SliceResult | Exception]


def publish(attempts: Sequence[SliceAttempt], warehouse: Warehouse, log: logging.Logger) -> Results:
    """Write the line items that are held, derive, verify and publish. An attempt whose line items are written already comes alone.

    If the statements that the slices share fail, each slice is written by statements of its own, so that one of them, which ClickHouse
    does not take, keeps no other from being published.

    Returns:
        The result of each attempt, or why it failed; then nothing of it is visible, unless its publication was sent and not answered.
    """
    try:
        failed = _write(attempts, warehouse)
    except Exception as error:  # noqa: BLE001 - it is told of the slices that it concerns
        if len(attempts) == 1 or isinstance(error, WarehouseUnavailable):
            return dict.fromkeys(attempts, error)
        log.warning("%s slices could not be written together: each is written alone", len(attempts))
        return {one: result for each in attempts for one, result in _alone(each, warehouse, log).items()}
    ready = [one for one in attempts if one not in failed and not _is_refused(one, failed)]
    return failed | _show(ready, warehouse)


def _write(attempts: Sequence[SliceAttempt], warehouse: Warehouse) -> Results:
    """Write and derive all rows; return the attempts of which the database does not hold what was read."""
    held = [one for one in attempts if not one.is_written]
    with _timed(held, "insert"):
        insert_and_derive(warehouse.client, [(one.slice, one.generation, one.items) for one in held])
    written = [one for one in attempts if one.is_written]
    if written:
        with _timed(written, "derive"):
            warehouse.derive({one.generation: one.slice for one in written})
    with _timed(attempts, "verify"):
        unequal = warehouse.unequal({one.generation: (one.slice, one.items.loaded) for one in attempts})
    return {one: unequal[one.generation] for one in attempts if one.generation in unequal}


def _alone(attempt: SliceAttempt, warehouse: Warehouse, log: logging.Logger) -> Results:
    try:
        attempt.begin_anew()
    except Exception as error:  # noqa: BLE001 - as above
        return {attempt: error}
    return publish([attempt], warehouse, log)


def _is_refused(attempt: SliceAttempt, failed: Results) -> bool:
    """Whether the slice must not be published any more; then this adds the reason to `failed`."""
    try:
        attempt.lock.check()
        attempt.check()
    except Exception as error:  # noqa: BLE001 - as above
        failed[attempt] = error
        return True
    return False


def _show(attempts: Sequence[SliceAttempt], warehouse: Warehouse) -> Results:
    """Make the generations visible and record the attempts as successful."""
    results: Results = {}
    if not attempts:
        return results
    try:
        with _timed(attempts, "publish"):
            before = {one.slice: one.before for one in attempts}
            published = warehouse.publish([one.publication() for one in attempts], before)
    except Exception as error:  # noqa: BLE001 - as above
        return dict.fromkeys(attempts, error)
    for one in attempts:
        stored = published[one.generation]
        try:
            results[one] = one.succeed(stored) if isinstance(stored, Publication) else stored
        except Exception as error:  # noqa: BLE001 - as above
            results[one] = error
    return results


@contextmanager
def _timed(attempts: Sequence[SliceAttempt], stage: str) -> Iterator[None]:
    with ExitStack() as stack:
        for one in attempts:
            stack.enter_context(one.timed(stage))
        yield
