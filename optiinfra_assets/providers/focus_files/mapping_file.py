"""Reads ``optiinfra-mapping.toml``, which names the FOCUS column of each column of files that are not FOCUS, and how they write values.

It serves the files of its folder, and of the folders below it that have none of their own, unless they are FOCUS already::

    number_form = "1.234,56"                    # the number 1234.56 as the file writes it
    date_form = "DD.MM.YYYY"                    # or several forms
    charge_period = "month"                     # how long a charge lasts where no column says when it ends

    [columns]                                   # column of the file = FOCUS column, or several
    Betrag = ["BilledCost", "EffectiveCost"]
    Monat = "ChargePeriodStart"
    Abteilung = "Tags.department"               # one tag

    [constants]                                 # FOCUS column = the value of every row
    BillingCurrency = "EUR"
    ChargeCategory = "Usage"

    [skip]                                      # rows that are no charges: column of the file = its values in them
    Monat = ["Summe", ""]

The names of columns may stand below other lines: their row is the one that has all columns of the mapping.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.domain.focus_datasets import sibling_dataset
from optiinfra_assets.line_items import Layout, LayoutRejected, RejectedValue
from optiinfra_assets.line_items.normalizer import convert
from optiinfra_assets.line_items.schema import TEXT
from optiinfra_assets.providers.files.csv_header import TableForm
from optiinfra_assets.providers.files.focus_files import FocusMapping
from optiinfra_assets.providers.files.location import MAPPING_NAME, FileVersion, Location, change_token
from optiinfra_assets.providers.focus_files.column_mapping import TAG, MappedColumns
from optiinfra_assets.providers.focus_files.other_formats import other_format
from optiinfra_assets.providers.focus_files.value_forms import DateForms, NumberForm

_LARGEST: Final = 1 << 18
"""Bytes. More than a mapping of a thousand columns has."""
_LONGEST_LINE: Final = 1000
"""Characters. The time that a key of so many parts takes to read grows with their square."""
_HINT: Final = (
    f"; if it has costs, name the FOCUS column of each of its columns in a file {MAPPING_NAME} beside it: "
    "optiinfra connect focus --preview FILE proposes one"
)


class ColumnMapping(BaseModel):
    """The content of a mapping file.

    Attributes:
        columns: column of the file -> its FOCUS column, or several; ``Tags.<name>`` is one tag.
        constants: FOCUS column, or ``Tags.<name>`` -> the value of every row.
        charge_period: how long a charge lasts, where the file does not say when it ends.
        number_form: the number 1234.56 as the file writes it; None: as FOCUS does.
        date_form: pattern of its dates, or several; None: as FOCUS does, and what else is read.
        last_day_included: a column that ends a period holds its last day, not the day after.
        skip: column of the file -> its value, or several, in rows that are no charges; an empty one is also null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    charge_period: Literal["hour", "day", "month"] = "day"
    number_form: str | None = None
    date_form: str | list[str] = Field(default_factory=list)
    last_day_included: bool = False
    skip: dict[str, str | list[str]] = Field(default_factory=dict)

    @field_validator("number_form")
    @classmethod
    def _number(cls, example: str | None) -> str | None:
        if example is not None:
            NumberForm.of(example)
        return example

    @field_validator("date_form")
    @classmethod
    def _dates(cls, patterns: str | list[str]) -> list[str]:
        patterns = [patterns] if isinstance(patterns, str) else patterns
        DateForms.of(patterns)
        return patterns

    def numbers(self) -> NumberForm | None:
        """Return the form of numbers, if it is not that of FOCUS."""
        return NumberForm.of(self.number_form) if self.number_form else None

    def dates(self) -> DateForms | None:
        """Return the forms of dates, if they are not those of FOCUS."""
        has_own = self.date_form or self.last_day_included
        return DateForms(tuple(self.date_form), self.last_day_included) if has_own else None

    def targets(self) -> dict[str, str]:
        """Return FOCUS column -> column of the file.

        Raises:
            ValueError: a name is no FOCUS column, two columns map to one, or a constant is no value of its column.
        """
        found: dict[str, str] = {}
        for source, target in self._pairs():
            self._check(target, "columns")
            if target in found:
                raise ValueError(f"columns: {found[target]!r} and {source!r} are both mapped to {target}: keep one")
            found[target] = source
        for target, value in self.constants.items():
            self._check(target, "constants")
            if target in found:
                raise ValueError(f"constants: {target} has a column, {found[target]!r}, as well: keep one")
            self._check_value(target, value)
        if "Tags" in {*found, *self.constants} and any(one.startswith(TAG) for one in (*found, *self.constants)):
            raise ValueError("Tags: all tags and single ones are both mapped: keep one")
        return found

    def rows(self) -> TableForm:
        """Return which row of a file has the names of its columns, and which rows are no charges."""
        named = {one.strip().lower() for one in (*self.columns, *self.skip)}
        skipped = {source: frozenset(_listed(values)) for source, values in self.skip.items()}
        return TableForm(frozenset(named), skipped)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for source, targets in self.columns.items():
            for target in _listed(targets):
                yield source, target

    @staticmethod
    def _check(name: str, where: str) -> None:
        if name not in focus.BY_NAME and not (name.startswith(TAG) and len(name) > len(TAG)):
            near = difflib.get_close_matches(name, focus.BY_NAME, 1, 0.7) or ["BilledCost"]
            raise ValueError(
                f"{where}: {name!r} is no column of FOCUS: use a name such as {near[0]}, or {TAG}team for a tag"
            )

    @staticmethod
    def _check_value(target: str, value: str) -> None:
        column = focus.BY_NAME.get(target)
        if column is None or (
            column.kind is focus.ColumnType.STRING and target != "BillingCurrency" and not column.accepted
        ):
            return
        try:
            convert(column, pa.array([value], TEXT), Rounding())
        except RejectedValue as refused:
            refused.column = target
            raise ValueError(f"constants: {refused}") from refused


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


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
        return cls({str(PurePosixPath(one.name).parent): (one, read_mapping(location, one)) for one in sorted(files)})

    def of(self, file: FileVersion) -> list[FileVersion]:
        """Return the mapping file that serves a data file, if there is one."""
        return [found[0] for found in self._serving(file)]

    def mapping_for(self, file: FileVersion) -> MappingOfFile:
        """Return how the columns of a data file are mapped: a file that is FOCUS, not at all."""
        serving = self._serving(file)
        return MappingOfFile(serving[0][1] if serving else None, change_token(self.of(file)))

    def _serving(self, file: FileVersion) -> list[tuple[FileVersion, ColumnMapping | BadData]]:
        folders = (str(folder) for folder in PurePosixPath(file.name).parents)
        return [self._found[folder] for folder in folders if folder in self._found][:1]


