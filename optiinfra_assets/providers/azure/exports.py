"""Finds the runs of Cost Management's FOCUS exports by their manifests, and chooses for each month the newest run that covers most of it.

A run writes its data to ``<folder>/<export>/<first day>-<last day>/<run>/``, and a ``manifest.json`` beside them last of all. An export
set to create new reports keeps every run of a month, each with all of the month so far; one set to overwrite replaces its one run in
place. In both cases one run is used, and only the files that its manifest names. Somebody may also export single days of a month by hand.
Such a run does not replace one that covers more, and it does not count at all if the month was over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, NothingThere
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.azure.blob_storage import BlobLocation
from optiinfra_assets.providers.files.location import FileVersion, change_token
from optiinfra_assets.providers.files.manifest_exports import ManifestExport, ManifestFile
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_time

MANIFEST: Final = "manifest.json"
LARGEST_MANIFEST: Final = 4 << 20
_CLASSIC: Final = re.compile(r"(^|/)\d{8}-\d{8}/[^/]+\.csv(\.gz)?$", re.I)
"""A file of a classic export, which has no folder for each run."""
_DAYS: Final = re.compile(r"(\d{4})(\d\d)\d\d-\d{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExportRun:
    """One run of an export.

    Attributes:
        period: billing period that it exports.
        export: id of the export.
        name: display name of the export, and its FOCUS version.
        submitted_at: UTC instant at which the run was submitted; it contains nothing later.
        until: end of the last day it covers (UTC, exclusive): the last day it names or the day it was submitted, whichever is earlier.
        delivery: its manifest and its files, with names relative to the folder.
    """

    period: BillingPeriod
    export: str
    name: str
    submitted_at: datetime
    until: datetime
    delivery: ManifestExport

    @property
    def version(self) -> str:
        """Change token of the manifest; it changes with every run, and whenever the manifest is written again."""
        return change_token([self.delivery.manifest])

    @property
    def counts(self) -> bool:
        """Whether the run has the whole month as it was then: all of it, if the month was over."""
        return self.submitted_at < self.period.end or self.until == self.period.end


_known: dict[tuple[str, FileVersion], ExportRun] = {}
"""Manifests that this process has read: a year of daily runs has hundreds, and a version of a manifest never changes."""
_KNOWN_AT_MOST: Final = 20_000


def newest_runs(container: BlobLocation, listed: list[FileVersion]) -> dict[BillingPeriod, ExportRun]:
    """Returns the run of each month that is used.

    Raises:
        NothingThere: the folder has no manifest.
        BadData: the folder does not hold exactly one FOCUS export by months.
        ProviderError: a manifest cannot be read.
    """
    return _newest(_runs(container, listed))


def run_of(container: BlobLocation, listed: list[FileVersion], period: BillingPeriod) -> ExportRun | None:
    """Returns the run of one month that is used; None if the month has no run.

    Raises:
        BadData: as `newest_runs`; or the runs cover only some days of a month that was over.
        ProviderError: as `newest_runs`.
    """
    runs = [run for run in _runs(container, listed, period) if run.period == period]
    newest = _newest(runs).get(period)
    if runs and newest is None:
        last = (runs[-1].until - timedelta(days=1)).date()
        raise BadData(
            f"{container.path(runs[-1].delivery.manifest.name)}: startDate, endDate: {period.start.date()} to {last} is not accepted: "
            "the whole month, which was over; export all days of it"
        )
    return newest


def _newest(runs: list[ExportRun]) -> dict[BillingPeriod, ExportRun]:
    ordered = sorted(runs, key=lambda run: (run.until, run.submitted_at, run.version))
    return {run.period: run for run in ordered if run.counts}


def _runs(container: BlobLocation, listed: list[FileVersion], only: BillingPeriod | None = None) -> list[ExportRun]:
    """Returns all runs; with `only`, those that may belong to that month."""
    manifests = [file for file in listed if PurePosixPath(file.name).name == MANIFEST]
    if not manifests:
        _refuse_classic(container, listed)
        raise NothingThere(f"{container.address}: no {MANIFEST}: nothing that is stored is changed")
    runs = [_run(container, file) for file in manifests if only is None or _may_be_of(file.name, only)]
    exports = {run.export: run.name for run in runs}
    if len(exports) > 1:
        raise BadData(
            f"{container.address}: holds several exports, {' and '.join(sorted(exports)[:2])}: they would count twice: "
            "give the folder of one as export_url"
        )
    return runs


def _refuse_classic(container: BlobLocation, listed: list[FileVersion]) -> None:
    """Raises BadData for an export of the older kind: it never writes a manifest, however long one waits."""
    for file in listed:
        if _CLASSIC.search(file.name):
            raise BadData(
                f"{container.path(file.name)}: belongs to a classic export (actual or amortized cost), which is not read: "
                "make an export of type FocusCost in Cost Management, and give its folder as export_url"
            )


def _may_be_of(name: str, period: BillingPeriod) -> bool:
    """Returns whether a manifest may belong to a period, by the days in its folder's name."""
    days = [match for part in PurePosixPath(name).parts if (match := _DAYS.fullmatch(part))]
    return not days or any((int(one[1]), int(one[2])) == (period.year, period.month) for one in days)


def _run(container: BlobLocation, file: FileVersion) -> ExportRun:
    key = (container.address, file)
    if key not in _known:
        if file.size > LARGEST_MANIFEST:
            raise BadData(
                f"{container.path(file.name)}: {file.size} bytes are too many for a manifest: run the export again"
            )
        run = _read(container, file)
        if len(_known) >= _KNOWN_AT_MOST:
            _known.clear()
        _known[key] = run
    return _known[key]


def _read(container: BlobLocation, file: FileVersion) -> ExportRun:
    where = container.path(file.name)
    manifest = JsonFields.parse(container.content(file), where)
    config, info = manifest.object("exportConfig"), manifest.object("runInfo")
    kind = config.text("type")
    if kind.lower() != "focuscost":
        raise BadData(f"{where}: type: value {quoted(kind)} is not accepted: make an export of type FocusCost")
    start, end = _time(info, "startDate"), _time(info, "endDate")
    period = BillingPeriod.of(start)
    if start != period.start or not start <= end <= period.end:
        raise BadData(
            f"{where}: startDate, endDate: {start.date()} to {end.date()} is not accepted: one month from its first day; "
            "export month by month"
        )
    submitted_at = _time(info, "submittedTime")
    return ExportRun(
        period=period,
        export=(config.text_or_none("resourceId") or config.text("exportName")).lower(),
        name=f"{config.text('exportName')} (FOCUS {config.text('dataVersion')})",
        submitted_at=submitted_at,
        until=min(period.end, _day_after(end), _day_after(submitted_at)),
        delivery=ManifestExport(file, tuple(_file(container, blob) for blob in manifest.objects("blobs"))),
    )


def _file(container: BlobLocation, blob: JsonFields) -> ManifestFile:
    name = container.within(blob.text("blobName"))
    if name is None:
        raise BadData(
            f"{blob.where}: blobName: value {quoted(blob.text('blobName'))} lies outside of {container.address}: "
            "give a folder that holds it as export_url"
        )
    return ManifestFile(name, blob.whole("byteCount"), blob.whole("dataRowCount"))


def _day_after(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC) + timedelta(days=1)


def _time(fields: JsonFields, name: str) -> datetime:
    """Returns an instant, taken as UTC if the field gives no zone."""
    moment = parse_time(fields.text(name))
    if moment is None:
        fields.refuse(name, "a time such as 2026-11-01T00:00:00")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
