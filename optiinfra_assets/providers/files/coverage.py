"""Measures how far the charges in a stream of line items reach, and whether all of them are invoiced."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain.accounts import BillingPeriod


class ChargeCoverage:
    """Collects the coverage of one slice from its batches.

    Attributes:
        is_invoiced: whether every line item so far has an invoice id.
    """

    def __init__(self, billing_period: BillingPeriod) -> None:
        """Starts with no batches."""
        self.is_invoiced = True
        self._end = billing_period.end
        self._usage: datetime | None = None
        self._any: datetime | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a batch of `optiinfra_assets.line_items.SCHEMA`."""
        ends = batch.column("charge_period_end")
        categories = batch.column("charge_category")
        usage = pc.is_in(
            categories.indices, pc.indices_nonzero(pc.equal(categories.dictionary, "Usage")).cast(pa.int32())
        )
        self._usage = _later(self._usage, pc.max(ends.filter(usage)).as_py())
        self._any = _later(self._any, pc.max(ends).as_py())
        self.is_invoiced = self.is_invoiced and not pc.any(not_invoiced(batch)).as_py()

    def data_through(self, now: datetime) -> datetime | None:
        """Returns the latest end of a charge (UTC), at most the end of the period and `now`; None without charges.

        A yearly purchase ends long after the data do, so only usage counts if there is any.
        """
        latest = self._usage or self._any
        return None if latest is None else min(latest.astimezone(UTC), self._end, now)


def not_invoiced(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Returns for each line item whether it has no invoice id: null or an empty text."""
    ids = batch.column("invoice_id")
    empty = pc.fill_null(pc.equal(ids.dictionary, ""), False).take(ids.indices)
    return pc.fill_null(empty, True)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
