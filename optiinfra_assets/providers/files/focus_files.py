"""Reads FOCUS files that hold one or several billing periods each: which periods a file has, and the line items of one of them.

A billing period is the UTC month of BillingPeriodStart. This module counts months from January 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.domain.focus import BY_NAME, ColumnType
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.domain.spreadsheet_text import MARKED
from optiinfra_assets.line_items import Layout, LayoutRejected, Normalizer, RejectedValue
from optiinfra_assets.line_items.arrow_tools import dictionary_encoded, is_text, utf8_decoded
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.leniency import Leniency
from optiinfra_assets.line_items.schema import REPEATED_TEXT, TIME, arrow_type
from optiinfra_assets.line_items.time_columns import TimeColumns
from optiinfra_assets.line_items.timestamps import ACCEPTED
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.files.charge_rows import TableReader
from optiinfra_assets.providers.files.csv_header import TableForm
from optiinfra_assets.providers.files.location import FileVersion, Location
from optiinfra_assets.providers.files.parquet_reader import open_table

SOURCE = "focus file"
PERIOD_COLUMN = "BillingPeriodStart"

_known: dict[tuple[str, FileVersion, str], frozenset[int]] = {}
"""Months of each file version that this process has read. The content of a version never changes, so entries never become wrong;
another process reads the one column again."""
_KNOWN_AT_MOST = 100_000


def month_of(period: BillingPeriod) -> int:
    """Returns the number of months from January 1970."""
    return (period.year - 1970) * 12 + period.month - 1


def period_of(month: int) -> BillingPeriod:
    """Returns the billing period `month` months after January 1970."""
    return BillingPeriod(1970 + month // 12, month % 12 + 1)


class NotCosts(BadData):
    """The file is whole, but has no costs of charges: another dataset of FOCUS, or something else."""


class FocusMapping(Protocol):
    """Maps the columns of a file that is not FOCUS to FOCUS columns."""

    names: Sequence[str]
    """The columns it returns, in FOCUS and ``x_`` names."""
    reads: list[str]
    """The columns of the file that it needs."""
    repeated: set[str]
    """Those of them to be read dictionary-encoded."""
    delivered: Mapping[str, str]
    """Name in `names` -> the file's own name of the column, where an error that names the first should say the second too."""

    def to_focus(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Maps a batch with the columns `reads` to one with the columns `names`. A RejectedValue names the file's own column."""
        ...

    def period_starts(self, batch: pa.RecordBatch) -> pa.Array:
        """Returns the column BillingPeriodStart of a batch alone, as `to_focus` does: no other value needs to be accepted."""
        ...


MappingFor = Callable[[Sequence[str], Rounding], FocusMapping | None]
"""From the columns of a file: its mapping, or None if the file is FOCUS already. The mapping adds what it rounds to the rounding."""


def focus_as_it_is(names: Sequence[str], rounding: Rounding) -> FocusMapping | None:
    """The `MappingFor` of FOCUS files."""
    return None


def table_form(form_of: MappingFor) -> TableForm | None:
    """Returns what a mapping tells of the rows of its files, if it does."""
    return getattr(form_of, "rows", None)


def layout_of(
    path: str, table: TableReader, form_of: MappingFor = focus_as_it_is, rounding: Rounding | None = None
) -> tuple[Layout, FocusMapping | None]:
    """Returns the layout of an open file, and its mapping if it is not FOCUS.

    Raises:
        BadData: the columns are neither FOCUS nor of a known mapping, or one is missing; `NotCosts` if they are of no costs.
    """
    try:
        form = form_of(table.names, rounding or Rounding())
        return Layout.of((form or table).names, may_lack_nullable=True), form
    except LayoutRejected as refused:
        raise (BadData if refused.has_costs else NotCosts)(f"{path}: {refused}") from refused


def months_of(location: Location, file: FileVersion, form_of: MappingFor = focus_as_it_is) -> frozenset[int]:
    """Returns the months that a file has rows of; reads only one column, and each version once in a process.

    Raises:
        ProviderError: the file cannot be read, or a BillingPeriodStart in it is not accepted.
    """
    if (known := _known.get(_key(location, file, form_of))) is not None:
        return known
    months: set[int] = set()
    for found in _months_by_batch(location, file, form_of):
        months |= found
    return _remember(location, file, months, form_of)


def months_before_problem(
    location: Location, file: FileVersion, form_of: MappingFor = focus_as_it_is
) -> frozenset[int]:
    """Returns the months of the rows before the first problem of a file that cannot be read to its end.

    Raises:
        ProviderError: the file cannot be read at all, for another reason than its content.
    """
    months: set[int] = set()
    try:
        for found in _months_by_batch(location, file, form_of):
            months |= found
    except BadData:
        pass
    return frozenset(months)


def _months_by_batch(location: Location, file: FileVersion, form_of: MappingFor) -> Iterator[set[int]]:
    path = location.path(file.name)
    with open_table(location, file, form=table_form(form_of)) as table:
        layout, form = layout_of(path, table, form_of)
        name = layout.names[layout.positions[PERIOD_COLUMN]]
        times = TimeColumns(Irregularities())
        row = 0
        for batch in table.batches(*((form.reads, form.repeated) if form else ([name], {name}))):
            read = form.period_starts if form else _first_column
            try:
                yield _found(_months(read(batch), name, times))
            except RejectedValue as refused:
                if refused.index:
                    yield _found(_months(read(batch.slice(0, refused.index)), name, times))
                raise bad_data(path, table, refused, row, form) from refused
            row += batch.num_rows


def _first_column(batch: pa.RecordBatch) -> pa.Array:
    return batch.column(0)


def _found(months: np.ndarray) -> set[int]:
    return set(np.unique(months).tolist())


def _key(location: Location, file: FileVersion, form_of: MappingFor) -> tuple[str, FileVersion, str]:
    """What the months of a file follow from: its content, and the version of the mapping that it is read with, if one may change."""
    return location.address, file, getattr(form_of, "token", "")


def _remember(location: Location, file: FileVersion, months: set[int], form_of: MappingFor) -> frozenset[int]:
    if len(_known) >= _KNOWN_AT_MOST:
        _known.clear()
    return _known.setdefault(_key(location, file, form_of), frozenset(months))


def months_of_known(location: Location, file: FileVersion) -> frozenset[int]:
    """Returns the months of a file that this process has read completely."""
    return _known[_key(location, file, focus_as_it_is)]


def has_rows(location: Location, file: FileVersion, month: int, form_of: MappingFor = focus_as_it_is) -> bool:
    """Returns whether a file has rows of a month.

    If the file is not known yet and its first batch has such rows, this does not read the rest: `line_items` does.

    Raises:
        ProviderError: the file cannot be read, or a BillingPeriodStart in it is not accepted.
    """
    if (known := _known.get(_key(location, file, form_of))) is not None:
        return month in known
    first = next(_months_by_batch(location, file, form_of), set())
    return month in first or month in months_of(location, file, form_of)


def line_items(
    location: Location,
    file: FileVersion,
    month: int,
    collection: LineItemStream,
    *,
    source: str = SOURCE,
    form_of: MappingFor = focus_as_it_is,
    block_bytes: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one month of a file; adds the file to the sources of `collection` if it has any.

    Args:
        location: where the file is.
        file: version of the file to read.
        month: as `month_of` returns it.
        collection: receives sources and roundings.
        source: stored with the line items as their source.
        form_of: returns the mapping of a file that is not FOCUS.
        block_bytes: see `open_table`.

    Raises:
        BadData: a row is not accepted; names the first one.
        ProviderError: the file cannot be read, or changed meanwhile.
    """
    return _Reading(location, file, month, collection, source, form_of, block_bytes).batches()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads the rows of one month of one file."""

    location: Location
    file: FileVersion
    month: int
    collection: LineItemStream
    source: str
    form_of: MappingFor
    block_bytes: int | None

    @property
    def path(self) -> str:
        """The full address of the file."""
        return self.location.path(self.file.name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the line items."""
        rows = 0
        months: set[int] = set()
        path = self.path
        with open_table(self.location, self.file, self.block_bytes, table_form(self.form_of)) as table:
            layout, form = layout_of(path, table, self.form_of, self.collection.rounding)
            leniency = Leniency()
            door = Normalizer(layout, self.collection.rounding, source=self.source, leniency=leniency)
            self._warn_of_names(layout)
            read = (form.reads, form.repeated) if form else (None, _repeated(layout))
            for first_row, batch in _numbered(table.batches(*read)):
                try:
                    batch = (
                        _without_marks(batch, layout) if table.has_text_only and layout.extra_map is not None else batch
                    )
                    batch = self._wanted(batch, layout, form, door, leniency, months, first_row)
                except RejectedValue as refused:
                    raise bad_data(path, table, refused, first_row, form) from refused
                rows += batch.num_rows
                if batch.num_rows:
                    yield batch
            self.collection.warnings.extend(table.warnings)
        _remember(self.location, self.file, months, self.form_of)
        if rows:
            self.collection.sources.append(
                {
                    "file": self.file.name,
                    "version": self.file.version,
                    "focus": layout.version_text,
                    "size": str(self.file.size),
                    "rows": str(rows),
                }
            )

    def _wanted(
        self,
        batch: pa.RecordBatch,
        layout: Layout,
        form: FocusMapping | None,
        door: Normalizer,
        leniency: Leniency,
        months: set[int],
        row: int,
    ) -> pa.RecordBatch:
        """Returns the rows of the month as line items. The first rejected row is reported, whichever column rejects it."""
        position = layout.positions[PERIOD_COLUMN]
        try:
            starts = form.period_starts(batch) if form else batch.column(position)
            found = _months(starts, layout.names[position], leniency.times)
        except RejectedValue as refused:
            if refused.index:
                self._wanted(batch.slice(0, refused.index), layout, form, door, leniency, months, row)
            raise
        months |= _found(found)
        rows = np.flatnonzero(found == self.month)
        try:
            chosen = batch if len(rows) == len(found) else batch.take(pa.array(rows))
            converted = door.convert(form.to_focus(chosen) if form else chosen)
        except RejectedValue as refused:
            if refused.index is not None:
                refused.index = int(rows[refused.index])
            raise
        for one in leniency.irregularities.drain():
            example = f"{self.path}: row {row + int(rows[one.index]) + 1}, value {one.value}"
            self.collection.warnings.add(one.code, one.message, one.count, example)
        return converted

    def _warn_of_names(self, layout: Layout) -> None:
        if layout.respelled:
            message = "names of columns with spaces or underscores were read as those of FOCUS"
            example = f"{self.path}: {', '.join(map(quoted, layout.respelled[:3]))}"
            self.collection.warnings.add("column-name", message, len(layout.respelled), example)


def _without_marks(batch: pa.RecordBatch, layout: Layout) -> pa.RecordBatch:
    """Takes from the text of our own download the marks that keep spreadsheets from running it; see `domain.spreadsheet_text`."""
    for name, position in layout.positions.items():
        values = batch.column(position)
        if BY_NAME[name].kind is ColumnType.STRING and is_text(values.type):
            texts = values.dictionary if pa.types.is_dictionary(values.type) else values
            plain = pc.replace_substring_regex(texts, MARKED, r"\1")
            if pa.types.is_dictionary(values.type):
                plain = dictionary_encoded(pa.DictionaryArray.from_arrays(values.indices, plain))
            batch = batch.set_column(position, batch.schema.field(position).name, plain)
    return batch


def _months(values: pa.Array, name: str, times: TimeColumns) -> np.ndarray:
    """Returns the month of each BillingPeriodStart.

    Raises:
        RejectedValue: a value is null or not a time; gives the first one.
    """
    try:
        values = utf8_decoded(values)
        times.learn(PERIOD_COLUMN, values)
        starts = times.read(PERIOD_COLUMN, name, values, is_counted=False)
        if starts.null_count:
            raise RejectedValue(pc.index(starts.is_null(), True).as_py(), None, ACCEPTED)
    except RejectedValue as refused:
        refused.column = name
        raise
    seconds = starts.cast(pa.int64()).to_numpy()
    months: np.ndarray = seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return months


def _numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields each batch with the number of its first row in the file, from 0."""
    first_row = 0
    for batch in batches:
        yield first_row, batch
        first_row += batch.num_rows


def _repeated(layout: Layout) -> set[str]:
    """Returns the delivered columns to read dictionary-encoded: times, and text that is stored so."""
    kinds = (TIME, REPEATED_TEXT)
    return {layout.names[n] for name, n in layout.positions.items() if arrow_type(BY_NAME[name]) in kinds}


def bad_data(
    path: str, table: TableReader, refused: RejectedValue, first_row: int, form: FocusMapping | None = None
) -> BadData:
    """Returns the error for a value of a batch that begins at `first_row` of the file; it names the file's own column."""
    if form is not None and refused.column in form.delivered:
        refused.column = f"{form.delivered[refused.column]} ({refused.column})"
    if refused.index is None:
        return BadData(f"{path}: {refused}")
    row = first_row + refused.index
    line = table.line(row)
    return BadData(f"{path}: row {row + 1}{f' (line {line})' if line else ''}, {refused}")
