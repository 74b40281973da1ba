"""One attempt at a slice: read its source, say whether that is news, and record what became of it. `publishing` makes the news visible."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

import pyarrow as pa

from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.errors import BadData, ContractChanged, NothingThere
from optiinfra_assets.domain.publications import CONTROL_TOTAL, MEASURES, WARNING, Publication, complete_through
from optiinfra_assets.ingestion.completeness import refuse_lost
from optiinfra_assets.line_items.content_hash import FORM
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE, SliceLock
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.warehouse.loading import LineItemBuffer, LoadResult, insert
from optiinfra_assets.warehouse.warehouse import Warehouse

CHECK_SECONDS: Final = 1.0
"""Seconds between two checks whether the slice is still to be collected: a file yields a hundred batches a second."""
BEYOND: Final = Decimal(10) ** 20
"""The first number that a Decimal(38, 18) cannot hold."""


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
        seconds: duration of each stage: read (waiting for the provider), then those of all slices that were published together: insert,
            derive (only of those that were written while they were read), verify, publish. `hash` only beside one of an earlier version.
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


@dataclass(slots=True, eq=False)
class SliceAttempt:
    """One attempt to build a generation. The caller holds `lock`, the one on the slice, until it ends.

    Attributes:
        start: returns a new number for it, and records that it goes on.
        generation: its number, 0 until line items are to be written: what is unchanged needs none. Nobody sees its rows until it is
            published.
        is_written: all its line items are in ``raw_costs``.
        seconds: duration of each stage so far.
    """

    slice: Slice
    start: Callable[[], int]
    is_simulated: bool
    run_id: str
    warehouse: Warehouse
    metadata: Metadata
    lock: SliceLock
    check: Callable[[], None]
    accept_empty: bool
    generation: int = 0
    is_written: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    before: Publication | None = field(init=False)
    collection: LineItemStream = field(init=False)
    items: LineItemBuffer = field(init=False)

    def read(self, collection: LineItemStream) -> bool:
        """Read `collection` and return whether it differs from what is published; then the attempt has its number.

        More line items than can be held are written meanwhile.

        Raises:
            BadData: a value or a total cannot be stored exactly.
            ControlTotalMismatch: the line items do not add up to the provider's own total.
            NothingThere: days are missing that were published, or nobody ever saw the month. Errors of `collection` are raised unchanged.
        """
        self.collection, self.before = collection, self.warehouse.current(self.slice)
        self.items = LineItemBuffer(self._reading(collection.batches))
        is_of_earlier_form = self.before is not None and not self.before.content_hash.startswith(FORM)
        if not self.items.hold() or is_of_earlier_form:
            self.generation = self.start()
            with self.timed("insert"):
                insert(self.warehouse.client, [(self.slice, self.generation, self.items)])
            self.is_written = True
        _refuse_too_large(self.items.loaded)
        _compare_control_totals(self.slice, collection, self.items.loaded)
        if self.before is not None and not self.accept_empty:
            refuse_lost(self.before, self.items.loaded, collection)
        if self.before is None and not self.items.loaded.line_items:
            self._refuse_unknown()
        is_news = self._differs(self.before) if self.before else self.items.loaded.line_items > 0
        if is_news and not self.is_written:
            self.generation = self.start()
        return is_news

    def begin_anew(self) -> None:
        """Take another number: nobody knows which rows were written under this one. The line items that are held are written again."""
        self.metadata.slices.finish_generation(self.generation, "discarded")
        self.generation = self.start()

    def publication(self) -> Publication:
        """The publication of what was read."""
        collection, loaded = self.collection, self.items.loaded
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

    def succeed(self, published: Publication | None) -> SliceResult:
        """Record the attempt as successful; `published` is the new publication, None if nothing is new."""
        with self.metadata.transaction():
            if self.generation:
                self.metadata.slices.finish_generation(self.generation, "published" if published else "unchanged")
            self._record(published)
        return SliceResult(
            slice=self.slice,
            outcome=CollectionOutcome.PUBLISHED if published else CollectionOutcome.UNCHANGED,
            published=published or self.before,
            before=self.before,
            collection=self.collection,
            loaded=self.items.loaded,
            seconds=self.seconds,
        )

    def give_up(self, log: logging.Logger) -> None:
        """Leave the rows of a failed attempt to garbage collection: nobody sees them, and it removes those of many at once.

        If nobody knows whether they are published, the attempt counts as going on, so that they stay for a day.
        """
        if not self.generation:
            return
        try:
            if not self.warehouse.maybe_published({self.generation: self.slice}):
                self.metadata.slices.finish_generation(self.generation, "discarded")
        except Exception as error:  # noqa: BLE001 - the attempt's own error is the one to report
            log.warning(
                "%s: generation %s counts as being collected until its run has ended: %s",
                self.slice,
                self.generation,
                error,
            )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - begun

    def _differs(self, before: Publication) -> bool:
        """Whether the line items are others than the published ones, whose hash an earlier version may have computed in its form."""
        if before.content_hash.startswith(FORM):
            return before.content_hash != str(self.items.loaded.content)
        with self.timed("hash"):
            return before.content_hash != self.warehouse.earlier_content_hash(self.slice, self.generation)

    def _record(self, published: Publication | None) -> None:
        collection = self.collection
        token = collection.change_token if collection.sources else self._token_of_nothing(collection.change_token)
        self.metadata.slices.record_collection(
            self.slice,
            token,
            datetime.now(UTC),
            line_items=self.items.loaded.line_items,
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
