"""Finds the months of each file of a location, so that a file that cannot be read stops only the months that it has costs of.

What a file held is remembered from the last collection of each month, in the account's snapshots: if its new version cannot be read,
those months are refused and keep their figures. A file that never had costs, such as a half-written one or one of something else, is
skipped with a warning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, ProviderError
from optiinfra_assets.domain.focus_datasets import BILLING_PERIOD, USED_COLUMNS, sibling_dataset
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.providers.context import ProviderContext, Snapshot
from optiinfra_assets.providers.files.export_runs import refuse_several_runs
from optiinfra_assets.providers.files.focus_files import (
    MappingFor,
    NotCosts,
    has_rows,
    month_of,
    months_before_problem,
    months_of,
    period_of,
)
from optiinfra_assets.providers.files.location import NOT_READ, FileVersion, Location, change_token
from optiinfra_assets.providers.focus_files.datasets import ClosedPeriods, dataset_of
from optiinfra_assets.providers.focus_files.mapping_file import MappingFiles

KIND: Final = "focus files"
"""Kind of the snapshots that hold the names of the files with costs of a period."""
SKIPPED: Final = "file-skipped"
REFUSED: Final = "file-refused"

_refused: dict[tuple[str, FileVersion, str], tuple[frozenset[int], BadData]] = {}
"""Months and problem of each file version that this process could not read: its content never changes."""
_REFUSED_AT_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a file cannot be read, and the months that it is known to have costs of."""

    error: ProviderError
    months: frozenset[int]


