"""A delivery: the files of one billing period that a manifest names, each read once and each as long as announced.

Clouds that export cost files write the data first and a manifest last, and leave earlier runs of the same period beside it. What a manifest
does not name is therefore not read, and what it names has to be there, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers.base import Collection
from optiinfra_assets.providers.files.csv_reader import SMALL_BLOCK_BYTES
from optiinfra_assets.providers.files.focus_files import line_items, month_of
from optiinfra_assets.providers.files.location import FileVersion, Location

SOURCE = "export"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a delivery.

    Attributes:
        rows: how many it has by the manifest; None if that does not say.
    """

    file: FileVersion
    rows: int | None = None


def delivered_items(
    location: Location,
    parts: Sequence[Part],
    period: BillingPeriod,
    collection: Collection,
    *,
    is_estimated: bool,
) -> Iterator[pa.RecordBatch]:
    """The line items of a period from the parts of its delivery; `collection` gets each part as a source.

    Raises:
        BadData: naming the first row that is not accepted, or a part that has not the announced rows of the period.
        ProviderError: a part cannot be read, or changed meanwhile.
    """
    for part in parts:
        rows = 0
        for batch in line_items(
            location,
            part.file,
            month_of(period),
            collection,
            source=SOURCE,
            block_bytes=SMALL_BLOCK_BYTES,
        ):
            rows += batch.num_rows
            yield _estimated(batch) if is_estimated else batch
        if part.rows not in (None, rows):
            raise BadData(
                f"{location.path(part.file.name)}: has {rows} rows of billing period {period}, its manifest says {part.rows}: "
                "run the export again"
            )


def _estimated(batch: pa.RecordBatch) -> pa.RecordBatch:
    position = batch.schema.get_field_index("is_estimated")
    all_of_it = pa.array(np.ones(batch.num_rows, bool))
    return batch.set_column(position, batch.schema.field(position), all_of_it)
