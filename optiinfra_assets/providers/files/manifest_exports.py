"""Reads cost exports in object storage: a run writes data files, then a manifest that names them. Other files are not read.

A folder may hold the files of many runs, or of a run that is still being written; adding up all of them would bill some twice. A provider
finds the manifest of a period and reads it into a `ManifestExport`; this module does the rest::

    delivery = ManifestExport(manifest, (ManifestFile("exports/a/data/part-1.csv.gz"), ...), run="20261105T0300Z")
    return export_collection(location, delivery, billing_period, context, form_of)

This module detects a run that overwrites its predecessor's files: files newer than their manifest belong to an unfinished run. A provider
that knows by itself which line items are estimates calls `export_batches` instead of `export_collection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, ContractChanged, Transient
from optiinfra_assets.line_items.arrow_tools import with_column
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.files.coverage import ChargeCoverage, not_invoiced
from optiinfra_assets.providers.files.csv_reader import SMALL_BLOCK_BYTES
from optiinfra_assets.providers.files.focus_files import (
    MappingFor,
    focus_as_it_is,
    line_items,
    month_of,
    months_of_known,
    period_of,
)
from optiinfra_assets.providers.files.location import SUFFIXES, FileVersion, Location
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE

SOURCE: Final = "export"
FINAL_AFTER: Final = timedelta(days=15)
"""Time after its end from which a period is final even if its line items have no invoice ids."""
WRITING: Final = timedelta(hours=1)
"""For this long, a file newer than its manifest is taken to be of a run in progress; older ones were copied here in another order."""

Find = Callable[[str], FileVersion | None]
"""From the name of a file below the location: its version, or None if it does not exist."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A data file as a manifest names it.

    Attributes:
        name: name below the location.
        size: size in bytes, if the manifest gives it.
        rows: row count, if the manifest gives it.
    """

    name: str
    size: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestExport:
    """The files that one run of an export delivered for one billing period.

    Attributes:
        manifest: version of the manifest.
        files: the data files, in order.
        run: the provider's id of the run.
    """

    manifest: FileVersion
    files: Sequence[ManifestFile]
    run: str = ""


def token_of(manifest: FileVersion, period: BillingPeriod, now: datetime) -> str:
    """Returns the change token of a period from its manifest; it is the same for a listed manifest as for one read by itself.

    It changes with every run, even if the manifest has the same content, and once more when the period becomes final by its age, because no
    run may follow then. Times are cut to whole seconds: some stores list fractions, which the HTTP date of an object never has.
    """
    written = f" {manifest.written_at.replace(microsecond=0).isoformat()}" if manifest.written_at else ""
    return f"{manifest.version}{written}{', final' if is_old(period, now) else ''}"


def is_old(period: BillingPeriod, now: datetime) -> bool:
    """Returns whether a period is old enough to be final, whatever its line items say."""
    return now >= period.end + FINAL_AFTER


def export_collection(
    location: Location,
    delivery: ManifestExport,
    period: BillingPeriod,
    context: ProviderContext,
    form_of: MappingFor,
) -> LineItemStream:
    """Returns the stream of the line items of a manifest export.

    They are estimates until they have an invoice id, or until `FINAL_AFTER`. The period is final when it is over and none is an estimate.

    Args:
        location: where manifest and files are.
        delivery: manifest export to read completely.
        period: the only billing period that line items may be of.
        context: gives the clock.
        form_of: see `optiinfra_assets.providers.files.focus_files`.

    Raises (all from the stream):
        ProviderError: as `export_batches`.
    """
    now = context.clock()
    collection = LineItemStream(batches=iter(()), change_token=token_of(delivery.manifest, period, now))
    collection.sources.append(
        {
            "manifest": delivery.manifest.name,
            "version": delivery.manifest.version,
            "run": delivery.run,
            "files": str(len(delivery.files)),
        }
    )
    batches = export_batches(location, delivery, period, collection, now, form_of=form_of)
    collection.batches = _until_invoiced(batches, period, now, collection)
    return collection


def _until_invoiced(
    batches: Iterator[pa.RecordBatch], period: BillingPeriod, now: datetime, collection: LineItemStream
) -> Iterator[pa.RecordBatch]:
    is_final_by_age = is_old(period, now)
    reach = ChargeCoverage(period)
    for batch in batches:
        reach.add(batch)
        yield batch if is_final_by_age else with_column(batch, "is_estimated", not_invoiced(batch))
    collection.data_through = reach.data_through(now)
    collection.is_final = now >= period.end and (is_final_by_age or reach.is_invoiced)


def export_batches(
    location: Location,
    delivery: ManifestExport,
    period: BillingPeriod,
    collection: LineItemStream,
    now: datetime,
    *,
    form_of: MappingFor = focus_as_it_is,
    find: Find | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields the line items of a manifest export, file by file; adds each file to the sources of `collection`, and requests at the end.

    Args:
        location: where manifest and files are.
        delivery: manifest export to read completely.
        period: the only billing period that line items may be of.
        collection: receives sources, roundings and requests.
        now: the present UTC instant.
        form_of: see `optiinfra_assets.providers.files.focus_files`.
        find: see `resolve_files`.

    Raises:
        ContractChanged: a file has line items of another period, or the manifest names a file twice.
        BadData: a value is not accepted, or a file has another row count than announced or an unsupported type.
        Transient: a file is gone or changed, or another run is being written.
        ProviderError: a file cannot be read.
    """
    for file, announced in resolve_files(location, delivery, now, find):
        rows = 0
        for batch in line_items(
            location,
            file,
            month_of(period),
            collection,
            source=SOURCE,
            form_of=form_of,
            block_bytes=SMALL_BLOCK_BYTES,
        ):
            rows += batch.num_rows
            yield batch
            pa.default_memory_pool().release_unused()  # otherwise the pool keeps 30 MB more in every process that reads
        path = location.path(file.name)
        if announced not in (None, rows):
            raise BadData(
                f"{path}: has {rows} rows of billing period {period}, its manifest says {announced}: run the export again"
            )
        others = sorted(months_of_known(location, file) - {month_of(period)})
        if others:
            raise ContractChanged(
                f"{path}: has line items of billing period {period_of(others[0])}, but is named by the manifest of {period}"
            )
    location.refuse_change(delivery.manifest)
    collection.requests = location.requests


