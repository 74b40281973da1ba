"""Collect the slices of one run, several accounts at the same time, and record each in the collection history.

A slice that fails does not stop the others. What happens to it next depends on the error::

    transient (network, time-out, throttling, a database restarting)   the run tries again, 3 times, 60 s apart; then the next tick does,
                                                                       and if it goes on failing the schedule waits up to an hour
    permanent (credential, contract, bad data)                         not in this run; the schedule waits for a change, or 6 hours, or
                                                                       a day if it goes on failing
    anything else (a bug, a full disk)                                 not in this run; the next tick, then as a transient one but up to
                                                                       6 hours

A failure stands at its slice and account (`metadata.failures`) until a collection of the slice succeeds.

A history row that has ended does not change any more. A run that finds such a row (because it was launched twice, or could not be stopped
when canceled) skips the slice, even while reading it. It also skips slices that another run has started, and those of deleted accounts.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from optiinfra_assets.database.clickhouse import reason
from optiinfra_assets.database.errors import StoreError
from optiinfra_assets.domain.accounts import Account, Slice
from optiinfra_assets.domain.errors import Permanent, ProviderError, Throttled
from optiinfra_assets.ingestion.account_access import stored_context, with_secrets
from optiinfra_assets.ingestion.collect_slice import SliceCollector
from optiinfra_assets.ingestion.failures import fault_of, is_full, is_transient, pause_after
from optiinfra_assets.ingestion.readers import Stopped, grouped, read_by_account
from optiinfra_assets.ingestion.slice_attempt import CollectionOutcome, SliceAttempt, SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionRecord, Trigger
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import Clock, Meter, utc_now
from optiinfra_assets.providers.http.redaction import account_redactor
from optiinfra_assets.warehouse.warehouse import Warehouse

MAX_RETRIES: Final = 3
RETRY_SECONDS: Final = 60

LONGEST_WAIT: Final = timedelta(minutes=15)
"""A throttled run waits at most this long. To wait longer, it ends and the schedule requests a new run, so that it blocks no queue slot."""


@dataclass(frozen=True, slots=True)
class SliceFailure:
    """A failed collection. The published generation of the slice is unchanged.

    Attributes:
        error: the exception; its own text may hold secrets, so show `message` instead.
        message: one line without secrets.
        is_transient: the same run should try again.
        until: UTC instant before which a retry is useless, None if it may be made at any time.
    """

    slice: Slice
    error: Exception
    message: str
    is_transient: bool
    until: datetime | None = None

    @classmethod
    def of(cls, slice_: Slice, error: Exception, now: datetime, hide: Callable[[str], str]) -> SliceFailure:
        """Classify an exception for its slice at a UTC instant; `hide` removes the secrets of the account from a text."""
        until = error.until if isinstance(error, Throttled) else None
        retries = is_transient(error) and not (until and until - now > LONGEST_WAIT)
        # Wherever it is shown, the slice stands beside it.
        message = hide(_message(error)).removeprefix(f"{slice_}: ")
        return cls(slice_, error, message, retries, until)


@dataclass(frozen=True, slots=True)
class SliceSkipped:
    """A slice that this run skipped because the slice does not, or no longer does, belong to the run; `reason` is one line."""

    slice: Slice
    reason: str


class _SliceNotOwned(Exception):
    """The slice does not, or no longer does, belong to this run; the message is one line that says why."""


def _message(error: Exception) -> str:
    if isinstance(error, ProviderError | StoreError):
        return " ".join(str(error).split())
    if isinstance(error, DatabaseError | OperationalError):
        return f"{'the disk of ClickHouse is full' if is_full(error) else 'ClickHouse'}: {reason(error)[:300]}"
    if is_full(error):
        return f"a disk of this platform is full: {error}"
    return f"unexpected {type(error).__name__}: the log of the run has the details"


@dataclass(frozen=True, slots=True)
class Stores:
    """What a run writes to and reads the time from: warehouse for line items, metadata for state, log for people, clock."""

    warehouse: Warehouse
    metadata: Metadata
    log: logging.Logger
    clock: Clock = utc_now


SliceEnd = SliceResult | SliceFailure | SliceSkipped
"""How the collection of one slice ended."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A slice that is being collected.

    Attributes:
        account: the account, with its secrets if they could be read.
        row: id of its row in the history.
        spent: requests that were made.
    """

    account: Account
    slice: Slice
    row: int
    spent: Meter


@dataclass(frozen=True, slots=True)
class _Unpublished(_Begun):
    """A slice that was read and is to be published."""

    attempt: SliceAttempt


_Read = SliceEnd | _Unpublished


@dataclass(frozen=True, slots=True)
class CollectionRun:
    """The part of a task that one Dagster run does.

    Attributes:
        task_id: the task: everything that one trigger requested.
        trigger: who requested it.
        run_id: the Dagster run.
        attempt: 1, then one more for each retry within the run.
        resumes: the run replaces one whose worker died, so it takes over the slices which that run had started.
        accept_empty: a person confirms that an empty source means no line items.
    """

    task_id: str
    trigger: Trigger
    run_id: str
    attempt: int = 1
    resumes: bool = False
    accept_empty: bool = False

    @property
    def is_last_attempt(self) -> bool:
        """Whether no retry follows this attempt."""
        return self.attempt > MAX_RETRIES

    def collect(self, provider: Provider, work: Sequence[tuple[Account, Slice]], tools: Stores) -> Iterator[SliceEnd]:
        """Collect slices, those of one account in the given order.

        Ended slices are not collected again: failures of this run are yielded again, as permanent.
        """
        known = self._rows(tools.metadata, [slice_ for _, slice_ in work])
        ended = {slice_: row for slice_, row in known.items() if not row.is_open}
        todo = [(account, slice_) for account, slice_ in work if slice_ not in ended]
        slices = [slice_ for _, slice_ in todo]
        tools.metadata.collections.queue(
            self.task_id, self.trigger, slices, self.run_id, accept_empty=self.accept_empty
        )
        tools.metadata.collections.assign_run(
            self.task_id, [one for one in slices if self._may_take(known.get(one))], self.run_id
        )
        with SliceCollector(tools.warehouse, tools.metadata, self.run_id, tools.log) as collector:
            yield from self._collect(provider, todo, collector, tools)
        for row in ended.values():
            yield from self._of_ended(row, tools.log)

    def _rows(self, metadata: Metadata, slices: Sequence[Slice]) -> dict[Slice, CollectionRecord]:
        """Return the history rows of this task for `slices`."""
        rows = [
            row
            for account_id in sorted({one.account_id for one in slices})
            for row in metadata.collections.history(task_id=self.task_id, account_id=account_id, first=None)
        ]
        wanted = set(slices)
        return {row.slice: row for row in rows if row.slice in wanted}

    def _may_take(self, row: CollectionRecord | None) -> bool:
        """Whether this run may take an open row: not if another run, which may still be alive, has started it."""
        return row is None or row.started_at is None or row.run_id == self.run_id or self.resumes

    def _of_ended(self, row: CollectionRecord, log: logging.Logger) -> Iterator[SliceFailure | SliceSkipped]:
        is_ours = row.run_id == self.run_id
        if is_ours and row.status == "failed":
            message = row.error or "failed"
            yield SliceFailure(row.slice, Permanent(message), message, is_transient=False)
        elif not (is_ours and row.status in ("succeeded", "unchanged")):
            yield _left(row.slice, _ending(row), log)

    def _collect(
        self, provider: Provider, work: Sequence[tuple[Account, Slice]], collector: SliceCollector, tools: Stores
    ) -> Iterator[SliceEnd]:
        def read(one: tuple[Account, Slice], go_on: Callable[[], None]) -> _Read:
            return self._read(provider, *one, collector, go_on, tools)

        reads: Generator[_Read | None, None, None] = read_by_account(work, lambda one: one[0].account_id, read)
        groups: Iterator[list[_Read]] = grouped(reads, _size)
        for group in groups:
            unpublished = [one for one in group if isinstance(one, _Unpublished)]
            if not unpublished:
                yield from (one for one in group if not isinstance(one, _Unpublished))
                continue
            outcomes = collector.publish([one.attempt for one in unpublished])
            for one, outcome in zip(unpublished, outcomes, strict=True):
                yield self._recorded(one, outcome, tools)

    def _read(
        self,
        provider: Provider,
        account: Account,
        slice_: Slice,
        collector: SliceCollector,
        go_on: Callable[[], None],
        tools: Stores,
    ) -> _Read:
        """Read one slice. What is not to be published is recorded at once, before the next slice of the account is read."""
        row = tools.metadata.collections.start(self.task_id, self.trigger, slice_, self.run_id)
        context = stored_context(tools.metadata, account)

        def check() -> None:
            go_on()
            self._check(row, slice_, tools.metadata)

        try:
            check()
            account = with_secrets(tools.metadata, provider, account, "collect", self.run_id)
            outcome = collector.read(
                provider,
                account,
                slice_.billing_period,
                context=context,
                accept_empty=self.accept_empty,
                check=check,
            )
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - the other slices of the run are collected all the same
            return self._recorded(_Begun(account, slice_, row, context.spent), error, tools)
        if isinstance(outcome, SliceResult):
            return self._recorded(_Begun(account, slice_, row, context.spent), outcome, tools)
        return _Unpublished(account, slice_, row, context.spent, outcome)

    def _recorded(self, begun: _Begun, outcome: SliceResult | Exception, tools: Stores) -> SliceEnd:
        """Record in the history how the collection of a slice ended, and return that."""
        if isinstance(outcome, SliceResult):
            _record_result(outcome, begun.row, tools)
            tools.log.info("%s: %s, %s line items", begun.slice, outcome.outcome, outcome.loaded.line_items)
            return outcome
        if isinstance(outcome, _SliceNotOwned):
            _record_requests(tools, begun.account, begun.spent.requests, begun.spent.cost)
            return _left(begun.slice, str(outcome), tools.log)
        hide = account_redactor(begun.account)
        failure = SliceFailure.of(begun.slice, outcome, tools.clock(), hide)
        self._record_failure(failure, begun.row, begun.spent, tools, hide)
        return failure

    def _check(self, row: int, slice_: Slice, metadata: Metadata) -> None:
        """Return if the slice still belongs to this run.

        Raises:
            _SliceNotOwned: its row has ended, or another run has it, or its account was deleted; for a deleted account this ends the row.
        """
        account_id, period = slice_.account_id, slice_.billing_period
        (record,) = metadata.collections.history(
            task_id=self.task_id, account_id=account_id, billing_period=period, first=1
        )
        if not record.is_open:
            raise _SliceNotOwned(_ending(record))
        if record.run_id != self.run_id:
            raise _SliceNotOwned(f"run {record.run_id} collects it")
        if not metadata.accounts.find(account_id=account_id):
            reason = f"account {account_id!r} was deleted: connect it again to have it collected"
            metadata.collections.finish(row, "canceled", error=reason)
            raise _SliceNotOwned(reason)

    def _record_failure(
        self, failure: SliceFailure, row: int, spent: Meter, tools: Stores, hide: Callable[[str], str]
    ) -> None:
        _record_requests(tools, failure.slice, spent.requests, spent.cost)
        paid: dict[str, Any] = {"requests": spent.requests, "request_cost": spent.cost}
        if failure.is_transient and not self.is_last_attempt:
            tools.log.warning("%s: will be tried again: %s", failure.slice, failure.message)
            tools.metadata.collections.retry(row, failure.message, **paid)
            return
        is_expected = isinstance(failure.error, ProviderError | StoreError) or is_full(failure.error)
        details = failure.message if is_expected else "".join(traceback.format_exception(failure.error))
        tools.log.error("%s: %s", failure.slice, hide(details))
        tools.metadata.collections.finish(row, "failed", error=failure.message, **paid)
        pause, fault = pause_after(failure.error), fault_of(failure.error)
        tools.metadata.failures.record(failure.slice, failure.message, fault, tools.clock(), pause, failure.until)


def _size(read: _Read) -> int | None:
    """Bytes that are to be published together with others; None if there are none, or all are written already."""
    if not isinstance(read, _Unpublished) or read.attempt.is_written:
        return None
    return read.attempt.items.held_bytes


def _ending(row: CollectionRecord) -> str:
    return f"task {row.task_id} has it as {row.status}{f': {row.error}' if row.error else ''}"


def _left(slice_: Slice, reason: str, log: logging.Logger) -> SliceSkipped:
    log.warning("%s: not collected: %s", slice_, reason)
    return SliceSkipped(slice_, reason)


def _record_result(result: SliceResult, row: int, tools: Stores) -> None:
    is_news = result.outcome is CollectionOutcome.PUBLISHED and result.published is not None
    collection = result.collection
    tools.metadata.collections.finish(
        row,
        "succeeded" if is_news else "unchanged",
        generation=result.published.generation if is_news and result.published else None,
        rows=result.loaded.line_items,
        requests=collection.requests,
        request_cost=collection.request_cost,
        warnings=tuple(collection.warnings),
    )
    _record_requests(tools, result.slice, collection.requests, collection.request_cost)


def _record_requests(tools: Stores, owner: Account | Slice, requests: int, cost: Decimal) -> None:
    if requests:
        spent = {owner.account_id: (requests, cost)}
        tools.metadata.activity.record_requests("collect", spent, tools.clock())
