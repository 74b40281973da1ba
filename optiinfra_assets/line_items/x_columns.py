"""Collects columns that FOCUS does not have into one map of name and text a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from optiinfra_assets.line_items.schema import TEXT, TEXT_MAP


def columns_to_maps(names: Sequence[str], columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """Return one map<string, string> a row, with an entry for each column that is not null in that row.

    Args:
        names: name of each column, the key of its entries.
        columns: plain text, `rows` values each.
        rows: length of the result.
    """
    present = [(name, column) for name, column in zip(names, columns, strict=True) if column.null_count < len(column)]
    if not present:
        offsets = pa.array(np.zeros(rows + 1, np.int32))
        return pa.MapArray.from_arrays(offsets, pa.array([], TEXT), pa.array([], TEXT))
    valid = np.column_stack([column.is_valid().to_numpy(zero_copy_only=False) for _, column in present])
    row, which = np.nonzero(valid)
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(valid.sum(axis=1), out=offsets[1:])
    values = pa.concat_arrays([column for _, column in present]).take(pa.array(which * rows + row))
    keys = pa.DictionaryArray.from_arrays(
        pa.array(which.astype(np.int32)), pa.array([name for name, _ in present], TEXT)
    )
    return pa.MapArray.from_arrays(pa.array(offsets), keys.cast(TEXT), values).cast(TEXT_MAP)


def joined_maps(maps: pa.Array, more: pa.Array) -> pa.Array:
    """Return maps with the entries of both in each row; most rows have none in `more`. Values that are null are left out."""
    if not len(more.items) and not maps.items.null_count:
        return maps
    pairs = [
        [pair for pair in [*one, *other] if pair[1] is not None]
        for one, other in zip(maps.to_pylist(), more.to_pylist(), strict=True)
    ]
    return pa.array(pairs, TEXT_MAP)
