"""Converts rare types of Parquet files to common ones: views, and the types as which columns of JSON and UUID are read."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import offsets_of, parts_of_map, text_bytes, types_within
from optiinfra_assets.line_items.schema import TEXT

_UUID_LENGTH: Final = 36
_UUID_DIGITS: Final = [n for n in range(_UUID_LENGTH) if n not in (8, 13, 18, 23)]
"""Positions of the digits of a UUID; the others are dashes."""


def canonical_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with every column converted by `canonical_array`."""
    return pa.RecordBatch.from_arrays([canonical_array(column) for column in batch.columns], names=batch.schema.names)


def canonical_array(values: pa.Array) -> pa.Array:
    """Return `values` if all Arrow kernels accept their type; else convert them to a type that all accept.

    Views become text, bytes and lists; JSON becomes its text, a UUID its usual text, other extension types their storage type. pyarrow 26
    cannot take rows of views, and its cast of a list view to a list returns an invalid array.
    """
    kind = values.type
    if not any(map(_is_unusual, types_within(kind))):
        return values
    if isinstance(kind, pa.UuidType):
        return _uuid_texts(values.storage)
    if isinstance(kind, pa.BaseExtensionType):
        return canonical_array(values.storage)
    if pa.types.is_string_view(kind):
        return values.cast(TEXT)
    if pa.types.is_binary_view(kind):
        return values.cast(pa.binary())
    return _usual_nested(values)


def _is_unusual(kind: pa.DataType) -> bool:
    return (
        isinstance(kind, pa.BaseExtensionType)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _usual_nested(values: pa.Array) -> pa.Array:
    kind, is_null = values.type, values.is_null()
    if pa.types.is_struct(kind):
        fields = [canonical_array(pc.struct_field(values, [n])) for n in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, [field.name for field in kind], mask=is_null)
    if pa.types.is_map(kind):
        offsets, keys, items = parts_of_map(values)
        return pa.MapArray.from_arrays(offsets, canonical_array(keys), canonical_array(items), mask=is_null)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    return pa.ListArray.from_arrays(offsets_of(lengths), canonical_array(values.flatten()), mask=is_null)


def _uuid_texts(values: pa.FixedSizeBinaryArray) -> pa.Array:
    count = len(values)
    digits = text_bytes(pc.fill_null(values, bytes(16)).cast(pa.binary())).tobytes().hex().encode()
    text = np.full((count, _UUID_LENGTH), ord("-"), np.uint8)
    text[:, _UUID_DIGITS] = np.frombuffer(digits, np.uint8).reshape(count, len(_UUID_DIGITS))
    offsets = np.arange(count + 1, dtype=np.int32) * _UUID_LENGTH
    texts = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))
    return pc.if_else(values.is_null(), None, texts)
