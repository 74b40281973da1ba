"""Trigger a collection for the API or the command line: queue it in the history, have Dagster launch it, return its task id; cancel it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from optiinfra_assets.database.errors import (
    DagsterUnavailable,
    NothingDue,
    NothingToCollect,
    RunTerminationFailed,
)
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import FIRST_PERIOD, TASK_TAG, RunScope, is_open, run_scopes
from optiinfra_assets.ingestion.dagster_client import DagsterClient
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionTask
from optiinfra_assets.metadata.slices import GONE
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.settings import Settings

LAUNCHED_AT_ONCE: Final = 10
"""Each launch takes the webserver a few tenths of a second, so the sensor `follow_runs` launches the rest within 90 seconds. The sensor
does not know `accept_empty`: runs with it, which concern a single account, are all launched here."""

_NAMED = 20
"""Account names shown in an error that lists the active accounts."""


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
    clock: Clock = utc_now,
) -> CollectionTask:
    """Request the collection of matching slices now; return as soon as they are queued. Unchanged slices publish nothing.

    Args:
        settings: has the URL of Dagster's webserver.
        metadata: holds the collection history.
        customer_id: only this customer's accounts; None: all.
        provider: only accounts at this provider; None: all.
        account_id: only this account; None: all.
        billing_period: this period, changed or not. None: the due ones, the current one and the one before, which may have changed
            since the last probe. For other periods the source would return the same data again, at some providers for a price, or
            fewer data if it no longer keeps all of them. None with `accept_empty`: every period that a probe has seen.
        trigger: who requests it.
        accept_empty: a person confirms that an empty source means no line items.
        clock: says which billing period is the current one.

    Raises:
        NothingToCollect: no active account matches.
        NothingDue: there is nothing to collect.
        ValueError: the billing period cannot be collected.
        DagsterUnavailable: the webserver does not answer, or stops answering halfway. Then the queued rows end as failed, and runs that
            Dagster already took skip their slices.
    """
    now = clock()
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
    wanted = run_scopes(slices)
    task = CollectionTask(
        f"{trigger}-{uuid.uuid4().hex[:12]}", tuple(slice_ for scope in wanted for slice_ in scope.slices)
    )
    with DagsterClient(settings) as dagster:
        repositories = {name: dagster.repository(name) for name in sorted({scope.provider for scope in wanted})}
        metadata.collections.queue(task.task_id, trigger, task.slices)
        tagged = [
            (scope, scope.tags(task.task_id, trigger, accept_empty=accept_empty))
            for scope in (wanted if accept_empty else wanted[:LAUNCHED_AT_ONCE])
        ]
        try:
            _launch(dagster, metadata, repositories, tagged)
        except DagsterUnavailable:
            # Dagster may have taken some or all of the runs: a run that finds its row ended skips the slice.
            metadata.collections.close("failed", "Dagster did not take it: ask for it again", task_id=task.task_id)
            raise
    return task


def _launch(
    dagster: DagsterClient,
    metadata: Metadata,
    repositories: Mapping[str, Mapping[str, str]],
    tagged: Sequence[tuple[RunScope, Mapping[str, str]]],
) -> None:
    """Launch one run for each scope with its tags, provider by provider, and store which run collects which slices."""
    for name, repository in repositories.items():
        runs = [(scope, tags) for scope, tags in tagged if scope.provider == name]
        for account in sorted({scope.account_id for scope, _ in runs}):
            dagster.add_partition(repository, f"{name}_accounts", account)
        run_ids = dagster.launch(repository, runs)
        for (scope, tags), run_id in zip(runs, run_ids, strict=True):
            metadata.collections.assign_run(tags[TASK_TAG], scope.slices, run_id)


def cancel_task(settings: Settings, metadata: Metadata, task_id: str, customer_id: str | None = None) -> int:
    """Terminate the runs of a task; what they have published stays. Return how many slices will not be collected.

    `customer_id` limits this to the slices of one customer; a task of the schedule concerns many customers.

    Raises:
        RecordNotFound: there is no such task.
        DagsterUnavailable: the webserver does not answer; then nothing is canceled.
        RunTerminationFailed: Dagster could not terminate a run. The slices are canceled all the same: the run skips each slice that it
            has not published yet.
    """
    metadata.collections.task_status(task_id, customer_id)
    going_on: RunTerminationFailed | None = None
    with DagsterClient(settings) as dagster:
        try:
            dagster.end_runs_of(task_id, customer_id)
        except RunTerminationFailed as error:
            going_on = error
    canceled = metadata.collections.close("canceled", "canceled on request", task_id=task_id, customer_id=customer_id)
    if going_on:
        raise going_on
    return canceled


def _accounts(
    metadata: Metadata, customer_id: str | None, provider: str | None, account_id: str | None
) -> list[Account]:
    found = metadata.accounts.find(customer_id=customer_id, provider=provider, account_id=account_id)
    if found:
        return found
    every = metadata.accounts.find()
    asked = {"customer": customer_id, "provider": provider, "account": account_id}
    given = ", ".join(f"{name} {value!r}" for name, value in asked.items() if value is not None)
    raise NothingToCollect(f"no active account{f' of {given}' if given else ''}: {_existing(every, customer_id)}")


def _existing(accounts: Sequence[Account], customer_id: str | None) -> str:
    """Describe the active accounts. With `customer_id`, list only that customer's: a customer must not learn of another one."""
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
    for state in metadata.slices.states():
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
