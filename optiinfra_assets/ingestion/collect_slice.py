"""One slice, from its provider to published: lock, collect, load, derive, verify, publish. No Dagster here.

Whatever goes wrong, the published generation is untouched: rows of an attempt are visible only after `Warehouse.publish`, the last
step. An attempt that fails removes its rows; one whose process dies leaves them to garbage collection.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

import pyarrow as pa

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import ContractChanged, NothingThere
from optiinfra_assets.domain.publications import CONTROL_TOTAL, Publication, complete_through
from optiinfra_assets.ingestion.account_access import stored_context
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE, SliceLock
from optiinfra_assets.providers.base import LineItemStream, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.warehouse.loading import LoadResult, load
from optiinfra_assets.warehouse.warehouse import Warehouse

CHECK_SECONDS = 1.0
"""Between two looks at whether a slice is still to be collected: files come in a hundred batches a second."""
UNPUBLISHED_NUMBERS = 1_000_000
"""More than the attempts that may have left rows since the newest publication."""


class CollectionOutcome(StrEnum):
    """What became of a collection that went well."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """A collection that went well.

    Attributes:
        slice: what was collected.
        outcome: `UNCHANGED` if the source gave what is published already; then nothing was written.
        published: what readers see now, None if the slice has never had a line item.
        before: what readers saw before, None if nothing.
        collection: the provider's answer, read to its end.
        loaded: line items and totals of that answer.
        seconds: how long each stage took: read (waiting for the provider, while inserting), insert, hash, derive, verify, publish.
    """

    slice: Slice
    outcome: CollectionOutcome
    published: Publication | None
    before: Publication | None
    collection: LineItemStream
    loaded: LoadResult
    seconds: Mapping[str, float]

    @property
    def shrinkage(self) -> Decimal:
        """Share of the line items that readers saw before and that are gone: 0.2 is a fifth fewer; 0 if there are more."""
        if self.before is None or not self.before.line_items:
            return Decimal(0)
        return max(Decimal(0), 1 - Decimal(self.loaded.line_items) / self.before.line_items)


class ControlTotalMismatch(ContractChanged):
    """The line items do not add up to the total the provider states for them."""


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
        account: what to collect.
        billing_period: which month of it.
        warehouse: where line items go.
        metadata: where state goes.
        run_id: stored with the generation.
        context: what the provider is handed; by default that of a stored account.
        accept_empty: a person confirms that a source with nothing in it means no line items.
        check: called every second while line items are read, when they are complete, and right before the slice is published; what it
            raises ends the collection.
        log: takes one line when a slice begins and ends.

    Raises:
        ProviderError: the source could not be read; `NothingThere` if it is wholly empty and nobody confirmed that.
        ControlTotalMismatch: the line items do not add up to the provider's own total.
        IntegrityError: the database does not hold what was sent.
        SliceBusy: another run is collecting the slice.
        StoreError: a database could not be reached.
    """
    slice_ = Slice.of(account, billing_period)
    with metadata.slices.lock(slice_) as lock:
        generation = _start(slice_, run_id, warehouse, metadata)
        log.info("%s: collecting generation %s", slice_, generation)
        attempt = _Attempt(slice_, generation, account.is_simulated, run_id, warehouse, metadata, lock, check)
        try:
            context = context or stored_context(metadata, account)
            result = attempt.run(_open(provider, account, billing_period, context, accept_empty))
        except BaseException:
            attempt.give_up(log)
            raise
    log.info("%s: %s, %s line items", slice_, result.outcome, result.loaded.line_items)
    return result


def _start(slice_: Slice, run_id: str, warehouse: Warehouse, metadata: Metadata) -> int:
    """A generation number that the warehouse has not seen, also where PostgreSQL is older than it or was made anew.

    Rows of a number that is published already would be added to it, and removed with it.
    """
    # Before the number is drawn: others may publish higher ones at any moment.
    newest = warehouse.newest_generation()
    generation = metadata.slices.start_generation(slice_, run_id)
    if generation > newest:
        return generation
    metadata.slices.finish_generation(generation, "discarded")
    metadata.slices.skip_generations(newest + UNPUBLISHED_NUMBERS)
    return metadata.slices.start_generation(slice_, run_id)


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


