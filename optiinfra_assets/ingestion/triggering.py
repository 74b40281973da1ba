"""Trigger a collection for the API or the command line: queue it in the history, have Dagster launch it, return its task id; cancel it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Literal

from optiinfra_assets.database.errors import (
    DagsterUnavailable,
    NothingDue,
    NothingToCollect,
    PeriodNotThere,
    RunTerminationFailed,
    TooManyOpenRequests,
)
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import (
    FIRST_PERIOD,
    PARTITION_TAG,
    TASK_TAG,
    CollectionRunRequest,
    in_turns,
    is_open,
    partitions_name,
    run_scopes,
    slices_of,
    together,
)
from optiinfra_assets.ingestion.change_detection import record_probes
from optiinfra_assets.ingestion.dagster_client import DagsterClient
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionTask
from optiinfra_assets.metadata.slices import GONE, SliceState
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.settings import Settings

LAUNCHED_AT_ONCE: Final = 10
"""Each launch takes the webserver a few tenths of a second, so the sensor `follow_runs` launches the rest within 90 seconds."""

PROBE_SECONDS: Final = 10.0
"""No probe begins later than this: somebody waits. Accounts that were not reached are collected by what was last seen of them."""

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
    providers: Mapping[str, Provider] = PROVIDERS,
) -> CollectionTask:
    """Request the collection of matching slices now; return as soon as they are queued. Unchanged slices publish nothing.

    The sources are probed first. If the same is requested already and would read the same, that task is returned.

    Args:
        settings: has the URL of Dagster's webserver, and how many requests a customer may have open.
        metadata: holds the collection history.
        customer_id: only this customer's accounts; None: all.
        provider: only accounts at this provider; None: all.
        account_id: only this account; None: all.
        billing_period: this period, changed or not. None: the due ones, the current one and the one before, which may have changed
            although their change token has not. For other periods the source would return the same data again, at some providers for a
            price, or fewer data if it no longer keeps all of them. None with `accept_empty`: every period that a probe has seen.
        trigger: who requests it.
        accept_empty: a person confirms that an empty source means no line items.
        clock: says which billing period is the current one.
        providers: by name; they are probed.

    Raises:
        NothingToCollect: no active account matches.
        NothingDue: there is nothing to collect.
        PeriodNotThere: no source has the billing period.
        ValueError: the billing period cannot be collected.
        TooManyOpenRequests: the customer has as many open requests as it may.
        DagsterUnavailable: the webserver does not answer. Nothing is queued then. If it stops answering later, nothing is raised: the
            sensor `follow_runs` launches the runs that are missing.
    """
    now = clock()
    if billing_period is not None and not is_open(billing_period, now):
        raise ValueError(
            f"billing period: {billing_period} is not accepted: use {FIRST_PERIOD} to {BillingPeriod.of(now)}"
        )
    accounts = _accounts(metadata, customer_id, provider, account_id)
    asked = [account.account_id for account in accounts if account.provider in providers]
    record_probes(metadata, providers, now=now, account_ids=asked, budget=PROBE_SECONDS)
    states = metadata.slices.states(customer_id=customer_id, provider=provider, account_id=account_id)
    if billing_period is not None and not accept_empty:
        accounts = _having(states, accounts, billing_period, providers, now)
    slices = _slices(states, accounts, billing_period, now, every=accept_empty)
    if not slices:
        raise NothingDue(
            "nothing is due, and no source has the current billing period or the one before: "
            "name a billing period to have it collected anew"
        )
    wanted = together(in_turns(run_scopes(slices)), {state.slice: state.line_items for state in states})
    queued = tuple(slice_ for scopes, _ in wanted for slice_ in slices_of(scopes))
    with DagsterClient(settings) as dagster:
        repositories = {name: dagster.repository(name) for name in sorted({one.provider for one in slices})}
        task, before = _queued(settings, metadata, customer_id, queued, trigger, accept_empty)
        if before is not None:
            requests = [
                CollectionRunRequest.of(
                    scopes, task.task_id, task.task_id, trigger, accept_empty=accept_empty, rank=before + rank
                )
                for scopes, rank in wanted[:LAUNCHED_AT_ONCE]
            ]
            with suppress(DagsterUnavailable):
                _launch(dagster, metadata, repositories, requests)
    return task


def _queued(
    settings: Settings,
    metadata: Metadata,
    customer_id: str | None,
    slices: tuple[Slice, ...],
    trigger: Literal["api", "cli"],
    accept_empty: bool,
) -> tuple[CollectionTask, int | None]:
    """Queue a task and return it with the number of open requests before it; or return the open task that collects all of it, and None.

    Raises:
        TooManyOpenRequests: the customer has as many open requests as it may.
    """
    with metadata.collections.requesting(customer_id) as requests:
        covered: dict[str, set[Slice]] = {}
        for one in requests:
            if one.is_current and one.accept_empty == accept_empty:
                covered.setdefault(one.task_id, set()).add(one.slice)
        for task_id, has in covered.items():
            if has.issuperset(slices):
                return CollectionTask(task_id, slices), None
        before = len({one.task_id for one in requests})
        if customer_id is not None and before >= settings.max_customer_requests:
            raise TooManyOpenRequests(
                f"customer {customer_id!r} has {before} requests for collections open: wait for them, or cancel some; at most "
                f"{settings.max_customer_requests} are accepted (OPTIINFRA_MAX_CUSTOMER_REQUESTS)"
            )
        task = CollectionTask(f"{trigger}-{uuid.uuid4().hex[:12]}", slices)
        metadata.collections.queue(task.task_id, trigger, slices, accept_empty=accept_empty)
    return task, before


def _having(
    states: Iterable[SliceState],
    accounts: Sequence[Account],
    period: BillingPeriod,
    providers: Mapping[str, Provider],
    now: datetime,
) -> list[Account]:
    """Return the accounts whose source has, had or may have a billing period: before the history that a probe shows, nobody knows.

    Raises:
        PeriodNotThere: none has it; the message names those that they have.
    """
    seen: dict[str, set[BillingPeriod]] = {}
    for state in states:
        if state.seen_token is not None:
            seen.setdefault(state.slice.account_id, set()).add(state.slice.billing_period)

    def may_have(account: Account) -> bool:
        periods = seen.get(account.account_id)
        reach = providers[account.provider].capabilities.history_months if account.provider in providers else None
        is_beyond = reach is not None and period < BillingPeriod.of(now).shift(1 - reach)
        return periods is None or period in periods or is_beyond

    found = [account for account in accounts if may_have(account)]
    if not found:
        has = sorted(set().union(*seen.values()))
        who = accounts[0].account_id if len(accounts) == 1 else f"any of the {len(accounts)} accounts"
        raise PeriodNotThere(f"billing period: the source of {who} has no {period}: it has {has[0]} to {has[-1]}")
    return found


def _launch(
    dagster: DagsterClient,
    metadata: Metadata,
    repositories: Mapping[str, Mapping[str, str]],
    requests: Sequence[CollectionRunRequest],
) -> None:
    """Launch the requested runs, provider by provider, and store which run collects which slices."""
    for name, repository in repositories.items():
        runs = [one for one in requests if one.provider == name]
        for one in runs:
            if PARTITION_TAG in one.tags:
                dagster.add_partition(repository, partitions_name(name), one.tags[PARTITION_TAG])
        for one, run_id in zip(runs, dagster.launch(repository, runs), strict=True):
            metadata.collections.assign_run(one.tags[TASK_TAG], one.slices, run_id)


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
    states: Iterable[SliceState],
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
    for state in states:
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