class Survey:
    """The files of one location, as they are now.

    Attributes:
        files: the data files, in order of name.
        is_whole: no file was found so far that may have costs and cannot be read.
    """

    def __init__(self, location: Location, context: ProviderContext) -> None:
        """List the location.

        Raises:
            NothingThere: the location is missing or has no data files.
            BadData: a folder holds several runs of an export.
            ProviderError: the location cannot be listed, or a mapping file cannot be read.
        """
        self.location = location
        self._context = context
        self.files, mappings = location.listing()
        refuse_several_runs(self.files, location.address)
        self.is_whole = True
        self._mappings = MappingFiles.read(location, mappings)

    def mapping_for(self, file: FileVersion) -> MappingFor:
        """Return how the columns of a file are mapped."""
        return self._mappings.mapping_for(file)

    def by_period(
        self, collected: Iterable[BillingPeriod], warnings: SourceWarnings
    ) -> dict[BillingPeriod, list[FileVersion]]:
        """Return the files of each period, also those of which only an earlier version could be read.

        Args:
            collected: periods that were collected before.
            warnings: gets one for each file that cannot be read.

        Raises:
            NothingThere: no file has a row.
            ProviderError: no file can be read; the error of the first.
        """
        found: dict[BillingPeriod, list[FileVersion]] = {}
        problems: list[ProviderError] = []
        self._tell_skipped(warnings)
        for file in self.files:
            months, problem = self._months(file)
            if problem is not None:
                problems.append(problem)
                months |= {month_of(period) for period in collected if file.name in self._held(period)}
                self.warn(file, FileProblem(problem, months), warnings)
            for month in months:
                found.setdefault(period_of(month), []).append(file)
        if not found:
            raise next((one for one in problems if not isinstance(one, NotCosts)), None) or self._nothing(problems)
        return found

    def of_period(self, period: BillingPeriod, warnings: SourceWarnings) -> list[FileVersion]:
        """Return the files with rows of a period.

        Raises:
            NothingThere: no file has a row.
            ProviderError: a file with rows of the period cannot be read, or none can.
        """
        chosen: list[FileVersion] = []
        problems: list[ProviderError] = []
        month = month_of(period)
        self._tell_skipped(warnings)
        for file in self.files:
            try:
                if self._known_problem(file) is None and has_rows(self.location, file, month, self.mapping_for(file)):
                    chosen.append(file)
                    continue
            except (BadData, CredentialRejected):
                pass
            months, problem = self._months(file)
            if problem is None:
                continue
            problems.append(problem)
            if file.name in self._held(period):
                raise problem
            if month in months:
                chosen.append(file)  # the file is read up to its first rejected row, which the error then names
            self.warn(file, FileProblem(problem, months), warnings)
        if not chosen and not any(self._months(file)[0] for file in self.files):
            raise next((one for one in problems if not isinstance(one, NotCosts)), None) or self._nothing(problems)
        return chosen

    def remember(self, period: BillingPeriod, names: Iterable[str]) -> None:
        """Keep the names of the files that a collection of a period read costs from."""
        body = json.dumps(sorted(names)).encode()
        self._context.snapshots.add(Snapshot(KIND, period, self._context.clock(), body))

    def token(self, files: Iterable[FileVersion]) -> str:
        """Return the change token of files, which also changes with the mapping that they are read with."""
        return change_token([*files, *{one for file in files for one in self._mappings.of(file)}])

    def of_dataset(self, dataset: str) -> list[FileVersion]:
        """Return the files of a dataset beside CostAndUsage."""
        return [file for file in self.files if dataset_of(self.location, file) == dataset]

    def closed_months(self, warnings: SourceWarnings) -> ClosedPeriods:
        """Return the months that are closed, as BillingPeriod files say."""
        return ClosedPeriods(self.location, self.of_dataset(BILLING_PERIOD), warnings)

    def _tell_skipped(self, warnings: SourceWarnings) -> None:
        for path in self.location.skipped:
            warnings.add(SKIPPED, f"skipped: {NOT_READ}", 1, path)

    def warn(self, file: FileVersion, problem: FileProblem, warnings: SourceWarnings) -> None:
        """Add the warning for a file that cannot be read."""
        is_no_cost = isinstance(problem.error, NotCosts)
        self.is_whole &= is_no_cost
        if is_no_cost and dataset_of(self.location, file) in USED_COLUMNS:
            return
        said = str(problem.error)
        if not problem.months:
            dataset = None if is_no_cost else sibling_dataset((), file.name)
            said = f"{self.location.path(file.name)}: lies where FOCUS {dataset} files do: {said}" if dataset else said
            warnings.add(SKIPPED, f"skipped: {said}")
            return
        periods = ", ".join(str(period_of(month)) for month in sorted(problem.months))
        warnings.add(REFUSED, f"{periods} cannot be collected: {said}")

    def _months(self, file: FileVersion) -> tuple[frozenset[int], ProviderError | None]:
        """Return the months that a file has rows of, as far as it can be read, and why it cannot be read to its end."""
        if (known := self._known_problem(file)) is not None:
            return known
        form_of = self.mapping_for(file)
        try:
            return months_of(self.location, file, form_of), None
        except CredentialRejected as problem:
            return frozenset(), problem
        except BadData as problem:
            found = months_before_problem(self.location, file, form_of), problem
            if len(_refused) >= _REFUSED_AT_MOST:
                _refused.clear()
            return _refused.setdefault(self._key(file), found)

    def _known_problem(self, file: FileVersion) -> tuple[frozenset[int], BadData] | None:
        return _refused.get(self._key(file))

    def _key(self, file: FileVersion) -> tuple[str, FileVersion, str]:
        return self.location.address, file, change_token(self._mappings.of(file))

    @cached_property
    def _names_held(self) -> dict[BillingPeriod, frozenset[str]]:
        return {}

    def _held(self, period: BillingPeriod) -> frozenset[str]:
        """Return the names of the files that the last collection of a period read costs from."""
        if period not in self._names_held:
            newest = self._context.snapshots.newest(KIND, period)
            self._names_held[period] = frozenset(json.loads(newest.body)) if newest else frozenset()
        return self._names_held[period]

    def _nothing(self, problems: list[ProviderError]) -> ProviderError:
        if problems:
            more = f" (and {len(problems) - 1} more files like it)" if len(problems) > 1 else ""
            return BadData(f"{problems[0]}{more}; no file here has costs: nothing that is stored is changed")
        return NothingThere(f"{self.location.address}: the files have no rows: nothing that is stored is changed")
