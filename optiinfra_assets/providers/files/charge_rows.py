"""The rows of an open file, and of these the ones that are charges, as a mapping says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa

from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.line_items.normalizer import as_text
from optiinfra_assets.providers.files.csv_header import TableForm


class TableReader(Protocol):
    """One open file."""

    names: list[str]
    """Column names as delivered."""
    has_text_only: bool
    """It is CSV: all values are text."""
    warnings: SourceWarnings
    """What was read although the file is not quite of its type; complete after `batches`."""

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """Yields the rows, with all columns in file order, or those in `only`; text columns in `repeated` are dictionary-encoded."""
        ...

    def line(self, row: int) -> int | None:
        """Returns the physical line (from 1) on which a row of the latest batch (counted from 0 in the file) starts; None without lines."""
        ...


class ChargeRows:
    """A table without the rows that are no charges, such as one of a total; rows are counted without them.

    Attributes:
        names: see `TableReader`.
        has_text_only: see `TableReader`.
        warnings: see `TableReader`.
    """

    def __init__(self, table: TableReader, skipped: Mapping[str, frozenset[str]], path: str) -> None:
        self._table, self._skipped, self._path = table, skipped, path
        self.names, self.has_text_only, self.warnings = table.names, table.has_text_only, table.warnings
        self._numbers = np.zeros(0, np.int64)
        self._first = 0

    @staticmethod
    def of(table: TableReader, form: TableForm | None, path: str) -> TableReader:
        """Return the table itself if the form names no rows that its columns may have."""
        if form is None or not form.skipped or not set(form.skipped) <= set(table.names):
            return table
        return ChargeRows(table, form.skipped, path)

    def batches(self, only: list[str] | None, repeated: set[str]) -> Iterator[pa.RecordBatch]:
        """See `TableReader.batches`. With columns in `only` that do not show which rows are charges, it yields all rows."""
        seen = kept = 0
        for batch in self._table.batches(only, repeated):
            is_charge = np.ones(batch.num_rows, bool)
            for name, values in self._skipped.items():
                if name in batch.schema.names:
                    texts = (text or "" for text in as_text(batch.column(name)).to_pylist())
                    is_charge &= np.fromiter((text.strip() not in values for text in texts), bool, batch.num_rows)
            rows = np.flatnonzero(is_charge)
            self._numbers, self._first = rows + seen, kept
            seen, kept = seen + batch.num_rows, kept + len(rows)
            if len(rows) < batch.num_rows:
                self.warnings.add(
                    "row-skipped", "rows that the mapping skips were left out", batch.num_rows - len(rows), self._path
                )
                batch = batch.take(pa.array(rows))
            if batch.num_rows:
                yield batch

    def line(self, row: int) -> int | None:
        """See `TableReader.line`."""
        at = row - self._first
        return self._table.line(int(self._numbers[at])) if 0 <= at < len(self._numbers) else None
