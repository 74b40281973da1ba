"""Cost exports in object storage: a run writes data files, then a manifest that names them. What no manifest names is not read.

A folder may hold the files of many runs, or those of one that is being written; whoever adds up what he finds there bills some of it
twice. What a provider has to do is to find the manifest of a period and to read it into a `ManifestExport`; the rest happens here::

    delivery = Delivery(manifest, (NamedFile("exports/a/data/part-1.csv.gz"), ...), run="20261105T0300Z")
    return collected(location, delivery, billing_period, context, form_of)

A run that overwrites its predecessor's files is noticed: files newer than their manifest belong to one that is not finished. A provider
that knows by itself what is an estimate takes `export_batches` in place of `export_collection`.
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
"""Age, after its end, from which a period counts as final though its line items have no invoice ids."""
WRITING: Final = timedelta(hours=1)
"""A file newer than its manifest is taken for a part of a run under way for so long; older ones were copied here in another order."""

Find = Callable[[str], FileVersion | None]
"""From the name of a file below the location: its version, None if it is not there."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A data file as a manifest names it.

    Attributes:
        name: below the location.
        size: bytes, if the manifest says that.
        rows: how many it has, if the manifest says that.
    """

    name: str
    size: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestExport:
    """What one run of an export delivered for one billing period.

    Attributes:
        manifest: the version of the manifest that says so.
        files: the data files, in order.
        run: how the provider calls the run.
    """

    manifest: FileVersion
    files: Sequence[ManifestFile]
    run: str = ""


def token_of(manifest: FileVersion, period: BillingPeriod, now: datetime) -> str:
    """The change token that the manifest of a period stands for, the same from a list as from the object itself.

    It changes with every run, also one whose manifest says the same again, and once more when the period becomes final by its age: no run
    may come to tell that. Lists of some stores tell fractions of seconds, which the date of an object (in HTTP) never has.
    """
    written = f" {manifest.written_at.replace(microsecond=0).isoformat()}" if manifest.written_at else ""
    return f"{manifest.version}{written}{', final' if is_old(period, now) else ''}"


def is_old(period: BillingPeriod, now: datetime) -> bool:
    """Whether a period counts as final whatever its line items say."""
    return now >= period.end + FINAL_AFTER


def export_collection(
    location: Location,
    delivery: ManifestExport,
    period: BillingPeriod,
    context: ProviderContext,
    form_of: MappingFor,
) -> LineItemStream:
    """The line items of a delivery.

    They are estimates until they have an invoice id, or until `FINAL_AFTER`; the period is final when it is over and none is any more.

    Args:
        location: where manifest and files are.
        delivery: what to read, all of it.
        period: the only one that line items may be of.
        context: the clock.
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
    """The line items of a delivery, file by file; `collection` gets each file as a source, and the requests at the end.

    Args:
        location: where manifest and files are.
        delivery: what to read, all of it.
        period: the only one that line items may be of.
        collection: takes sources and roundings.
        now: the present UTC instant.
        form_of: see `optiinfra_assets.providers.files.focus_files`.
        find: as of `resolve_files`.

    Raises:
        ContractChanged: line items of another period are among them, or the manifest names a file twice.
        BadData: a value is not accepted; or a file is not as long as announced, or of a kind that is not read.
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
            pa.default_memory_pool().release_unused()  # it would keep 30 MB more for itself, at every process that reads
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
    """The data files as they are, with their announced rows, all looked at before the first is read; none that is said to have no rows.

    Args:
        location: where manifest and files are.
        delivery: what the manifest says.
        now: the present UTC instant.
        find: gives versions that were listed along with the manifest; None: those of now, at a request each.

    Raises:
        ContractChanged: the manifest names a file twice.
        BadData: a file is of a kind that is not read.
        Transient: one is missing or of another size, or belongs to a run that is not finished.
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
