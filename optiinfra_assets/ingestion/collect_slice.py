"""Collect one slice from its provider and publish it: lock, collect, load, derive, verify, publish.

A failure never changes the published generation: readers see the rows of an attempt only after `Warehouse.publish`, the last step.
Garbage collection removes the rows of attempts that published nothing.
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

import pyarrow as pa

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import BadData, ContractChanged, NothingThere
from optiinfra_assets.domain.publications import CONTROL_TOTAL, MEASURES, WARNING, Publication, complete_through
from optiinfra_assets.ingestion.account_access import for_call, stored_context
from optiinfra_assets.ingestion.completeness import refuse_lost
from optiinfra_assets.line_items.content_hash import FORM
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE, SliceLock
from optiinfra_assets.providers.base import LineItemStream, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.warehouse.loading import LoadResult, load
from optiinfra_assets.warehouse.retention import CHUNK
from optiinfra_assets.warehouse.warehouse import Warehouse

CHECK_SECONDS = 1.0
"""Seconds between two checks whether the slice is still to be collected: a file yields a hundred batches a second."""
BEYOND = Decimal(10) ** 20
"""The first number that a Decimal(38, 18) cannot hold."""
MOST_LEFT = 5_000_000
"""Line items that attempts at one slice may leave to garbage collection, a quarter of a GB, beside those of the last attempt: a big source
that fails at its end is read up to a hundred times a day, and where nothing is published nothing is garbage yet."""
UNPUBLISHED_NUMBERS = 1_000_000
"""Generation numbers to skip: more than the attempts that may have left rows since the newest publication."""


class CollectionOutcome(StrEnum):
    """How a successful collection ended."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """A successful collection.

    Attributes:
        slice: the collected slice.
        outcome: `UNCHANGED` if the source returned what is already published; then nothing was published.
        published: the publication that readers see now, None if the slice has never had a line item.
        before: the publication that readers saw before, None if there was none.
        collection: the provider's stream, read to its end.
        loaded: line items and totals of that stream.
        seconds: duration of each stage: read (waiting for the provider, while inserting), insert, hash (only beside one of an earlier
            version), derive, verify, publish.
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
        """The fraction by which the number of line items fell since the last publication: 0.2 is a fifth fewer; 0 if it rose."""
        if self.before is None or not self.before.line_items:
            return Decimal(0)
        return max(Decimal(0), 1 - Decimal(self.loaded.line_items) / self.before.line_items)


