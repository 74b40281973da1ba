"""Reads ``focus-mapping.toml``, which names the FOCUS column of each column of files that are not FOCUS.

It serves the files of its folder, and of the folders below it that have none of their own, unless they are FOCUS already::

    [columns]                                   # column of the file = FOCUS column, or several
    cost = ["BilledCost", "EffectiveCost"]
    day = "ChargePeriodStart"

    [constants]                                 # FOCUS column = the value of every row
    BillingCurrency = "USD"
    ChargeCategory = "Usage"

Columns that the file names as FOCUS does need no line. If they have no column and no constant, billing periods are the month of
ChargePeriodStart, and a charge ends one `charge_period` after it starts. Columns without which a total is right may be left out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.domain.focus_datasets import sibling_dataset
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.line_items import Layout, LayoutRejected, RejectedValue
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.layout import mandatory
from optiinfra_assets.line_items.schema import TEXT, TIME
from optiinfra_assets.line_items.time_columns import TimeColumns
from optiinfra_assets.providers.files.focus_files import FocusMapping, MappingFor
from optiinfra_assets.providers.files.location import MAPPING_NAME, FileVersion, Location
from optiinfra_assets.providers.focus_files.other_formats import other_format

_LARGEST: Final = 1 << 20
_START: Final = "ChargePeriodStart"
_DERIVED: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodEnd")
_HINT: Final = f"; if it has costs, name the FOCUS column of each of its columns in a file {MAPPING_NAME} beside it"
_SECONDS: Final = {"hour": 3600, "day": 86_400}


class ColumnMapping(BaseModel):
    """The content of a mapping file.

    Attributes:
        columns: column of the file -> its FOCUS column, or several.
        constants: FOCUS column -> the value of every row.
        charge_period: how long a charge lasts, where the file does not say when it ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    charge_period: Literal["hour", "day", "month"] = "day"

    def targets(self) -> dict[str, str]:
        """Return FOCUS column -> column of the file.

        Raises:
            ValueError: a name is no FOCUS column, or two columns map to one.
        """
        found: dict[str, str] = {}
        for source, targets in self.columns.items():
            for target in [targets] if isinstance(targets, str) else targets:
                self._check(target, "columns")
                if target in found:
                    raise ValueError(f"columns: {found[target]!r} and {source!r} are both mapped to {target}: keep one")
                found[target] = source
        for target in self.constants:
            self._check(target, "constants")
            if target in found:
                raise ValueError(f"constants: {target} has a column, {found[target]!r}, as well: keep one")
        return found

    @staticmethod
    def _check(name: str, where: str) -> None:
        if name not in focus.BY_NAME:
            raise ValueError(f"{where}: {name!r} is no column of FOCUS: use a name such as BilledCost")


class MappingFiles:
    """The mapping files of one location."""

    def __init__(self, found: Mapping[str, tuple[FileVersion, ColumnMapping | BadData]]) -> None:
        self._found = found

    @classmethod
    def read(cls, location: Location, files: Sequence[FileVersion]) -> MappingFiles:
        """Read mapping files. If one is not as described, the files that need it are refused with the reason.

        Raises:
            ProviderError: a file cannot be read.
        """
        return cls({str(PurePosixPath(one.name).parent): (one, _read(location, one)) for one in files})

    def of(self, file: FileVersion) -> list[FileVersion]:
        """Return the mapping file that serves a data file, if there is one."""
        return [found[0] for found in self._serving(file)]

    def mapping_for(self, file: FileVersion) -> MappingFor:
        """Return how the columns of a data file are mapped: a file that is FOCUS, not at all."""
        serving = self._serving(file)

        def form_of(names: Sequence[str], _: Rounding) -> FocusMapping | None:
            try:
                Layout.of(names, may_lack_nullable=True)
            except LayoutRejected as refused:
                if serving:
                    return _mapped(names, serving[0][1])
                if known := other_format(names):
                    raise LayoutRejected(known) from refused
                hint = "" if sibling_dataset(names) else _HINT
                raise LayoutRejected(f"{refused}{hint}", has_costs=refused.has_costs) from refused
            return None

        return form_of

    def _serving(self, file: FileVersion) -> list[tuple[FileVersion, ColumnMapping | BadData]]:
        folders = (str(folder) for folder in PurePosixPath(file.name).parents)
        return [self._found[folder] for folder in folders if folder in self._found][:1]


def _read(location: Location, file: FileVersion) -> ColumnMapping | BadData:
    path = location.path(file.name)
    with location.reading(file) as opened:
        text = opened.read(_LARGEST)
    try:
        mapping = ColumnMapping.model_validate(tomllib.loads(text.decode()))
        mapping.targets()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return BadData(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    except ValueError as error:
        return BadData(f"{path}: {error}")
    return mapping


def _mapped(names: Sequence[str], mapping: ColumnMapping | BadData) -> MappedColumns:
    if isinstance(mapping, BadData):
        raise LayoutRejected(f"its mapping is not accepted: {mapping}")
    return MappedColumns(names, mapping)


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
    """

    def __init__(self, names: Sequence[str], mapping: ColumnMapping) -> None:
        """Match a mapping with the columns of a file.

        Raises:
            LayoutRejected: the file lacks a mapped column.
        """
        by_name = {name.strip().lower(): name for name in names}
        own = {focus_name: by_name[focus_name.lower()] for focus_name in focus.BY_NAME if focus_name.lower() in by_name}
        sources = own | {target: self._found(by_name, source) for target, source in mapping.targets().items()}
        self._sources = {target: source for target, source in sources.items() if target not in mapping.constants}
        self._constants = mapping.constants
        self._charge_period = mapping.charge_period
        has_start = _START in self._sources
        self._derived = [
            one for one in _DERIVED if has_start and one not in self._sources and one not in self._constants
        ]
        self._kept = [name for name in names if name not in self._sources.values()]
        given = [*self._sources, *self._constants, *self._derived]
        self._empty = [name for name in _optional(given) if name not in given]
        self.names: Sequence[str] = [*given, *self._empty, *self._kept]
        self.reads = list(names)
        self.repeated: set[str] = set()

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
            RejectedValue: a time from which others are derived is not accepted.
        """
        columns: list[Any] = [batch.column(source) for source in self._sources.values()]
        columns += [pa.array([value] * batch.num_rows, TEXT) for value in self._constants.values()]
        if self._derived:
            derived = self._times(batch.column(self._sources[_START]))
            columns += [derived[name] for name in self._derived]
        columns += [pa.nulls(batch.num_rows, TEXT) for _ in self._empty]
        columns += [batch.column(name) for name in self._kept]
        return pa.RecordBatch.from_arrays(columns, names=self.names)

    def _times(self, starts: pa.Array) -> dict[str, pa.Array]:
        times = TimeColumns(Irregularities())
        times.learn(_START, starts)
        try:
            read = times.read(_START, self._sources[_START], starts, is_counted=False)
        except RejectedValue as refused:
            refused.column = self._sources[_START]
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
