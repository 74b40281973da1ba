"""Collect slices from their providers and publish them: lock, collect, load, derive, verify, publish.

A failure never changes the published generation: readers see the rows of an attempt only after `Warehouse.publish`, the last step.
Garbage collection removes the rows of attempts that published nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Self

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.ingestion import publishing
from optiinfra_assets.ingestion.account_access import for_call, stored_context
from optiinfra_assets.ingestion.slice_attempt import SliceAttempt, SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE, SliceLock
from optiinfra_assets.providers.base import LineItemStream, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.warehouse.retention import CHUNK
from optiinfra_assets.warehouse.warehouse import Warehouse

MOST_LEFT: Final = 5_000_000
"""Line items that attempts at one slice may leave to garbage collection, a quarter of a GB, beside those of the last attempt: a big source
that fails at its end is read up to a hundred times a day, and where nothing is published nothing is garbage yet."""
UNPUBLISHED_NUMBERS: Final = 1_000_000
"""Generation numbers to skip: more than the attempts that may have left rows since the newest publication."""


class SliceCollector(AbstractContextManager["SliceCollector"]):
    """Collects the slices of one run. Leaving it gives up what was read and not published. `read` is thread-safe."""

    def __init__(self, warehouse: Warehouse, metadata: Metadata, run_id: str, log: logging.Logger) -> None:
        """`warehouse` stores the line items, `metadata` the state; `run_id` is stored with each generation; `log` gets warnings."""
        self._warehouse = warehouse
        self._metadata = metadata
        self._run_id = run_id
        self._log = log
        self._locks = metadata.slices.locks()
        self._unpublished: set[SliceAttempt] = set()
        self._newest: tuple[object, int] | None = None

    def __enter__(self) -> Self:
        self._locks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_up(list(self._unpublished))
        self._locks.__exit__()

    def read(
        self,
        provider: Provider,
        account: Account,
        billing_period: BillingPeriod,
        *,
        context: ProviderContext | None = None,
        accept_empty: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> SliceResult | SliceAttempt:
        """Read one slice from its source; return the result if nothing is new, else the attempt, which is to be published.

        Args and errors are those of `collect_slice`.
        """
        slice_ = Slice.of(account, billing_period)
        lock = self._locks.acquire(slice_)
        attempt = None
        try:
            attempt = SliceAttempt(
                slice_,
                lambda: self._start(slice_, lock),
                account.is_simulated,
                self._run_id,
                self._warehouse,
                self._metadata,
                lock,
                check,
                accept_empty,
            )
            used = context or stored_context(self._metadata, account)
            with for_call(used, provider, account, "collect") as limited:
                is_news = attempt.read(_open(provider, account, billing_period, limited, accept_empty))
            result = None if is_news else attempt.succeed(None)
        except BaseException:
            if attempt is not None:
                attempt.give_up(self._log)
            lock.release()
            raise
        if result is None:
            self._unpublished.add(attempt)
            return attempt
        lock.release()
        return result

    def publish(self, attempts: Sequence[SliceAttempt]) -> list[SliceResult | Exception]:
        """Publish what was read, together; return for each attempt, in this order, its result or why it failed."""
        results = publishing.publish(attempts, self._warehouse, self._log)
        self._give_up([one for one, result in results.items() if isinstance(result, Exception)])
        for one in attempts:
            self._unpublished.discard(one)
            one.lock.release()
        return [results[one] for one in attempts]

    def _give_up(self, attempts: Sequence[SliceAttempt]) -> None:
        for one in attempts:
            one.give_up(self._log)

    def _start(self, slice_: Slice, lock: SliceLock) -> int:
        """Make room for the rows of a generation, and start it with a number that the warehouse has not seen.

        It has not, even if PostgreSQL was restored from an older state or is new. Rows with an already published number would become
        part of that generation, and would be removed with it. No PostgreSQL is exchanged for another below a connection that holds a
        lock, so the warehouse is asked once for each of these.
        """
        ended = self._metadata.slices.ended_generations(slice_, CHUNK)
        self._warehouse.remove_attempts(slice_, ended, MOST_LEFT)
        if self._newest is None or self._newest[0] is not lock.session:
            # Read this before drawing the number: others may publish higher ones at any moment.
            self._newest = lock.session, self._warehouse.newest_generation()
        newest = self._newest[1]
        generation = self._metadata.slices.start_generation(slice_, self._run_id)
        if generation > newest:
            return generation
        self._metadata.slices.finish_generation(generation, "discarded")
        self._metadata.slices.skip_generations(newest + UNPUBLISHED_NUMBERS)
        return self._metadata.slices.start_generation(slice_, self._run_id)


def collect_slice(
    provider: Provider,
    account: Account,
    billing_period: BillingPeriod,
    *,
    warehouse: Warehouse,
    metadata: Metadata,
    run_id: str,
    context: ProviderContext | None = None,
    accept_empty: bool = False,
    check: Callable[[], None] = lambda: None,
    log: logging.Logger,
) -> SliceResult:
    """Collect one slice and publish it if its content differs from what readers see.

    Args:
        provider: the provider of `account`.
        account: the account to collect, with its secrets.
        billing_period: the month to collect.
        warehouse: stores the line items.
        metadata: stores the state.
        run_id: stored with the generation.
        context: passed to the provider; by default the context of a stored account.
        accept_empty: a person confirms that an empty source means no line items, and that published days have none any more.
        check: called every second while line items are read, after the last one, and right before the slice is published; an exception
            from it ends the collection.
        log: gets warnings.

    Raises:
        ProviderError: the source could not be read; `NothingThere` if it is empty, or has nothing where something was published, and nobody
            confirmed that.
        BadData: a value or a total cannot be stored exactly.
        ControlTotalMismatch: the line items do not add up to the provider's own total.
        IntegrityError: the database does not hold what was sent.
        SliceBusy: another run is collecting the slice.
        StoreError: a database could not be reached.
    """
    with SliceCollector(warehouse, metadata, run_id, log) as collector:
        read = collector.read(
            provider, account, billing_period, context=context, accept_empty=accept_empty, check=check
        )
        if isinstance(read, SliceResult):
            return read
        (result,) = collector.publish([read])
    if isinstance(result, Exception):
        raise result
    return result


def _open(
    provider: Provider,
    account: Account,
    billing_period: BillingPeriod,
    context: ProviderContext,
    accept_empty: bool,
) -> LineItemStream:
    try:
        return provider.collect(account, billing_period, context)
    except NothingThere:
        if not accept_empty:
            raise
        return LineItemStream(batches=iter(()), change_token=GONE)