class ControlTotalMismatch(ContractChanged):
    """The line items do not add up to the total that the provider states."""


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
        log: gets one line when the collection begins and one when it ends.

    Raises:
        ProviderError: the source could not be read; `NothingThere` if it is empty, or has nothing where something was published, and nobody
            confirmed that.
        BadData: a value or a total cannot be stored exactly.
        ControlTotalMismatch: the line items do not add up to the provider's own total.
        IntegrityError: the database does not hold what was sent.
        SliceBusy: another run is collecting the slice.
        StoreError: a database could not be reached.
    """
    slice_ = Slice.of(account, billing_period)
    with metadata.slices.lock(slice_) as lock:
        warehouse.remove_attempts(slice_, metadata.slices.ended_generations(slice_, CHUNK), MOST_LEFT)
        generation = _start(slice_, run_id, warehouse, metadata)
        log.info("%s: collecting generation %s", slice_, generation)
        attempt = _Attempt(
            slice_, generation, account.is_simulated, run_id, warehouse, metadata, lock, check, accept_empty
        )
        try:
            with for_call(context or stored_context(metadata, account), provider, account, "collect") as limited:
                result = attempt.run(_open(provider, account, billing_period, limited, accept_empty))
        except BaseException:
            attempt.give_up(log)
            raise
    log.info("%s: %s, %s line items", slice_, result.outcome, result.loaded.line_items)
    return result


def _start(slice_: Slice, run_id: str, warehouse: Warehouse, metadata: Metadata) -> int:
    """Start a generation with a number that the warehouse has not seen, even if PostgreSQL was restored from an older state or is new.

    Rows with an already published number would become part of that generation, and would be removed with it.
    """
    # Read this before drawing the number: others may publish higher ones at any moment.
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
    """One attempt to build a generation. The caller holds the lock on the slice all the time."""

    slice: Slice
    generation: int
    is_simulated: bool
    run_id: str
    warehouse: Warehouse
    metadata: Metadata
    lock: SliceLock
    check: Callable[[], None]
    accept_empty: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, collection: LineItemStream) -> SliceResult:
        before = self.warehouse.current(self.slice)
        known = before.content_hash if before and before.content_hash.startswith(FORM) else None
        with self._timed("insert"):
            loaded = load(self.warehouse.client, self.slice, self.generation, self._reading(collection.batches), known)
        _refuse_too_large(loaded)
        _compare_control_totals(self.slice, collection, loaded)
        if before is not None and not self.accept_empty:
            refuse_lost(before, loaded, collection)
        if before is None and not loaded.line_items:
            self._refuse_unknown()
        is_news = self._differs(before, loaded) if before else loaded.line_items > 0
        published = self._publish(collection, loaded) if is_news else before
        if not is_news:
            self.metadata.slices.finish_generation(self.generation, "unchanged")
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
        """Leave the rows of a failed attempt to garbage collection: nobody sees them, and it removes those of many at once.

        If nobody knows whether they are published, the attempt counts as going on, so that they stay for a day.
        """
        try:
            if not self.warehouse.may_be_published(self.slice, self.generation):
                self.metadata.slices.finish_generation(self.generation, "discarded")
        except Exception as error:  # noqa: BLE001 - the attempt's own error is the one to report
            log.warning(
                "%s: generation %s counts as being collected until its run has ended: %s",
                self.slice,
                self.generation,
                error,
            )

    def _differs(self, before: Publication, loaded: LoadResult) -> bool:
        """Whether the line items are others than the published ones, whose hash an earlier version may have computed in its form."""
        if before.content_hash.startswith(FORM):
            return before.content_hash != str(loaded.content)
        with self._timed("hash"):
            return before.content_hash != self.warehouse.earlier_content_hash(self.slice, self.generation)

    def _publish(self, collection: LineItemStream, loaded: LoadResult) -> Publication:
        with self._timed("derive"):
            self.warehouse.derive(self.slice, self.generation)
        with self._timed("verify"):
            self.warehouse.verify(self.slice, self.generation, loaded)
        with self._timed("publish"):
            self.lock.check()
            self.check()
            published = self.warehouse.publish(self._publication(collection, loaded))
        self.metadata.slices.finish_generation(self.generation, "published")
        return published

    def _publication(self, collection: LineItemStream, loaded: LoadResult) -> Publication:
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
            content_hash=str(loaded.content),
            change_token=collection.change_token,
            sources=[*collection.sources, *_stated(collection), *_warnings(collection)],
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
        # A provider may report a period as gone by omitting it from its probe. Then record `GONE` as collected, or the slice stays due.
        return GONE if self._seen_token() == GONE else token

    def _seen_token(self) -> str | None:
        states = self.metadata.slices.states(account_id=self.slice.account_id)
        return {state.slice: state.seen_token for state in states}.get(self.slice)

    def _refuse_unknown(self) -> None:
        """Refuse a month of which nobody ever saw anything: not the probe, not this collection, and no person said that it is empty."""
        if not self.accept_empty and self._seen_token() is None:
            period = self.slice.billing_period
            raise NothingThere(f"the source has no billing period {period}: choose one that it has")

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - begun

    def _reading(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield `batches`, measure the time spent waiting for the provider, and call `check` every `CHECK_SECONDS` and at the end."""
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
    """Yield the provider's own totals for the lineage; they were compared before and are equal."""
    for currency, stated in (collection.control_totals or {}).items():
        yield {"kind": CONTROL_TOTAL, "currency": currency, "billed_cost": f"{stated:f}"}


def _warnings(collection: LineItemStream) -> Iterator[dict[str, str]]:
    """Yield the warnings for the lineage."""
    for one in collection.warnings:
        yield {"kind": WARNING, **{name: str(value) for name, value in one.values().items()}}


def _refuse_too_large(loaded: LoadResult) -> None:
    """Refuse totals that the tables cannot hold: ClickHouse fails or wraps them, and the same line items would fail at every tick."""
    for currency, totals in loaded.totals.items():
        for measure in MEASURES:
            if (amount := getattr(totals, measure)).copy_abs() >= BEYOND:
                raise BadData(
                    f"{measure} of all line items adds up to {amount} {currency}: accepted are totals below {BEYOND:f}, as "
                    "Decimal(38, 18) holds them; correct the amounts at the source"
                )


def _compare_control_totals(slice_: Slice, collection: LineItemStream, loaded: LoadResult) -> None:
    for currency, stated in (collection.control_totals or {}).items():
        found = loaded.totals[currency].billed_cost if currency in loaded.totals else Decimal(0)
        if found != stated:
            raise ControlTotalMismatch(
                f"{slice_}: the provider states {stated} {currency} billed, its line items add up to {found}: nothing is published; "
                "collect again when the provider has corrected it"
            )
