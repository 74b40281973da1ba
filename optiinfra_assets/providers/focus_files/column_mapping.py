"""Maps the columns of a file that is not FOCUS, as a mapping file says; see `mapping_file`.

Columns that the file names as FOCUS does need no line. If they have no column and no constant, billing periods are the month of
ChargePeriodStart, and a charge ends one period after it starts. Columns without which a total is right may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.line_items import LayoutRejected, RejectedValue
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.layout import mandatory
from optiinfra_assets.line_items.normalizer import as_text
from optiinfra_assets.line_items.schema import TEXT, TIME
from optiinfra_assets.line_items.time_columns import TimeColumns
from optiinfra_assets.providers.files.location import MAPPING_NAME
from optiinfra_assets.providers.focus_files.value_forms import DateForms, NumberForm, next_days

_START: Final = "ChargePeriodStart"
_DERIVED: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodEnd")
_ENDS: Final = ("BillingPeriodEnd", "ChargePeriodEnd")
_SECONDS: Final = {"hour": 3600, "day": 86_400}
TAG: Final = "Tags."
"""What the name of one tag begins with, where a FOCUS column may stand."""


def _optional(given: Sequence[str]) -> list[str]:
    """Return the mandatory columns that a mapping may leave out: all without which totals are right."""
    is_before_1_3 = not {"ProviderName", "PublisherName"}.isdisjoint(given) and "ServiceProviderName" not in given
    return [name for name in mandatory(focus.V1_0 if is_before_1_3 else focus.V1_4) if name not in focus.NOT_NULL]


class MappedColumns:
    """Maps the batches of one file; a `FocusMapping`.

    Attributes:
        names: FOCUS columns: those of the file, mapped ones, constants and derived ones, then the columns that are mapped to nothing.
        reads: the columns of the file.
        repeated: none: few of them may repeat.
        delivered: FOCUS column -> the file's own name of it, where it is another one.
    """

    def __init__(
        self,
        names: Sequence[str],
        targets: Mapping[str, str],
        constants: Mapping[str, str],
        charge_period: str,
        numbers: NumberForm | None,
        dates: DateForms | None,
        others: Iterable[str] = (),
    ) -> None:
        """Match a mapping with the columns of a file; the arguments after `names` are those of a `ColumnMapping`.

        Raises:
            LayoutRejected: the file lacks a mapped column, or one of `others`.
        """
        by_name = {name.strip().lower(): name for name in names}
        own = {focus_name: by_name[focus_name.lower()] for focus_name in focus.BY_NAME if focus_name.lower() in by_name}
        sources = own | {target: self._found(by_name, source) for target, source in targets.items()}
        for source in others:
            self._found(by_name, source)
        self._tags = {target.removeprefix(TAG): source for target, source in sources.items() if target.startswith(TAG)}
        self._fixed_tags = {one.removeprefix(TAG): value for one, value in constants.items() if one.startswith(TAG)}
        self._sources = {
            one: source for one, source in sources.items() if one not in constants and not one.startswith(TAG)
        }
        self._constants = {target: value for target, value in constants.items() if not target.startswith(TAG)}
        self._charge_period, self._numbers, self._dates = charge_period, numbers, dates
        has_start = _START in self._sources or _START in self._constants
        self._derived = [
            one for one in _DERIVED if has_start and one not in self._sources and one not in self._constants
        ]
        if self._tags or self._fixed_tags:
            self._sources.pop("Tags", None)
            self._derived.append("Tags")
        used = {*self._sources.values(), *self._tags.values()}
        self._kept = [name for name in names if name not in used]
        given = [*self._sources, *self._constants, *self._derived]
        self._empty = [name for name in _optional(given) if name not in given]
        self.names: Sequence[str] = [*given, *self._empty, *self._kept]
        self.reads = list(names)
        self.repeated: set[str] = set()
        self.delivered: Mapping[str, str] = {one: source for one, source in self._sources.items() if one != source}

    @staticmethod
    def _found(by_name: Mapping[str, str], source: str) -> str:
        if source.strip().lower() not in by_name:
            columns = ", ".join(map(quoted, by_name.values()))
            raise LayoutRejected(
                f"column {source!r}, which {MAPPING_NAME} names, is missing: the columns are {columns}"
            )
        return by_name[source.strip().lower()]

    def to_focus(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Map a batch with the columns `reads` to one with the columns `names`.

        Raises:
            RejectedValue: the first number or date in another form than the mapping names, or a start that is no time.
        """
        given = self._read(batch)
        columns = list(given.values())
        columns += [pa.array([value] * batch.num_rows, TEXT) for value in self._constants.values()]
        derived = self._times(self._starts(batch, given)) if set(self._derived) & set(_DERIVED) else {}
        if "Tags" in self._derived:
            derived["Tags"] = self._joined_tags(batch)
        columns += [derived[name] for name in self._derived]
        columns += [pa.nulls(batch.num_rows, TEXT) for _ in self._empty]
        columns += [batch.column(name) for name in self._kept]
        return pa.RecordBatch.from_arrays(columns, names=self.names)

    def period_starts(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the column BillingPeriodStart of a batch."""
        name = _DERIVED[0]
        if name in self._constants:
            return pa.array([self._constants[name]] * batch.num_rows, TEXT)
        if name in self._sources:
            return self._read(batch, {name})[name]
        return self._times(self._starts(batch, self._read(batch, {_START})))[name]

    def _starts(self, batch: pa.RecordBatch, given: Mapping[str, pa.Array]) -> pa.Array:
        return given[_START] if _START in given else pa.array([self._constants[_START]] * batch.num_rows, TEXT)

    def _read(self, batch: pa.RecordBatch, only: Container[str] = focus.BY_NAME) -> dict[str, pa.Array]:
        """Read the columns that have a source; the first refused row counts, whichever column refuses it."""
        found: dict[str, pa.Array] = {}
        refusals: list[RejectedValue] = []
        for target, source in ((one, source) for one, source in self._sources.items() if one in only):
            try:
                found[target] = self._in_form(target, batch.column(source))
            except RejectedValue as refused:
                refused.column = target
                refusals.append(refused)
        if refusals:
            raise min(refusals, key=lambda refused: refused.index or 0)
        return found

    def _in_form(self, target: str, values: pa.Array) -> pa.Array:
        kind = focus.BY_NAME[target].kind
        if kind is focus.ColumnType.DECIMAL and self._numbers is not None:
            return self._numbers.read(values)
        if kind is focus.ColumnType.TIME and self._dates is not None:
            if target not in _ENDS or not self._dates.includes_last_day:
                return DateForms(self._dates.patterns).read(values)
            return next_days(self._dates.read(values))
        return values

    def _joined_tags(self, batch: pa.RecordBatch) -> pa.Array:
        texts = {name: as_text(batch.column(source)).to_pylist() for name, source in self._tags.items()}
        rows = zip(*texts.values(), strict=True) if texts else (() for _ in range(batch.num_rows))
        found = [dict(zip(texts, row, strict=True)) | self._fixed_tags for row in rows]
        return pa.array(
            [json.dumps({name: one for name, one in tags.items() if one is not None}) for tags in found], TEXT
        )

    def _times(self, starts: pa.Array) -> dict[str, pa.Array]:
        times = TimeColumns(Irregularities())
        times.learn(_START, starts)
        try:
            read = times.read(_START, self._sources.get(_START, _START), starts, is_counted=False)
        except RejectedValue as refused:
            refused.column = _START
            raise
        seconds = read.cast(pa.int64()).fill_null(0).to_numpy().astype("datetime64[s]")
        months = seconds.astype("datetime64[M]")
        is_month = self._charge_period == "month"
        ends = (months + 1).astype("datetime64[s]") if is_month else seconds + _SECONDS[self._charge_period]
        found = {"BillingPeriodStart": months, "BillingPeriodEnd": months + 1, "ChargePeriodEnd": ends}
        mask = read.is_null().to_numpy(zero_copy_only=False)
        return {
            name: pa.array(value.astype("datetime64[s]").astype(np.int64), mask=mask).cast(TIME)
            for name, value in found.items()
        }
