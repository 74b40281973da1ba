"""Probe accounts, store the change tokens they return, and find the slices that are due.

A slice is due when the last probe returned another change token than the last collection recorded. It is not requested again while a
task has it open, before the wait after a failure at the same token is over, or before a throttling provider allows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.domain.run_scope import (
    FIRST_PERIOD,
    CollectionRunRequest,
    RunScope,
    in_turns,
    is_open,
    run_scopes,
    slices_of,
    together,
)
from optiinfra_assets.ingestion.account_access import probe_arguments
from optiinfra_assets.ingestion.probe_pool import ProbeResult, probe_all
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import Trigger
from optiinfra_assets.metadata.slices import GONE
from optiinfra_assets.metadata.work_queue import DueSlice
from optiinfra_assets.providers.base import Provider

Tokens = dict[BillingPeriod, str]


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """How many accounts answered, how many failed, and how many were not reached in time; the next tick begins with the latter."""

    answered: int
    failed: int
    unreached: int

    def __str__(self) -> str:
        parts = [f"{self.answered} accounts checked"]
        parts += [f"{self.failed} could not be checked"] if self.failed else []
        parts += [f"{self.unreached} left for the next tick"] if self.unreached else []
        return ", ".join(parts)


def record_probes(
    metadata: Metadata,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    account_ids: Sequence[str] | None,
    budget: float,
) -> ProbeSummary:
    """Probe accounts of `providers` (`account_ids`, None: all), least recently tried first, for `budget` seconds; store the results."""
    accounts = metadata.work_queue.accounts_to_probe(list(providers), now, account_ids)
    seen, collected = _known_tokens(metadata)
    opened = partial(probe_arguments, metadata, providers)
    answers = list(probe_all(accounts, providers, collected, opened, budget=budget))
    shown: dict[str, Tokens] = {}
    for answer in answers:
        if answer.probe is not None:
            account = answer.account
            reach = providers[account.provider].capabilities.history_months
            shown[account.account_id] = _beyond(seen.get(account.account_id, {}), reach, now) | dict(
                answer.probe.tokens
            )
    _store_tokens(metadata, shown, seen, now)
    _store_errors(metadata, answers, now)
    metadata.work_queue.record_probe_tries([answer.account.account_id for answer in answers], now)
    metadata.activity.record_requests(
        "probe", {one.account.account_id: (one.requests, one.cost) for one in answers if one.requests}, now
    )
    return ProbeSummary(len(shown), len(answers) - len(shown), len(accounts) - len(answers))


def _store_tokens(metadata: Metadata, shown: Mapping[str, Tokens], seen: Mapping[str, Tokens], now: datetime) -> None:
    # In bulk: with 10,000 accounts, one statement per account would take longer than their probes.
    usable = {
        account_id: {one: token for one, token in tokens.items() if is_open(one, now)}
        for account_id, tokens in shown.items()
    }
    changed = {account_id: tokens for account_id, tokens in usable.items() if tokens != seen.get(account_id, {})}
    metadata.work_queue.record_probes(changed, now)
    metadata.work_queue.record_unchanged_probes(list(usable.keys() - changed.keys()), now)
    strange = {account_id: tokens.keys() - usable[account_id].keys() for account_id, tokens in shown.items()}
    metadata.work_queue.record_probe_errors(
        {account_id: (_strange(periods), Fault.SOURCE) for account_id, periods in strange.items() if periods}, now
    )


def _store_errors(metadata: Metadata, answers: Iterable[ProbeResult], now: datetime) -> None:
    errors = {one.account.account_id: (one.error, one.fault) for one in answers if one.error is not None}
    metadata.work_queue.record_probe_errors(errors, now)
    for answer in answers:
        if answer.until is not None:
            metadata.work_queue.postpone_probes(answer.account.account_id, answer.until)


def _known_tokens(metadata: Metadata) -> tuple[dict[str, Tokens], dict[str, Tokens]]:
    """Return two maps by account id: the tokens last seen, without periods that are gone, and the tokens last collected."""
    seen: dict[str, Tokens] = {}
    collected: dict[str, Tokens] = {}
    for state in metadata.slices.states():
        if state.seen_token not in (None, GONE):
            seen.setdefault(state.slice.account_id, {})[state.slice.billing_period] = state.seen_token
        if state.collected_token is not None:
            collected.setdefault(state.slice.account_id, {})[state.slice.billing_period] = state.collected_token
    return seen, collected


def _beyond(seen: Tokens, history_months: int | None, now: datetime) -> Tokens:
    """Return the tokens of periods older than the history of the source. It no longer names them, but they do not count as gone."""
    if history_months is None:
        return {}
    oldest = BillingPeriod.of(now).shift(1 - history_months)
    return {period: token for period, token in seen.items() if period < oldest}


def _strange(periods: Iterable[BillingPeriod]) -> str:
    return (
        f"not collected: billing periods {', '.join(map(str, sorted(periods)))}: accepted are those from {FIRST_PERIOD} to the "
        "current month; later ones are collected once they have begun"
    )


@dataclass(frozen=True, slots=True)
class DueCollections:
    """The result of one tick: runs to request, where customers take turns, newest periods first, and a summary of the probes."""

    requests: tuple[CollectionRunRequest, ...]
    noticed: ProbeSummary


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
) -> DueCollections:
    """Probe accounts and queue the due slices in the collection history.

    Args:
        metadata: holds the state that this reads and writes.
        providers: by name; their accounts are probed.
        now: UTC instant of the tick.
        task_id: the task under which the history shows the queued slices.
        trigger: who requests the collection.
        account_ids: only these; None: all.
        max_runs: request at most this many runs; the rest stays due.
        budget: seconds after which no probe begins.
    """
    noticed = record_probes(metadata, providers, now=now, account_ids=account_ids, budget=budget)
    found = metadata.work_queue.slices_to_collect(list(providers), now, task_id, account_ids)
    due = {slice_: one for slice_, one in found.items() if is_open(slice_.billing_period, now)}
    ranked = in_turns(run_scopes(due))
    wanted = together(ranked, {slice_: one.line_items for slice_, one in due.items()})[:max_runs]
    requests = tuple(_request(scopes, rank, due, task_id, trigger) for scopes, rank in wanted)
    metadata.collections.queue(task_id, trigger, [slice_ for one in requests for slice_ in one.slices])
    return DueCollections(requests, noticed)


def _request(
    scopes: tuple[RunScope, ...], rank: int, due: Mapping[Slice, DueSlice], task_id: str, trigger: Trigger
) -> CollectionRunRequest:
    tokens = "".join(f"{slice_}\n{due[slice_].seen_token}\n" for slice_ in slices_of(scopes))
    digest = hashlib.sha256(tokens.encode()).hexdigest()[:16]
    what = str(scopes[0]) if len(scopes) == 1 else f"{scopes[0].provider}/{len(scopes)} accounts"
    return CollectionRunRequest.of(scopes, f"{task_id}/{what}/{digest}", task_id, trigger, rank=rank)