@dataclass(slots=True)
class _Attempt:
    """One generation in the making; the lock on its slice is held throughout."""

    slice: Slice
    generation: int
    is_simulated: bool
    run_id: str
    warehouse: Warehouse
    metadata: Metadata
    lock: SliceLock
    check: Callable[[], None]
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, collection: LineItemStream) -> SliceResult:
        with self._timed("insert"):
            loaded = load(self.warehouse.client, self.slice, self.generation, self._reading(collection.batches))
        _compare_control_totals(self.slice, collection, loaded)
        with self._timed("hash"):
            content_hash = self.warehouse.content_hash(self.slice, self.generation)
        before = self.warehouse.current(self.slice)
        is_news = content_hash != before.content_hash if before else loaded.line_items > 0
        published = self._publish(collection, loaded, content_hash) if is_news else before
        if not is_news:
            self._discard("unchanged")
        self._record(collection, published if is_news else None)
        return SliceResult(
            slice=self.slice,
            outcome=CollectionOutcome.PUBLISHED if is_news else CollectionOutcome.UNCHANGED,
            published=published,
            before=before,
            collection=collection,
            loaded=loaded,
            seconds=self.seconds,
        )

    def give_up(self, log: logging.Logger) -> None:
        """Remove the rows of a failed attempt, if a database that may be what failed lets us; garbage collection finds what stays."""
        try:
            self._discard("discarded")
        except Exception as error:  # noqa: BLE001 - the attempt's own error is the one to report
            log.warning(
                "%s: rows of generation %s stay until garbage collection: %s",
                self.slice,
                self.generation,
                error,
            )

    def _publish(self, collection: LineItemStream, loaded: LoadResult, content_hash: str) -> Publication:
        with self._timed("derive"):
            self.warehouse.derive(self.slice, self.generation)
        with self._timed("verify"):
            self.warehouse.verify(self.slice, self.generation, loaded)
        with self._timed("publish"):
            self.lock.check()
            self.check()
            published = self.warehouse.publish(self._publication(collection, loaded, content_hash))
        self.metadata.slices.finish_generation(self.generation, "published")
        return published

    def _publication(self, collection: LineItemStream, loaded: LoadResult, content_hash: str) -> Publication:
        return Publication(
            slice=self.slice,
            generation=self.generation,
            published_at=datetime.now(UTC),
            line_items=loaded.line_items,
            first_charge_date=loaded.first_charge_date,
            last_charge_date=loaded.last_charge_date,
            data_through=collection.data_through,
            is_final=collection.is_final,
            is_simulated=self.is_simulated,
            totals=loaded.totals,
            content_hash=content_hash,
            change_token=collection.change_token,
            sources=[*collection.sources, *_stated(collection)],
            rounded_values=collection.rounding.values,
            rounded_total=collection.rounding.total,
            run_id=self.run_id,
        )

    def _record(self, collection: LineItemStream, published: Publication | None) -> None:
        token = collection.change_token if collection.sources else self._token_of_nothing(collection.change_token)
        self.metadata.slices.record_collection(
            self.slice,
            token,
            datetime.now(UTC),
            generation=published.generation if published else None,
            published_at=published.published_at if published else None,
            reached=complete_through(self.slice.billing_period, collection.data_through, collection.is_final),
        )

    def _token_of_nothing(self, token: str) -> str:
        # A provider may say that a period is gone by not naming it when probed; what was collected has to answer to that, or it stays due.
        states = self.metadata.slices.states(account_id=self.slice.account_id)
        seen = {state.slice: state.seen_token for state in states}.get(self.slice)
        return GONE if seen == GONE else token

    def _discard(self, state: Literal["unchanged", "discarded"]) -> None:
        self.warehouse.discard(self.slice, self.generation)
        self.metadata.slices.finish_generation(self.generation, state)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - begun

    def _reading(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """`batches`, with the time spent waiting for the provider counted, as long as `check` does not raise."""
        self.seconds["read"] = 0.0
        checked = time.perf_counter()
        while True:
            begun = time.perf_counter()
            batch = next(batches, None)
            now = time.perf_counter()
            self.seconds["read"] += now - begun
            if batch is None or now - checked >= CHECK_SECONDS:
                self.check()
                checked = now
            if batch is None:
                return
            yield batch


def _stated(collection: LineItemStream) -> Iterator[dict[str, str]]:
    """The provider's own totals, as part of the lineage: they were compared and are equal."""
    for currency, stated in (collection.control_totals or {}).items():
        yield {"kind": CONTROL_TOTAL, "currency": currency, "billed_cost": f"{stated:f}"}


def _compare_control_totals(slice_: Slice, collection: LineItemStream, loaded: LoadResult) -> None:
    for currency, stated in (collection.control_totals or {}).items():
        found = loaded.totals[currency].billed_cost if currency in loaded.totals else Decimal(0)
        if found != stated:
            raise ControlTotalMismatch(
                f"{slice_}: the provider states {stated} {currency} billed, its line items add up to {found}: nothing is published; "
                "collect again when the provider has corrected it"
            )
