"""What is due: probe accounts, store what they show, and name the slices to collect. No Dagster here.

A slice is due when its source shows another token than the last collection answered to. It is not asked for again while a task
has it open, while a permanent failure of the same token is younger than 6 hours, or before a throttling provider allows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from optiinfra_assets.model import Slice
from optiinfra_assets.noticing import Noticed, notice
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.scope import Scope, is_open, scopes
from optiinfra_assets.store.history import Trigger
from optiinfra_assets.store.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Request:
    """A run to ask Dagster for. Equal requests of one task have equal keys, so that a tick evaluated twice makes one run."""

    scope: Scope
    key: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick found: runs to ask for, those with the newest period first, and how the probes went."""

    requests: tuple[Request, ...]
    noticed: Noticed


def find_due(
    metadata: Metadata,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    task_id: str,
    trigger: Trigger,
    account_ids: Sequence[str] | None = None,
    max_runs: int,
    budget: float,
) -> Tick:
    """Probe accounts and queue what is due in the history.

    Args:
        metadata: where state is read and written.
        providers: those to probe, by name.
        now: UTC instant of the tick.
        task_id: under which the history shows what is queued.
        trigger: who asks.
        account_ids: only these; None: all.
        max_runs: ask for this many at most; the rest stays due.
        budget: seconds after which no probe begins.
    """
    noticed = notice(metadata, providers, now=now, account_ids=account_ids, budget=budget)
    due = metadata.slices_to_collect(list(providers), now, task_id, account_ids)
    due = {slice_: token for slice_, token in due.items() if is_open(slice_.billing_period, now)}
    wanted = scopes(due)[:max_runs]
    metadata.queue_collections(task_id, trigger, [slice_ for scope in wanted for slice_ in scope.slices])
    return Tick(tuple(_request(scope, due, task_id, trigger) for scope in wanted), noticed)


def _request(scope: Scope, due: Mapping[Slice, str], task_id: str, trigger: Trigger) -> Request:
    tokens = "".join(f"{due[slice_]}\n" for slice_ in scope.slices)
    key = f"{task_id}/{scope}/{hashlib.sha256(tokens.encode()).hexdigest()[:16]}"
    return Request(scope, key, scope.tags(task_id, trigger))
