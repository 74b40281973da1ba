"""Reads the datasets of FOCUS that lie beside CostAndUsage, as far as they are used: which months their issuers have closed, and invoices.

They are small: a row for each month of an issuer, a few for each invoice. A file is one of them by its columns, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa

from optiinfra_assets.domain.errors import BadData, ProviderError, Rounding
from optiinfra_assets.domain.focus import Column, ColumnType
from optiinfra_assets.domain.focus_datasets import BILLING_PERIOD, CLOSED, USED_COLUMNS, sibling_dataset, squeezed
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.line_items import RejectedValue
from optiinfra_assets.line_items.arrow_tools import dictionary_decoded, first_true, utf8_decoded
from optiinfra_assets.line_items.leniency import Leniency
from optiinfra_assets.line_items.normalizer import convert
from optiinfra_assets.providers.files.charge_rows import TableReader
from optiinfra_assets.providers.files.focus_files import bad_data
from optiinfra_assets.providers.files.location import FileVersion, Location
from optiinfra_assets.providers.files.parquet_reader import open_table

_MOST_KNOWN: Final = 100_000
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_known: dict[tuple[str, FileVersion], str | None] = {}
"""Dataset of each file version that this process has opened: its content never changes."""


def dataset_of(location: Location, file: FileVersion) -> str | None:
    """Return the dataset beside CostAndUsage that a file holds; None for any other file, and for one that cannot be read."""
    key = (location.address, file)
    if key not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        try:
            with open_table(location, file) as table:
                _known[key] = sibling_dataset(table.names)
        except BadData:
            _known[key] = None
        except ProviderError:
            return None
    return _known[key]


def rows_of(location: Location, file: FileVersion, dataset: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of a dataset: its used columns by FOCUS name, typed; None for null and for columns that the file lacks.

    Raises:
        BadData: a needed column is missing, or a value is not accepted; names file, row, line, column and what is accepted.
        ProviderError: the file cannot be read.
    """
    path = location.path(file.name)
    with open_table(location, file) as table:
        names = {squeezed(name): name for name in table.names}
        columns = {one: names[one.name.lower()] for one in USED_COLUMNS[dataset] if one.name.lower() in names}
        if missing := [one.name for one in USED_COLUMNS[dataset] if one.mandatory and one not in columns]:
            raise BadData(f"{path}: is the FOCUS dataset {dataset}: mandatory column {', '.join(missing)} is missing")
        leniency, first = Leniency(), 0
        for batch in table.batches(list(columns.values()), set()):
            for one, name in columns.items():
                leniency.times.learn(one.name, batch.column(name))
            typed = {one.name: _typed(path, table, batch, one, name, leniency, first) for one, name in columns.items()}
            nothing = dict.fromkeys(one.name for one in USED_COLUMNS[dataset])
            yield from (nothing | row for row in pa.RecordBatch.from_pydict(typed).to_pylist())
            first += batch.num_rows


def _typed(
    path: str, table: TableReader, batch: pa.RecordBatch, column: Column, name: str, leniency: Leniency, first: int
) -> pa.Array:
    try:
        values = utf8_decoded(batch.column(name))
        found = _converted(column, name, values, leniency)
        missing = None if column.nullable else first_true(found.is_null())
        if missing is not None:
            raise RejectedValue(missing, values[missing].as_py(), "a value in every row")
    except RejectedValue as refused:
        refused.column = name
        raise bad_data(path, table, refused, first) from refused
    return dictionary_decoded(found)


def _converted(column: Column, name: str, values: pa.Array, leniency: Leniency) -> pa.Array:
    if column.kind is ColumnType.TIME:
        return leniency.times.read(column.name, name, values, is_counted=False)
    strict = partial(convert, column)
    try:
        return strict(values, Rounding())
    except RejectedValue:
        if column.accepted:
            raise
        return leniency.column(column, name, values, strict, Rounding())


class ClosedPeriods:
    """The months that BillingPeriod files say are closed, as numbers since January 1970."""

    def __init__(self, location: Location, files: Iterable[FileVersion], warnings: SourceWarnings) -> None:
        """Read the files; one that cannot be read is told in `warnings`, and closes nothing."""
        self._newest: dict[tuple[int, str], tuple[datetime, str]] = {}
        for file in files:
            try:
                for row in rows_of(location, file, BILLING_PERIOD):
                    self._add(row)
            except BadData as problem:
                warnings.add("file-skipped", f"skipped, so that it closes no month: {problem}")

    def _add(self, row: dict[str, Any]) -> None:
        start: datetime = row["BillingPeriodStart"]
        key = ((start.year - 1970) * 12 + start.month - 1, row["InvoiceIssuerName"])
        said = (row["BillingPeriodLastUpdated"] or _NEVER, row["BillingPeriodStatus"])
        if key not in self._newest or said[0] >= self._newest[key][0]:
            self._newest[key] = said

    def __contains__(self, month: int) -> bool:
        """Whether every issuer of a month has closed it, as each said last."""
        said = [status for (of, _), (_, status) in self._newest.items() if of == month]
        return bool(said) and set(said) == {CLOSED}
