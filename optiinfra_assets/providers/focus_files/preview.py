"""Shows how one file of this machine would be read: its first rows as line items, what is missing, and a mapping if it needs one.

Nothing is stored, and no account is needed. A file that is FOCUS, or has a mapping beside it, is read as a collection would.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.domain.focus_datasets import sibling_dataset
from optiinfra_assets.line_items import Layout, LayoutRejected, Normalizer, RejectedValue
from optiinfra_assets.line_items.leniency import Leniency
from optiinfra_assets.line_items.normalizer import as_text
from optiinfra_assets.providers.base import FilePreview
from optiinfra_assets.providers.files.charge_rows import TableReader
from optiinfra_assets.providers.files.csv_header import TableForm
from optiinfra_assets.providers.files.focus_files import SOURCE, FocusMapping, bad_data
from optiinfra_assets.providers.files.location import MAPPING_NAME, SUFFIXES, FileVersion, LocalFolder, is_mapping_file
from optiinfra_assets.providers.files.parquet_reader import open_table
from optiinfra_assets.providers.focus_files.mapping_file import ColumnMapping, mapped, read_mapping
from optiinfra_assets.providers.focus_files.other_formats import other_format
from optiinfra_assets.providers.focus_files.proposal import NEEDED, USEFUL, Proposal, propose

ROWS_SHOWN: Final = 5
ROWS_LOOKED_AT: Final = 200
"""Rows from whose values the forms of numbers and dates are guessed."""
_TOTAL: Final = (
    r"(?i)^\s*(sub|grand |net )?(totals?|(zwischen|gesamt)?summe|(ins)?gesamt|somme|suma|totale|totaal)\s*:?\s*$"
)
"""What a row that sums up others says."""
_STAND_INS: Final = {"BillingCurrency": "XXX", "BillingAccountId": "?"}
"""What the first rows are read with while a proposed mapping lacks it."""


def preview(path: str) -> FilePreview:
    """Read the first rows of the file at `path`.

    Raises:
        BadData: there is no such file, its name has no known ending, or it is not readable.
        ProviderError: it cannot be read.
    """
    at = Path(path).expanduser().absolute()
    if not at.is_file():
        raise BadData(f"{at}: there is no such file: give the path of one file with costs")
    if not at.name.lower().endswith(SUFFIXES):
        raise BadData(f"{at}: is not accepted: the name of a file of costs ends in {', '.join(SUFFIXES)}")
    folder = LocalFolder(at.parent)
    file = folder.current(at.name)
    if file is None:
        raise BadData(f"{at}: is gone")
    mapping_path, mapping = _mapping_above(at.parent)
    form = mapping.rows() if isinstance(mapping, ColumnMapping) else TableForm()
    with open_table(folder, file, form=form) as table:
        batch = next(table.batches(None, set()), None)
        first = pa.RecordBatch.from_pylist([], pa.schema([])) if batch is None else batch
        return _Preview(str(at), table, first).found(mapping_path, mapping)


def _mapping_above(folder: Path) -> tuple[str | None, ColumnMapping | BadData | None]:
    """Return the mapping file that serves a folder, if it or one above it has one, and its content."""
    for one in (folder, *folder.parents):
        found = sorted(path.name for path in one.glob("*-mapping.toml") if is_mapping_file(path.name))
        if found:
            location = LocalFolder(one)
            version = location.current(found[-1])
            if isinstance(version, FileVersion):
                return str(one / found[-1]), read_mapping(location, version)
    return None, None


class _Preview:
    """One file, with the first of its rows."""

    def __init__(self, path: str, table: TableReader, batch: pa.RecordBatch) -> None:
        self._path, self._table, self._batch = path, table, batch

    def found(self, mapping_path: str | None, mapping: ColumnMapping | BadData | None) -> FilePreview:
        """Read the rows as FOCUS, else with the mapping, else with a proposed one."""
        names = self._table.names
        try:
            layout = Layout.of(names, may_lack_nullable=True)
            return self._read(f"FOCUS {layout.version_text}", layout, None)
        except LayoutRejected as refused:
            said = str(refused)
        if isinstance(mapping, BadData):
            return FilePreview(self._path, f"read with {mapping_path}", problem=str(mapping))
        if mapping is not None:
            try:
                form = mapped(names, mapping)
                return self._read(f"read with {mapping_path}", Layout.of(form.names, may_lack_nullable=True), form)
            except LayoutRejected as refused:
                missing = [one for one in NEEDED if one not in _given(mapping, names)]
                return FilePreview(self._path, f"read with {mapping_path}", missing=missing, problem=str(refused))
        if known := other_format(names) or (said if sibling_dataset(names) else ""):
            return FilePreview(self._path, "not FOCUS", problem=known)
        return self._proposed()

    def _proposed(self) -> FilePreview:
        totals = _totals(self._batch)
        is_total = pc.is_in(pa.array(range(self._batch.num_rows)), pa.array(list(totals), pa.int64()))
        self._batch = self._batch.filter(pc.invert(is_total))
        first = self._batch.slice(0, ROWS_LOOKED_AT)
        proposal = propose({name: _texts(first, name) for name in self._table.names})
        for name, value in totals.values():
            proposal.skip.setdefault(name, set()).add(value)
        said = f"not FOCUS, and no {MAPPING_NAME} serves it: read with the proposed one"
        shown = FilePreview(self._path, said, missing=proposal.missing, proposed=proposal.toml())
        if not {*proposal.missing} <= {*_STAND_INS}:
            return shown
        mapping = _trial(proposal)
        form = mapped(self._table.names, mapping)
        read = self._read(said, Layout.of(form.names, may_lack_nullable=True), form, {*proposal.missing})
        read.missing, read.proposed = proposal.missing, shown.proposed
        return read

    def _read(
        self, said: str, layout: Layout, form: FocusMapping | None, blank: AbstractSet[str] = frozenset()
    ) -> FilePreview:
        preview = FilePreview(self._path, said)
        rows: list[dict[str, Any]] = []
        leniency, rounding = Leniency(), Rounding()
        normalizer = Normalizer(layout, rounding, source=SOURCE, leniency=leniency)
        for index in range(min(ROWS_SHOWN, self._batch.num_rows)):
            try:
                one = self._batch.slice(index, 1)
                rows += normalizer.convert(form.to_focus(one) if form else one).to_pylist()
            except RejectedValue as refused:
                preview.problem = str(bad_data(self._path, self._table, refused, index, form))
                break
        preview.rows = [_shown(one, blank) for one in rows]
        preview.missing = [one for one in USEFUL if rows and not any(row.get(one) for row in preview.rows)]
        told = {one.message for one in self._table.warnings}
        preview.notes = sorted(told | {one.message for one in leniency.irregularities.drain()})
        return preview


def _totals(batch: pa.RecordBatch) -> dict[int, tuple[str, str]]:
    """Return the rows that are called a total, with the column and value that say so."""
    found: dict[int, tuple[str, str]] = {}
    for name in batch.schema.names:
        texts = as_text(batch.column(name))
        is_named = pc.fill_null(pc.match_substring_regex(texts, _TOTAL), False)
        for row in np.flatnonzero(is_named.to_numpy(zero_copy_only=False)).tolist():
            found.setdefault(row, (name, texts[row].as_py().strip()))
    return found if len(found) < batch.num_rows else {}


def _given(mapping: ColumnMapping, names: Sequence[str]) -> set[str]:
    own = {name.strip().lower() for name in names}
    return {*mapping.targets(), *mapping.constants, *(one for one in focus.BY_NAME if one.lower() in own)}


def _trial(proposal: Proposal) -> ColumnMapping:
    missing = {one: value for one, value in _STAND_INS.items() if one in proposal.missing}
    mapping = ColumnMapping.model_validate(tomllib.loads(proposal.toml()))
    return mapping.model_copy(update={"constants": mapping.constants | missing})


def _texts(batch: pa.RecordBatch, name: str) -> list[str]:
    if name not in batch.schema.names:
        return []
    return [one for one in as_text(batch.column(name)).to_pylist() if one not in (None, "")]


def _shown(row: dict[str, Any], blank: AbstractSet[str]) -> dict[str, Any]:
    """Return a line item by FOCUS names, without what is null or empty; `blank` columns have only stand-ins."""
    values = {column.name: row[column.snake] for column in focus.STORED if column.name not in blank}
    values |= dict(row["x_columns"] or ())
    values["Tags"] = dict(row["tags"] or ())
    return {name: _plain(value) for name, value in values.items() if value not in (None, "", {})}


def _plain(value: Any) -> Any:
    """Return money without the zeros of its type, and times as FOCUS writes them."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