class MappingOfFile:
    """The `MappingFor` of one data file.

    Attributes:
        token: differs for every version of the mapping file that serves it.
        rows: which row of the file has the names of its columns, and which rows are no charges.
    """

    def __init__(self, mapping: ColumnMapping | BadData | None, token: str) -> None:
        self._mapping = mapping
        self.token = token
        self.rows = mapping.rows() if isinstance(mapping, ColumnMapping) else None

    def __call__(self, names: Sequence[str], _: Rounding) -> FocusMapping | None:
        """Return how these columns are mapped; None if they are FOCUS.

        Raises:
            LayoutRejected: they are neither FOCUS nor mapped.
        """
        try:
            Layout.of(names, may_lack_nullable=True)
        except LayoutRejected as refused:
            if isinstance(self._mapping, BadData):
                raise LayoutRejected(f"its mapping is not accepted: {self._mapping}") from refused
            if self._mapping is not None:
                return mapped(names, self._mapping)
            if known := other_format(names):
                raise LayoutRejected(known) from refused
            hint = "" if sibling_dataset(names) else _HINT
            raise LayoutRejected(f"{refused}{hint}", has_costs=refused.has_costs) from refused
        return None


def mapped(names: Sequence[str], mapping: ColumnMapping) -> MappedColumns:
    """Match a mapping with the columns of a file.

    Raises:
        LayoutRejected: the file lacks a mapped column.
    """
    return MappedColumns(
        names,
        mapping.targets(),
        mapping.constants,
        mapping.charge_period,
        mapping.numbers(),
        mapping.dates(),
        mapping.skip,
    )


def read_mapping(location: Location, file: FileVersion) -> ColumnMapping | BadData:
    """Read a mapping file; if it is not as described, return why.

    Raises:
        ProviderError: it cannot be read.
    """
    path = location.path(file.name)
    with location.reading(file) as opened:
        content = opened.read(_LARGEST + 1)
    try:
        if len(content) > _LARGEST:
            raise ValueError(f"is not read: it is larger than {_LARGEST >> 10} KiB")
        text = content.decode("utf-8-sig")
        if any(len(line) > _LONGEST_LINE for line in text.split("\n")):
            raise ValueError(f"is not read: it has a line of more than {_LONGEST_LINE} characters")
        mapping = ColumnMapping.model_validate(tomllib.loads(text))
        mapping.targets()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return BadData(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}")
    except RecursionError:
        return BadData(f"{path}: is not read: its values are nested too deeply")
    except ValueError as error:
        return BadData(f"{path}: {error}")
    return mapping
