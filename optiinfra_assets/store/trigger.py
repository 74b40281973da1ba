"""A person, the API or the command line asks for a collection: queued in the history, launched by Dagster, followed by its task id."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from optiinfra_assets.model import Account, BillingPeriod, Slice
from optiinfra_assets.scope import FIRST_PERIOD, TASK_TAG, Scope, is_open, scopes
from optiinfra_assets.store.dagster_client import DagsterClient, DagsterUnavailable, RunsGoOn
from optiinfra_assets.store.errors import NotFound
from optiinfra_assets.store.history import CollectionRecord
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.settings import Settings
from optiinfra_assets.store.slices import GONE

LAUNCHED_AT_ONCE: Final = 10
"""Each launch takes the webserver a few tenths of a second; the rest is launched by the sensor `follow_runs` within 90 seconds,
which does not know of a confirmation: collections with one, of a single account, are all launched here."""

_NAMED = 20
"""Names in an error that says what exists."""

_KEPT = 10_000
"""Slices of one task that are looked at."""

State = Literal["queued", "running", "retrying", "succeeded", "failed", "canceled"]


class NothingToCollect(NotFound, ValueError):
    """No account matches what was asked for; the message names what exists."""


class NothingDue(NothingToCollect):
    """Everything is collected as its source last showed it, and no month of it may have moved since."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one trigger asked for; newest billing periods first."""

    task_id: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How a task stands.

    Attributes:
        state: ``failed`` if any slice failed and none is left to do; ``succeeded`` also if nothing had changed.
        slices: one row each, in the order they were queued.
        done: slices that have ended.
        error: the first error of a slice, None if there is none.
    """

    task_id: str
    state: State
    slices: tuple[CollectionRecord, ...]
    done: int
    error: str | None


def trigger_collection(
    settings: Settings,
    metadata: Metadata,
    *,
    customer_id: str | None = None,
    provider: str | None = None,
    account_id: str | None = None,
    billing_period: BillingPeriod | None = None,
    trigger: Literal["api", "cli"],
    accept_empty: bool = False,
) -> Task:
    """Have matching slices collected now; returns as soon as they are queued. What did not change publishes nothing.

    Args:
        settings: where Dagster's webserver is.
        metadata: where the history is.
        customer_id: only this customer's accounts; None: all.
        provider: only accounts at this provider; None: all.
        account_id: only this account; None: all.
        billing_period: this one, changed or not; None: what is due, and the current one and the one before, which may have changed
            since the last probe. Others could only say again what was collected, at some providers for a price, or less than that
            where the source has begun to forget. With `accept_empty` every one that the source was seen to have.
        trigger: who asks.
        accept_empty: a person confirms that a source with nothing in it means no line items.

    Raises:
        NothingToCollect: no active account matches.
        NothingDue: there is nothing to collect.
        ValueError: the billing period cannot be collected.
        DagsterUnavailable: the webserver does not answer, or not to the end; then nothing is queued, and runs that it took do nothing.
    """
    now = datetime.now(UTC)
    if billing_period is not None and not is_open(billing_period, now):
        raise ValueError(
            f"billing period: {billing_period} is not accepted: use {FIRST_PERIOD} to {BillingPeriod.of(now)}"
        )
    accounts = _accounts(metadata, customer_id, provider, account_id)
    slices = _slices(metadata, accounts, billing_period, now, every=accept_empty)
    if not slices:
        raise NothingDue(
            "nothing is due, and no source has the current billing period or the one before: "
            "name a billing period to have it collected anew"
        )
    wanted = scopes(slices)
    task = Task(
        f"{trigger}-{uuid.uuid4().hex[:12]}", tuple(slice_ for scope in wanted for slice_ in scope.slices)
    )
    with DagsterClient(settings.dagster_url) as dagster:
        repositories = {
            name: dagster.repository(name) for name in sorted({scope.provider for scope in wanted})
        }
        metadata.queue_collections(task.task_id, trigger, task.slices)
        tagged = [
            (scope, scope.tags(task.task_id, trigger, accept_empty=accept_empty))
            for scope in (wanted if accept_empty else wanted[:LAUNCHED_AT_ONCE])
        ]
        try:
            _launch(dagster, metadata, repositories, tagged)
        except DagsterUnavailable:
            # It may have taken some of the runs, or all: a run that finds its row ended leaves it alone.
            metadata.close_collections(
                "failed", "Dagster did not take it: ask for it again", task_id=task.task_id
            )
            raise
    return task


def _launch(
    dagster: DagsterClient,
    metadata: Metadata,
    repositories: Mapping[str, Mapping[str, str]],
    tagged: Sequence[tuple[Scope, Mapping[str, str]]],
) -> None:
    """Launch runs of scopes with their tags, provider by provider, and store which run has which slices."""
    for name, repository in repositories.items():
        runs = [(scope, tags) for scope, tags in tagged if scope.provider == name]
        for account in sorted({scope.account_id for scope, _ in runs}):
            dagster.add_partition(repository, f"{name}_accounts", account)
        run_ids = dagster.launch(repository, runs)
        for (scope, tags), run_id in zip(runs, run_ids, strict=True):
            metadata.assign_run(tags[TASK_TAG], scope.slices, run_id)


def task_status(metadata: Metadata, task_id: str, customer_id: str | None = None) -> TaskStatus:
    """How a task stands; `customer_id`: as far as it concerns that customer.

    Raises:
        NotFound: there is no such task, or nothing of it concerns the customer.
    """
    rows = metadata.history(task_id=task_id, customer_id=customer_id, first=_KEPT)[::-1]
    if not rows:
        raise NotFound(f"task: {task_id!r} does not exist")
    return TaskStatus(
        task_id=task_id,
        state=_state(rows),
        slices=tuple(rows),
        done=sum(not row.is_open for row in rows),
        error=next((row.error for row in rows if row.error), None),
    )


def cancel_task(settings: Settings, metadata: Metadata, task_id: str, customer_id: str | None = None) -> int:
    """End the runs of a task; what they have published stays. Returns how many slices will not be collected.

    `customer_id`: only as far as it concerns that customer; a task of the schedule concerns many.

    Raises:
        NotFound: there is no such task.
        DagsterUnavailable: the webserver does not answer; then nothing is canceled.
        RunsGoOn: it could not end a run. The slices are canceled all the same: the run leaves each alone that it has not published.
    """
    task_status(metadata, task_id, customer_id)
    going_on: RunsGoOn | None = None
    with DagsterClient(settings.dagster_url) as dagster:
        try:
            dagster.end_runs_of(task_id, customer_id)
        except RunsGoOn as error:
            going_on = error
    canceled = metadata.close_collections(
        "canceled", "canceled on request", task_id=task_id, customer_id=customer_id
    )
    if going_on:
        raise going_on
    return canceled


def _accounts(
    metadata: Metadata, customer_id: str | None, provider: str | None, account_id: str | None
) -> list[Account]:
    found = metadata.accounts(customer_id=customer_id, provider=provider, account_id=account_id)
    if found:
        return found
    every = metadata.accounts()
    asked = {"customer": customer_id, "provider": provider, "account": account_id}
    given = ", ".join(f"{name} {value!r}" for name, value in asked.items() if value is not None)
    raise NothingToCollect(
        f"no active account{f' of {given}' if given else ''}: {_existing(every, customer_id)}"
    )


def _existing(accounts: Sequence[Account], customer_id: str | None) -> str:
    """What could be asked for. With a customer given, no other customer's names: one must not learn of another."""
    if customer_id is not None:
        accounts = [one for one in accounts if one.customer_id == customer_id]
    if not accounts:
        return "none is connected: use `optiinfra connect`"
    names = [f"{one.account_id} ({one.provider})" for one in accounts[:_NAMED]]
    more = f" and {len(accounts) - _NAMED} more" if len(accounts) > _NAMED else ""
    return f"active are {', '.join(names)}{more}"


def _slices(
    metadata: Metadata,
    accounts: Iterable[Account],
    billing_period: BillingPeriod | None,
    now: datetime,
    *,
    every: bool,
) -> list[Slice]:
    if billing_period is not None:
        return [Slice.of(account, billing_period) for account in accounts]
    recent = [BillingPeriod.of(now).shift(back) for back in (0, -1)]
    chosen: dict[str, list[Slice]] = {}
    for state in metadata.slice_states():
        of_account = chosen.setdefault(state.slice.account_id, [])
        period, is_gone = state.slice.billing_period, state.seen_token == state.collected_token == GONE
        may_differ = state.is_due or ((every or period in recent) and not is_gone)
        if is_open(period, now) and may_differ:
            of_account.append(state.slice)
    return [
        slice_
        for account in accounts
        for slice_ in chosen.get(account.account_id, [Slice.of(account, period) for period in recent])
    ]


def _state(rows: Sequence[CollectionRecord]) -> State:
    states = {row.status for row in rows}
    if "running" in states or ("queued" in states and len(states) > 1):
        return "running"
    order: tuple[State, ...] = ("retrying", "queued", "failed", "canceled")
    return next((state for state in order if state in states), "succeeded")