def resolve_files(
    location: Location, delivery: ManifestExport, now: datetime, find: Find | None = None
) -> list[tuple[FileVersion, int | None]]:
    """Returns the versions of the data files with their announced row counts, all checked before the first is read; skips those of 0 rows.

    Args:
        location: where manifest and files are.
        delivery: manifest export to resolve.
        now: the present UTC instant.
        find: returns versions that were listed along with the manifest; None makes one request for each file.

    Raises:
        ContractChanged: the manifest names a file twice.
        BadData: a file has an unsupported type.
        Transient: a file is missing or of another size, or belongs to an unfinished run.
    """
    for name, times in Counter(file.name for file in delivery.files).most_common(1):
        if times > 1:
            raise ContractChanged(f"{location.path(delivery.manifest.name)}: names {name} twice; {ASK_FOR_UPDATE}")
    return [
        (_version(location, file, delivery.manifest, now, find or location.current), file.rows)
        for file in delivery.files
        if file.rows != 0
    ]


def _version(location: Location, named: ManifestFile, manifest: FileVersion, now: datetime, find: Find) -> FileVersion:
    path = location.path(named.name)
    if not named.name.lower().endswith(SUFFIXES):
        raise BadData(f"{path}: is not read: export CSV, CSV compressed with gzip, or Parquet")
    file = find(named.name)
    if file is None:
        said = f"is named by {manifest.name}, but is not there"
    elif named.size not in (None, file.size):
        said = f"has {file.size} bytes, its manifest says {named.size}"
    elif _is_newer(file, manifest) and now - file.written_at < WRITING:  # type: ignore[operator]
        said = f"is newer than {manifest.name}"
    else:
        return file
    raise Transient(f"{path}: {said}: a run is being written; it is read once it is whole")


def _is_newer(file: FileVersion, manifest: FileVersion) -> bool:
    return None not in (file.written_at, manifest.written_at) and file.written_at > manifest.written_at  # type: ignore[operator]
