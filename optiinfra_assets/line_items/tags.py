"""Normalizes tags: key-value pairs in any delivered form in, one map of text a row out."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    empty_as_null,
    is_low_cardinality,
    is_text,
    utf8_decoded,
)
from optiinfra_assets.line_items.json_parsing import PLAIN_OBJECT, Pairs, parse_flat_object
from optiinfra_assets.line_items.key_values import has_duplicate_keys, is_key_value_type, to_key_value_maps
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TEXT, TEXT_MAP
from optiinfra_assets.line_items.strings import any_to_strings
from optiinfra_assets.line_items.x_columns import columns_to_maps

_PARSED_AT_ONCE: Final = 4 << 20
"""Characters of JSON whose pairs are held as Python objects, which take 25 times as much."""


def to_tag_maps(values: pa.Array) -> pa.Array:
    """Convert key-value pairs (JSON text, a map, a struct, a list of key-value structs) to map<string, string>; null becomes an empty map.

    Numbers keep their text (1.10 stays '1.10'), booleans become 'true' and 'false', a null value stays null.

    Raises:
        RejectedValue: at the first value that is no flat JSON object and no pairs that `to_key_value_maps` accepts, or for another type.
    """
    kind = values.type
    if values.null_count == len(values):
        return columns_to_maps([], [], len(values))
    if is_text(kind):
        return _of_text(empty_as_null(dictionary_decoded(values)))
    if is_key_value_type(kind):
        pairs = to_key_value_maps(values)
        return pa.MapArray.from_arrays(pairs.offsets, pairs.keys, any_to_strings(pairs.items)).cast(TEXT_MAP)
    if pa.types.is_struct(kind) and not any(pa.types.is_nested(field.type) for field in kind):
        return _of_struct(values)
    raise RejectedValue(None, None, f"type {kind} is not accepted: JSON text or key-value pairs")


def _of_text(texts: pa.StringArray) -> pa.MapArray:
    if not is_low_cardinality(texts):
        return _parsed(texts)
    encoded = texts.dictionary_encode()
    distinct = pa.concat_arrays([encoded.dictionary, pa.nulls(1, TEXT)])
    try:
        maps = _parsed(distinct)
    except RejectedValue:
        return _parsed(texts)
    return maps.take(pc.fill_null(encoded.indices, len(distinct) - 1))


def _parsed(texts: pa.StringArray) -> pa.MapArray:
    """Parse JSON texts to maps: objects of plain text all at once, the others one by one."""
    is_odd = pc.fill_null(pc.invert(pc.match_substring_regex(texts, PLAIN_OBJECT)), False)
    maps = _plain_objects(pc.if_else(is_odd, None, texts))
    rows = np.flatnonzero(is_odd.to_numpy(zero_copy_only=False) | has_duplicate_keys(maps))
    if not len(rows):
        return maps
    pairs: list[Pairs] = []
    parsed, size = [maps], 0
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        try:
            pairs.append(parse_flat_object(text))
        except ValueError as refusal:
            raise RejectedValue(row, text, str(refusal)) from refusal
        size += len(text)
        if size > _PARSED_AT_ONCE:
            parsed.append(pa.array(pairs, TEXT_MAP))
            pairs, size = [], 0
    positions = np.arange(len(texts))
    positions[rows] = len(texts) + np.arange(len(rows))
    return pa.concat_arrays([*parsed, pa.array(pairs, TEXT_MAP)]).take(pa.array(positions))


def _plain_objects(texts: pa.StringArray) -> pa.MapArray:
    """Split JSON objects that match `PLAIN_OBJECT`: in them each quote begins or ends a key or a value."""
    parts = pc.split_pattern(pc.fill_null(texts, "{}"), '"')
    offsets = parts.offsets.to_numpy()
    sizes = np.diff(offsets) // 4
    ends = np.concatenate([[0], np.cumsum(sizes)])
    keys = np.repeat(offsets[:-1] + 1 - 4 * ends[:-1], sizes) + 4 * np.arange(ends[-1])
    flat = parts.values
    return pa.MapArray.from_arrays(pa.array(ends, pa.int32()), flat.take(pa.array(keys)), flat.take(pa.array(keys + 2)))


def _of_struct(values: pa.Array) -> pa.MapArray:
    """One pair for each field that is not null: a struct has every key of the file in every row."""
    fields = [pc.if_else(values.is_valid(), pc.struct_field(values, [n]), None) for n in range(values.type.num_fields)]
    return columns_to_maps(
        [field.name for field in values.type],
        [any_to_strings(utf8_decoded(field)) for field in fields],
        len(values),
    )
