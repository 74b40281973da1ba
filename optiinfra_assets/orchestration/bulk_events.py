"""Record the events of many slices together: alone, each takes Dagster several statements, all of them more than collecting the slice."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata

from optiinfra_assets.orchestration.materializations import AssetEvent

SLICES_AT_ONCE: Final = 50
"""Most slices whose events are recorded together. If the process is killed before that, Dagster does not know of them; we do."""

SECONDS: Final = 5.0
"""Events wait no longer than this for others once another slice is collected: large slices take minutes, and people watch them."""


class Waiting:
    """The events of the slices of a run that are not recorded yet; `together`: they may wait for those of other slices."""

    def __init__(self, context: dg.AssetExecutionContext, *, together: bool) -> None:
        self._context = context
        self._together = together
        self._events: list[AssetEvent] = []
        self._slices = 0
        self._since = time.monotonic()

    def add(self, events: Iterable[AssetEvent]) -> Iterator[AssetEvent]:
        """Add the events of a slice; yield those for Dagster to store now."""
        if not self._together:
            yield from events
            return
        self._events += events
        self._slices += 1
        if self._slices == SLICES_AT_ONCE or time.monotonic() - self._since > SECONDS:
            yield from self.record()

    def record(self) -> Iterator[AssetEvent]:
        """Record everything that waits."""
        yield from record(self._context, self._events)
        self._events, self._slices, self._since = [], 0, time.monotonic()


def record(context: dg.AssetExecutionContext, events: Iterable[AssetEvent]) -> Iterator[dg.AssetCheckEvaluation]:
    """Store the materializations of many partitions, each with its partition, and yield the check evaluations for Dagster to store.

    Dagster stores a batch by one statement where ``DAGSTER_EVENT_BATCH_SIZE`` is set, otherwise its events one after another.

    A check that passed for several partitions is one evaluation, which says of how many; one that did not pass is one for each partition,
    and comes last, so that it is what Dagster shows of the check.
    """
    made = defaultdict[dg.AssetKey, list[dg.AssetMaterialization]](list)
    passed = defaultdict[tuple[dg.AssetKey, str], list[dg.AssetCheckEvaluation]](list)
    failed = []
    for event in events:
        if isinstance(event, dg.AssetMaterialization):
            made[event.asset_key].append(event)
        elif event.passed:
            passed[event.asset_key, str(event.check_name)].append(event)
        else:
            failed.append(event)
    step = context.get_step_execution_context()
    for materializations in made.values():
        batch = uuid.uuid4().hex
        for number, one in enumerate(materializations, 1):
            DagsterEvent.asset_materialization(
                step, one, DagsterEventBatchMetadata(batch, number == len(materializations))
            )
    yield from map(_together, passed.values())
    yield from failed


def _together(evaluations: list[dg.AssetCheckEvaluation]) -> dg.AssetCheckEvaluation:
    first = evaluations[0]
    if len(evaluations) == 1:
        return first
    return dg.AssetCheckEvaluation(
        asset_key=first.asset_key,
        check_name=first.check_name,
        passed=True,
        description=f"passed for each of {len(evaluations)} slices",
        metadata={"partitions": [str(one.partition) for one in evaluations]},
    )
