"""The slices of one run, one after another, with their rows in the history. No Dagster here.

One slice that fails does not keep the others from being collected. What happens to it next depends on whose fault it is::

    transient (network, time-out, throttling, a database restarting)   the run tries again, 3 times, 60 s apart
    permanent (credential, contract, bad data)                         not in this run; the schedule waits 6 hours or for a change
    anything else (a bug, a full disk)                                 not in this run; due again at the next tick
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from optiinfra_assets.collection import Outcome, SliceResult, collect_slice
from optiinfra_assets.contexts import stored
from optiinfra_assets.model import Account, Slice
from optiinfra_assets.opening import opened
from optiinfra_assets.providers.base import Permanent, Provider, ProviderError, Throttled, Transient
from optiinfra_assets.providers.metering import Meter
from optiinfra_assets.store.errors import MetadataUnavailable, SliceBusy, StoreError, WarehouseUnavailable
from optiinfra_assets.store.history import CollectionRecord, Trigger
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.warehouse import Warehouse

MAX_RETRIES: Final = 3
RETRY_SECONDS: Final = 60

PERMANENT_PAUSE: Final = timedelta(hours=6)
"""A refused file or credential is not read every quarter of an hour as long as nothing about it changes."""

LONGEST_WAIT: Final = timedelta(minutes=15)
"""A throttled run waits this long at most; beyond it, it ends and the schedule asks again, so that it holds no place of others."""

_TRANSIENT_CODES: Final = frozenset({159, 202, 209, 210, 241, 242, 252, 319, 999})
"""ClickHouse: time-out, too many queries, socket time-out, network, memory limit, read-only replica, too many parts, unknown
status of an insert, keeper. Source: src/Common/ErrorCodes.cpp of ClickHouse."""


@dataclass(frozen=True, slots=True)
class SliceFailure:
    """A collection that failed. The published generation of the slice is what it was.

    Attributes:
        error: the exception; its text may be shown only as `message`.
        message: one line without a secret.
        is_transient: the same run should try again.
        until: UTC instant before which that makes no sense, None if any time does.
    """

    slice: Slice
    error: Exception
    message: str
    is_transient: bool
    until: datetime | None = None

    @classmethod
    def of(cls, slice_: Slice, error: Exception) -> SliceFailure:
        """Say what an exception means for its slice."""
        until = error.until if isinstance(error, Throttled) else None
        is_transient = _is_transient(error) and not (until and until - datetime.now(UTC) > LONGEST_WAIT)
        return cls(slice_, error, _message(error), is_transient, until)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, DatabaseError):
        return getattr(error, "code", None) in _TRANSIENT_CODES
    return isinstance(
        error, Transient | WarehouseUnavailable | MetadataUnavailable | SliceBusy | OperationalError
    )


def _message(error: Exception) -> str:
    if isinstance(error, ProviderError | StoreError):
        return " ".join(str(error).split())
    if isinstance(error, DatabaseError | OperationalError):
        return f"ClickHouse: {str(error).splitlines()[0][:300]}"
    return f"unexpected {type(error).__name__}: the log of the run has the details"


@dataclass(frozen=True, slots=True)
class Tools:
    """What a task works with: where line items go, where state goes, where lines for a person go."""

    warehouse: Warehouse
    metadata: Metadata
    log: logging.Logger


@dataclass(frozen=True, slots=True)
class Task:
    """One run's part of a task.

    Attributes:
        task_id: everything one trigger asked for.
        trigger: who asked.
        run_id: the Dagster run.
        attempt: 1, then one more for each retry within the run.
        resumes: the run goes on for one whose worker died, so that what that one ended is not repeated.
        accept_empty: a person confirms that a source with nothing in it means no line items.
    """

    task_id: str
    trigger: Trigger
    run_id: str
    attempt: int = 1
    resumes: bool = False
    accept_empty: bool = False

    @property
    def is_last_attempt(self) -> bool:
        """No retry comes after this one."""
        return self.attempt > MAX_RETRIES

    def collect(
        self, provider: Provider, work: Sequence[tuple[Account, Slice]], tools: Tools
    ) -> Iterator[SliceResult | SliceFailure]:
        """Collect slices in the given order; what an earlier attempt ended is not repeated, its permanent failures are reported again."""
        ended = self._ended(tools.metadata)
        todo = [(account, slice_) for account, slice_ in work if slice_ not in ended]
        tools.metadata.queue_collections(
            self.task_id, self.trigger, [slice_ for _, slice_ in todo], self.run_id
        )
        tools.metadata.assign_run(self.task_id, [slice_ for _, slice_ in todo], self.run_id)
        for account, slice_ in todo:
            yield self._collect_one(provider, account, slice_, tools)
        for _, slice_ in work:
            if slice_ in ended and ended[slice_].status == "failed":
                message = ended[slice_].error or "failed"
                yield SliceFailure(slice_, Permanent(message), message, is_transient=False)

    def _ended(self, metadata: Metadata) -> dict[Slice, CollectionRecord]:
        if self.attempt == 1 and not self.resumes:
            return {}
        rows = metadata.history(task_id=self.task_id, first=10_000)
        return {row.slice: row for row in rows if self._is_done(row)}

    def _is_done(self, row: CollectionRecord) -> bool:
        return row.status in ("succeeded", "unchanged") or (
            row.status == "failed" and row.run_id == self.run_id
        )

    def _collect_one(
        self, provider: Provider, account: Account, slice_: Slice, tools: Tools
    ) -> SliceResult | SliceFailure:
        row = tools.metadata.start_collection(self.task_id, self.trigger, slice_, self.run_id)
        context = stored(tools.metadata, account)
        try:
            account = opened(tools.metadata, provider, account, "collect", self.run_id)
            result = collect_slice(
                provider,
                account,
                slice_.billing_period,
                warehouse=tools.warehouse,
                metadata=tools.metadata,
                run_id=self.run_id,
                context=context,
                accept_empty=self.accept_empty,
                log=tools.log,
            )
        except Exception as error:  # noqa: BLE001 - the other slices of the run are collected all the same
            failure = SliceFailure.of(slice_, error)
            self._record_failure(failure, row, account, context.spent, tools)
            return failure
        _record_result(result, row, tools.metadata)
        return result

    def _record_failure(
        self, failure: SliceFailure, row: int, account: Account, spent: Meter, tools: Tools
    ) -> None:
        _record_requests(tools.metadata, account, spent.requests, spent.cost)
        paid: dict[str, Any] = {"requests": spent.requests, "request_cost": spent.cost}
        if failure.is_transient and not self.is_last_attempt:
            tools.log.warning("%s: will be tried again: %s", failure.slice, failure.message)
            tools.metadata.retry_collection(row, failure.message, **paid)
            return
        is_expected = isinstance(failure.error, ProviderError | StoreError)
        details = failure.message if is_expected else _details(failure.error, account)
        tools.log.error("%s: %s", failure.slice, details)
        tools.metadata.finish_collection(row, "failed", error=failure.message, **paid)
        pause = datetime.now(UTC) + PERMANENT_PAUSE if isinstance(failure.error, Permanent) else failure.until
        if pause:
            tools.metadata.postpone_collection(failure.slice, pause)


def _record_result(result: SliceResult, row: int, metadata: Metadata) -> None:
    is_news = result.outcome is Outcome.PUBLISHED and result.published is not None
    collection = result.collection
    metadata.finish_collection(
        row,
        "succeeded" if is_news else "unchanged",
        generation=result.published.generation if is_news and result.published else None,
        rows=result.loaded.line_items,
        requests=collection.requests,
        request_cost=collection.request_cost,
    )
    _record_requests(metadata, result.slice, collection.requests, collection.request_cost)


def _record_requests(metadata: Metadata, owner: Account | Slice, requests: int, cost: Decimal) -> None:
    if requests:
        metadata.record_requests("collect", {owner.account_id: (requests, cost)}, datetime.now(UTC))


def _details(error: Exception, account: Account) -> str:
    """The traceback of an error nobody foresaw, without the account's secrets, which its text may quote."""
    text = "".join(traceback.format_exception(error))
    for secret in account.secrets.values():
        text = text.replace(str(secret), "***") if str(secret) else text
    return text
