"""Writes rows of FOCUS columns as a file of one version: CSV, CSV.gz or Parquet. The same rows give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.focus import COLUMNS, Column, ColumnType, Version

Row = dict[str, Any]
"""FOCUS column name to str, Decimal, aware datetime or dict; a missing name is null."""


def columns_of(rows: Sequence[Row], version: Version) -> list[Column]:
    """The columns of a file of `version`: the mandatory columns and those with a value in any row."""
    filled = {name for row in rows for name in row}
    return [
        column
        for column in COLUMNS
        if column.since <= version <= (column.until or version) and (column.mandatory or column.name in filled)
    ]


def _text(value: Any) -> str:
    """Return a value in FOCUS's text formats: null is empty, times are UTC with a Z, numbers have no exponent."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(value) if isinstance(value, dict) else str(value)


def to_csv(rows: Sequence[Row], version: Version) -> bytes:
    """Return a CSV file with a header, in UTF-8."""
    columns = columns_of(rows, version)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in columns)
    writer.writerows([_text(row.get(column.name)) for column in columns] for row in rows)
    return file.getvalue().encode()


def to_csv_gz(rows: Sequence[Row], version: Version) -> bytes:
    """Return the same file compressed, without gzip's time of writing."""
    return gzip.compress(to_csv(rows, version), 6, mtime=0)


def to_parquet(rows: Sequence[Row], version: Version) -> bytes:
    """Return a Parquet file: decimals of 18 fraction digits, UTC timestamps, maps of strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: dict[ColumnType, Any] = {
        ColumnType.DECIMAL: pa.decimal128(38, 18),
        ColumnType.TIME: pa.timestamp("ms", "UTC"),
        ColumnType.KEY_VALUE: pa.map_(pa.string(), pa.string()),
    }
    arrays = {}
    for column in columns_of(rows, version):
        values: Iterable[Any] = (row.get(column.name) for row in rows)
        if column.kind is ColumnType.KEY_VALUE:
            values = (None if value is None else list(value.items()) for value in values)
        arrays[column.name] = pa.array(list(values), kinds.get(column.kind, pa.string()))
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression="zstd")
    return file.getvalue()


WRITERS: Final[dict[str, Callable[[Sequence[Row], Version], bytes]]] = {
    "csv": to_csv,
    "csv.gz": to_csv_gz,
    "parquet": to_parquet,
}
"""Writers by file suffix."""
