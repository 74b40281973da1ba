"""Cost exports that lie in a bucket: a run writes data files, then a manifest that names them. The manifest is read, folders never are.

A folder may hold the files of many runs, or those of one that is being written; whoever adds up what he finds there bills some of it
twice. What a provider has to do is to find the manifest of a period and to read it into a `Delivery`; ``collected`` does the rest::

    delivery = Delivery(manifest, ("exports/a/data/part-1.csv.gz", ...), run="20261105T0300Z")
    return collected(location, delivery, billing_period, context, form_of)

A run that overwrites its predecessor's files is noticed: files newer than their manifest belong to one that is not finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged, Transient
from optiinfra_assets.providers.base import Collection
from optiinfra_assets.providers.context import Context
from optiinfra_assets.providers.files.coverage import ChargesSeen, not_invoiced
from optiinfra_assets.providers.files.csv_reader import SMALL_BLOCK_BYTES
from optiinfra_assets.providers.files.focus_files import (
    FormOf,
    line_items,
    month_of,
    months_of_known,
    period_of,
)
from optiinfra_assets.providers.files.location import FileVersion, Location

SOURCE: Final = "export"
FINAL_AFTER: Final = timedelta(days=15)
"""Age, after its end, from which a period counts as final though its line items have no invoice ids."""
WRITING: Final = timedelta(hours=1)
"""A file newer than its manifest is taken for a part of a run under way for so long; older ones were copied here in another order."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one run of an export delivered for one billing period.

    Attributes:
        manifest: the version of the manifest that says so.
        names: of the data files, below the location, in order.
        run: how the provider calls the run.
    """

    manifest: FileVersion
    names: Sequence[str]
    run: str = ""

    @property
    def token(self) -> str:
        """Changes with every run, also one whose manifest says the same again."""
        return token_of(self.manifest)


def token_of(manifest: FileVersion) -> str:
    """The change token that a manifest stands for, the same from a list as from the object itself.

    Lists of some stores tell fractions of seconds, which the date of an object (in HTTP) never has.
    """
    written = f" {manifest.written_at.replace(microsecond=0).isoformat()}" if manifest.written_at else ""
    return f"{manifest.version}{written}"


def token_at(token: str, period: BillingPeriod, now: datetime) -> str:
    """The `token_of` the manifest of a period, changed once more when the period becomes final by its age: no run may come to tell that."""
    return f"{token}, final" if is_old(period, now) else token


def is_old(period: BillingPeriod, now: datetime) -> bool:
    """Whether a period counts as final whatever its line items say."""
    return now >= period.end + FINAL_AFTER


def collected(
    location: Location, delivery: Delivery, period: BillingPeriod, context: Context, form_of: FormOf
) -> Collection:
    """The line items of a delivery.

    They are estimates until they have an invoice id, or until `FINAL_AFTER`; the period is final when it is over and none is any more.

    Args:
        location: where manifest and files are.
        delivery: what to read, all of it.
        period: the only one that line items may be of.
        context: the clock.
        form_of: see `optiinfra_assets.providers.files.focus_files`.

    Raises (all from the stream):
        ContractChanged: line items of another period are among them.
        Transient: a file is gone or changed, or another run is being written.
        ProviderError: a file cannot be read.
    """
    now = context.clock()
    collection = Collection(batches=iter(()), change_token=token_at(delivery.token, period, now))
    collection.sources.append(
        {
            "manifest": delivery.manifest.name,
            "version": delivery.manifest.version,
            "run": delivery.run,
            "files": str(len(delivery.names)),
        }
    )
    collection.batches = _batches(location, delivery, period, now, form_of, collection)
    return collection


def _batches(
    location: Location,
    delivery: Delivery,
    period: BillingPeriod,
    now: datetime,
    form_of: FormOf,
    collection: Collection,
) -> Iterator[pa.RecordBatch]:
    is_final_by_age = is_old(period, now)
    reach = ChargesSeen(period)
    for file in versions(location, delivery, now):
        for batch in line_items(
            location,
            file,
            month_of(period),
            collection,
            source=SOURCE,
            form_of=form_of,
            block_bytes=SMALL_BLOCK_BYTES,
        ):
            reach.add(batch)
            yield batch if is_final_by_age else _estimated(batch)
            pa.default_memory_pool().release_unused()  # it would keep 30 MB more for itself, at every process that reads
        _refuse_others(location, file, period)
    location.refuse_change(delivery.manifest)
    collection.data_through = reach.data_through(now)
    collection.is_final = now >= period.end and (is_final_by_age or reach.is_invoiced)
    collection.requests = location.requests


def versions(location: Location, delivery: Delivery, now: datetime) -> list[FileVersion]:
    """The data files as they are now, all looked at before the first is read.

    Raises:
        Transient: one is missing, or belongs to a run that is not finished.
    """
    return [_version(location, name, delivery.manifest, now) for name in delivery.names]


def _version(location: Location, name: str, manifest: FileVersion, now: datetime) -> FileVersion:
    file = location.current(name)
    if file is None:
        raise Transient(
            f"{location.path(name)}: is named by {manifest.name}, but is not there: tried again later"
        )
    written = (file.written_at, manifest.written_at)
    if None not in written and written[0] > written[1] and now - written[0] < WRITING:  # type: ignore[operator]
        raise Transient(
            f"{location.path(name)}: is newer than {manifest.name}: a run is being written; it is read once it is whole"
        )
    return file


def _refuse_others(location: Location, file: FileVersion, period: BillingPeriod) -> None:
    others = sorted(months_of_known(location, file) - {month_of(period)})
    if others:
        raise ContractChanged(
            f"{location.path(file.name)}: has line items of billing period {period_of(others[0])}, but is named by the manifest of {period}"
        )


def _estimated(batch: pa.RecordBatch) -> pa.RecordBatch:
    position = batch.schema.get_field_index("is_estimated")
    return batch.set_column(position, batch.schema.field(position), not_invoiced(batch))
