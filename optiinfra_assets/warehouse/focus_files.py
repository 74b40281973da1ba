"""Writes the line items of a published generation as a FOCUS file, as ClickHouse writes it, in constant memory."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, BinaryIO, Final, cast

from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.database.errors import StoreError
from optiinfra_assets.domain.focus import Version
from optiinfra_assets.domain.publications import PublishedGeneration
from optiinfra_assets.warehouse.warehouse import Warehouse

MOST_X_COLUMNS: Final = 1000
"""Beyond FOCUS's own: a wider file is read by nothing, and its statement by no database."""

_FORMATS: Final = {"csv": "CSVWithNames", "parquet": "Parquet"}
_CHUNK: Final = 1 << 20
_EVERY_DAY: Final = {"start": date(1971, 1, 1), "end": date(2100, 1, 1)}
_FILTER: Final = re.compile(r"\{(\w+):Array\(")
"""A filter of a statement: empty, it accepts all. Found in the text, so that one that is added is bound here too."""


class FileInterrupted(StoreError):
    """A file cannot be written to its end."""


def write_slice(
    warehouse: Warehouse,
    published: PublishedGeneration,
    version: Version,
    form: str,
    out: BinaryIO,
    *,
    has_x_columns: bool,
) -> None:
    """Write all line items of a generation to `out`, in the columns of a FOCUS version; the same generation gives the same bytes.

    Raises:
        WarehouseUnavailable: ClickHouse does not answer.
        FileInterrupted: it broke off; what `out` has is no file.
    """
    slice_ = published.slice
    period = slice_.billing_period.start.date()
    values: dict[str, Any] = {name: [] for name in _FILTER.findall(sql_files.read_focus(version))} | {
        "customer_id": slice_.customer_id,
        "generations": [published.generation],
        "first_period": period,
        "last_period": period,
        "tag_filter": "",
        **_EVERY_DAY,
    }
    settings = clickhouse.FILE_SETTINGS | warehouse.only(slice_.customer_id)
    text = sql_files.read_focus(version, _x_names(warehouse, values) if has_x_columns else ())
    end = bytearray()
    with clickhouse.clickhouse_errors(warehouse.client):
        stream = warehouse.client.raw_stream(text, parameters=values, settings=settings, fmt=_FORMATS[form])
        while chunk := cast(BinaryIO, stream).read(_CHUNK):
            out.write(chunk)
            end = (end + chunk)[-clickhouse.HELD_BACK_BYTES :]
    if said := clickhouse.failure_at_end(end):
        raise FileInterrupted(f"{slice_}: the file broke off: {said}")


def _x_names(warehouse: Warehouse, values: dict[str, Any]) -> list[str]:
    text = sql_files.read("clickhouse", "queries", "x_column_names.sql")
    asked = {**values, "most": MOST_X_COLUMNS + 1}
    with clickhouse.clickhouse_errors(warehouse.client):
        found = warehouse.client.query(text, parameters=asked, settings=warehouse.only(values["customer_id"]))
    names = [name for (name,) in found.result_rows]
    if len(names) > MOST_X_COLUMNS:
        raise FileInterrupted(
            f"a slice has more than {MOST_X_COLUMNS} columns beyond FOCUS: deliver it without x_ columns"
        )
    return names
