"""Encodes typed values as JSON, a whole column at once: no row becomes a Python object."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    is_low_cardinality,
    is_text,
    map_distinct,
    offsets_of,
    parts_of_map,
)
from optiinfra_assets.line_items.schema import TEXT
from optiinfra_assets.line_items.strings import any_to_strings

NO_NUMBER: Final = "nan|inf"
"""Numbers that JSON does not have; text may match it too."""
_NEEDS_ESCAPE: Final = r'[\x00-\x1f"\\]'


def to_json_literals(values: pa.Array, *, strict: bool) -> pa.Array:
    """Encode each value as JSON text; null stays null.

    Numbers keep all their digits, times become text, bytes become the text that they hold or hex.

    Args:
        values: of any type, nested or not.
        strict: follow FOCUS: maps become objects; NaN and infinity are not JSON, so the caller must search for them (`NO_NUMBER`).
            If False, only maps to text become objects, other maps become lists of pairs, and such numbers become text.
    """
    values = dictionary_decoded(values)
    kind = values.type
    if pa.types.is_struct(kind):
        return _of_structs(values, strict)
    if pa.types.is_map(kind):
        return _of_maps(values, strict)
    if pa.types.is_nested(kind):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
        return _listed(values, offsets_of(lengths), to_json_literals(values.flatten(), strict=strict), "[]")
    return _of_flat(values, strict)


def _of_structs(values: pa.StructArray, strict: bool) -> pa.Array:
    parts: list[Any] = ["{"]
    for position, field in enumerate(values.type):
        lead = f"{', ' if position else ''}{_written(field.name)}: "
        parts += [lead, to_json_literals(pc.struct_field(values, [position]), strict=strict)]
    texts = pc.binary_join_element_wise(*parts, "}", "", null_handling="replace", null_replacement="null")
    return pc.if_else(values.is_null(), None, texts)


def _of_maps(values: pa.MapArray, strict: bool) -> pa.Array:
    offsets, keys, items = parts_of_map(values)
    literals = pc.fill_null(to_json_literals(items, strict=strict), "null")
    if (strict or is_text(items.type)) and not pa.types.is_nested(keys.type):
        entries = pc.binary_join_element_wise(_quoted(any_to_strings(keys)), literals, ": ")
        return _listed(values, offsets, entries, "{}")
    pairs = pc.binary_join_element_wise("[", to_json_literals(keys, strict=strict), ", ", literals, "]", "")
    return _listed(values, offsets, pairs, "[]")


def _listed(values: pa.Array, offsets: pa.Array, entries: pa.Array, ends: str) -> pa.Array:
    entries = pc.fill_null(entries, "null")
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, entries), ", ")
    return pc.if_else(values.is_null(), None, pc.binary_join_element_wise(ends[0], joined, ends[1], ""))


def _of_flat(values: pa.Array, strict: bool) -> pa.Array:
    kind = values.type
    texts = any_to_strings(values)
    if pa.types.is_floating(kind) and not strict:
        return pc.if_else(pc.match_substring_regex(texts, NO_NUMBER), _quoted(texts), texts)
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    ):
        return texts
    return _quoted(texts)


def _quoted(texts: pa.StringArray) -> pa.Array:
    """Encode each text as a JSON string, null as null."""
    if not is_low_cardinality(texts):
        return _each_quoted(texts)
    encoded = texts.dictionary_encode()
    quoted = pa.DictionaryArray.from_arrays(encoded.indices, _each_quoted(encoded.dictionary))
    return quoted.dictionary_decode()


def _each_quoted(texts: pa.StringArray) -> pa.Array:
    if pc.any(pc.match_substring_regex(texts, _NEEDS_ESCAPE), min_count=0).as_py():
        return map_distinct(texts, _written, TEXT)
    return pc.binary_join_element_wise('"', texts, '"', "")


def _written(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
