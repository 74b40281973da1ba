"""Tags at the door: key-value pairs, however they are delivered, become one map of text a row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrays import empty_as_null, is_text, mostly_repeated, plain
from optiinfra_assets.line_items.extras import pairs_of_columns
from optiinfra_assets.line_items.json_texts import PLAIN_OBJECT, Pairs, parse_pairs
from optiinfra_assets.line_items.refused import Refused
from optiinfra_assets.line_items.schema import TEXT, TEXT_MAP


def to_maps(values: pa.Array) -> pa.Array:
    """Key-value pairs (JSON text, a map, a struct, a list of key-value structs) as map<string, string>; null becomes an empty map.

    Numbers keep their text (1.10 stays '1.10'), booleans become 'true' and 'false', a null value stays null.

    Raises:
        Refused: at the first value that is not a flat JSON object, or for a type that holds no key-value pairs.
    """
    kind = values.type
    if values.null_count == len(values):
        return pairs_of_columns([], [], len(values))
    if is_text(kind):
        return _of_text(empty_as_null(plain(values)))
    if pa.types.is_map(kind) and not pa.types.is_nested(kind.item_type):
        return _without_nulls(values).cast(TEXT_MAP)
    if pa.types.is_struct(kind) and not any(pa.types.is_nested(field.type) for field in kind):
        return _of_struct(values)
    if _is_list_of_pairs(kind):
        return _without_nulls(_of_list(values)).cast(TEXT_MAP)
    raise Refused(None, None, f"type {kind} is not accepted: JSON text or key-value pairs")


def _of_text(texts: pa.StringArray) -> pa.MapArray:
    if not mostly_repeated(texts):
        return _parsed(texts)
    encoded = texts.dictionary_encode()
    distinct = pa.concat_arrays([encoded.dictionary, pa.nulls(1, TEXT)])
    try:
        maps = _parsed(distinct)
    except Refused:
        return _parsed(texts)
    return maps.take(pc.fill_null(encoded.indices, len(distinct) - 1))


def _parsed(texts: pa.StringArray) -> pa.MapArray:
    """Maps of JSON texts: objects of plain text all at once, the others one by one."""
    is_odd = pc.fill_null(pc.invert(pc.match_substring_regex(texts, PLAIN_OBJECT)), False)
    maps = _plain_objects(pc.if_else(is_odd, None, texts))
    rows = np.flatnonzero(is_odd.to_numpy(zero_copy_only=False) | _has_key_twice(maps))
    if not len(rows):
        return maps
    pairs: list[Pairs] = []
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        try:
            pairs.append(parse_pairs(text))
        except ValueError as refusal:
            raise Refused(row, text, str(refusal)) from refusal
    positions = np.arange(len(texts))
    positions[rows] = len(texts) + np.arange(len(rows))
    return pa.concat_arrays([maps, pa.array(pairs, TEXT_MAP)]).take(pa.array(positions))


def _plain_objects(texts: pa.StringArray) -> pa.MapArray:
    """Maps of JSON objects that match `PLAIN_OBJECT`: each quote then begins or ends a key or a value."""
    parts = pc.split_pattern(pc.fill_null(texts, "{}"), '"')
    offsets = parts.offsets.to_numpy()
    sizes = np.diff(offsets) // 4
    ends = np.concatenate([[0], np.cumsum(sizes)])
    keys = np.repeat(offsets[:-1] + 1 - 4 * ends[:-1], sizes) + 4 * np.arange(ends[-1])
    flat = parts.values
    return pa.MapArray.from_arrays(
        pa.array(ends, pa.int32()), flat.take(pa.array(keys)), flat.take(pa.array(keys + 2))
    )


def _has_key_twice(maps: pa.MapArray) -> np.ndarray:
    """For each map, whether a key occurs in it more than once."""
    codes = maps.keys.dictionary_encode().indices.to_numpy()
    starts = maps.offsets.to_numpy()[:-1]
    sizes = np.diff(maps.offsets.to_numpy())
    twice = np.zeros(len(maps), bool)
    for size in np.unique(sizes[sizes > 1]):
        rows = np.flatnonzero(sizes == size)
        keys = np.sort(codes[starts[rows, None] + np.arange(size)], axis=1)
        twice[rows] = (keys[:, 1:] == keys[:, :-1]).any(axis=1)
    return twice


def _without_nulls(maps: pa.MapArray) -> pa.MapArray:
    """Null maps made empty: the table's map columns are not nullable."""
    if not maps.null_count:
        return maps
    positions = pc.if_else(maps.is_null(), len(maps), pa.array(np.arange(len(maps))))
    return pa.concat_arrays([maps, pa.array([[]], maps.type)]).take(positions)


def _is_list_of_pairs(kind: pa.DataType) -> bool:
    """Whether a type is a list of structs of two fields, key and value: how some writers spell a map."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    item = kind.value_type
    return bool(
        pa.types.is_struct(item)
        and {field.name.lower() for field in item} == {"key", "value"}
        and not any(pa.types.is_nested(field.type) for field in item)
    )


def _of_list(values: pa.Array) -> pa.MapArray:
    values = values.cast(pa.list_(values.type.value_type))
    pairs = values.flatten()
    names = {field.name.lower(): position for position, field in enumerate(pairs.type)}
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    keys = pc.struct_field(pairs, [names["key"]])
    return pa.MapArray.from_arrays(offsets, keys, pc.struct_field(pairs, [names["value"]]))


def _of_struct(values: pa.Array) -> pa.MapArray:
    """One pair for each field that is not null: a struct has every key of the file in every row."""
    fields = [
        pc.if_else(values.is_valid(), pc.struct_field(values, [n]), None)
        for n in range(values.type.num_fields)
    ]
    return pairs_of_columns(
        [field.name for field in values.type], [field.cast(TEXT) for field in fields], len(values)
    )
