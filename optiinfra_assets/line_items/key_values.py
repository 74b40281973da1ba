"""Normalizes key-value pairs of typed files: maps or lists of structs in, maps with each key once out."""

from __future__ import annotations

from typing import Final, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import first_true, offsets_of, parts_of_map, utf8_decoded
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.strings import any_to_strings

ACCEPTED: Final = "key-value pairs in UTF-8, no key null, none with two values"

_FEW: Final = 20
"""Up to this many values, comparing each with each is faster than sorting them (3 times as fast for 4)."""


def is_key_value_type(kind: pa.DataType) -> bool:
    """Whether a type is a map or a list of structs with key, value and any other fields; neither keys nor values are nested."""
    if pa.types.is_map(kind):
        parts = [kind.key_type, kind.item_type]
    elif (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_struct(kind.value_type):
        parts = [field.type for field in kind.value_type if field.name.lower() in ("key", "value")]
    else:
        return False
    return len(parts) == 2 and not any(map(pa.types.is_nested, parts))


def to_key_value_maps(values: pa.Array) -> pa.MapArray:
    """Convert values of a type that `is_key_value_type` accepts to maps with text keys and the values' own type; null becomes an empty map.

    A pair that a row has twice is kept once: Google's view repeats a key for each of its namespaces.

    Raises:
        RejectedValue: at the first row that has a null key, two values of one key, or bytes that are not UTF-8.
    """
    offsets, keys, items = _parts(values)
    missing = first_true(keys.is_null())
    if missing is not None:
        _refuse(values, offsets, missing)
    try:
        keys, items = any_to_strings(utf8_decoded(keys)), utf8_decoded(items)
    except RejectedValue as refused:
        _refuse(values, offsets, refused.index or 0)
    return _each_once(pa.MapArray.from_arrays(offsets, keys, items), values)


def has_duplicate_keys(maps: pa.MapArray) -> np.ndarray:
    """For each map, whether a key occurs in it more than once."""
    codes = maps.keys.dictionary_encode().indices.to_numpy()
    offsets = maps.offsets.to_numpy()
    sizes = np.diff(offsets)
    rises = np.ones(len(codes), bool)
    rises[1:] = codes[1:] > codes[:-1]
    rises[offsets[:-1][sizes > 0]] = True
    # In most files all rows have their keys in one order; then no key can occur twice.
    suspects = np.unique(np.searchsorted(offsets, np.flatnonzero(~rises), side="right") - 1)
    twice = np.zeros(len(maps), bool)
    for size in np.unique(sizes[suspects]):
        rows = suspects[sizes[suspects] == size]
        twice[rows] = _has_equals(codes[offsets[rows] + np.arange(size)[:, None]])
    return twice


def _has_equals(values: np.ndarray) -> np.ndarray:
    """For each column of a matrix, whether a value occurs in it more than once."""
    if len(values) > _FEW:
        values = np.sort(values, axis=0)
        return np.asarray((values[1:] == values[:-1]).any(axis=0))
    found = np.zeros(values.shape[1], bool)
    for distance in range(1, len(values)):
        found |= (values[distance:] == values[:-distance]).any(axis=0)
    return found


def _parts(values: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return where the pairs of each row begin, the keys, and the values."""
    if pa.types.is_map(values.type):
        return parts_of_map(_without_nulls(values))
    pairs = values.flatten()
    names = {field.name.lower(): position for position, field in enumerate(pairs.type)}
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    return (offsets_of(lengths), *(pc.struct_field(pairs, [names[name]]) for name in ("key", "value")))


def _without_nulls(maps: pa.MapArray) -> pa.MapArray:
    """Replace null maps by empty ones."""
    if not maps.null_count:
        return maps
    positions = pc.if_else(maps.is_null(), len(maps), pa.array(np.arange(len(maps))))
    return pa.concat_arrays([maps, pa.array([[]], maps.type)]).take(positions)


def _each_once(maps: pa.MapArray, delivered: pa.Array) -> pa.MapArray:
    rows = np.flatnonzero(has_duplicate_keys(maps))
    if not len(rows):
        return maps
    offsets = maps.offsets.to_numpy()
    is_kept = np.ones(len(maps.keys), bool)
    for row in rows.tolist():
        seen: dict[str, pa.Scalar] = {}
        for position in range(offsets[row], offsets[row + 1]):
            key, item = maps.keys[position].as_py(), maps.items[position]
            is_kept[position] = key not in seen
            if not seen.setdefault(key, item).equals(item):
                _refuse(delivered, maps.offsets, position)
    starts = pa.array(offsets_of(is_kept).to_numpy()[offsets])
    kept = pa.array(is_kept)
    return pa.MapArray.from_arrays(starts, maps.keys.filter(kept), maps.items.filter(kept))


def _refuse(values: pa.Array, offsets: pa.Array, position: int) -> NoReturn:
    """Raise RejectedValue for the row of the pair at `position`."""
    row = int(np.searchsorted(offsets.to_numpy(), position, side="right")) - 1
    to_key_value_maps(values.slice(0, row))  # a row before it may be rejected for another reason
    raise RejectedValue(row, values[row].as_py(), ACCEPTED)
