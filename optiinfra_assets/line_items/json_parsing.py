"""Parses JSON text of FOCUS columns exactly, and checks that text is valid JSON.

Source of the rules: FOCUS key-value format (a flat JSON object, values number, string, true, false or null) and JSON object format.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain.read_memory import OBJECT_BYTES, SETTING, kept_if_short, most_bytes
from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    empty_as_null,
    first_true,
    is_text,
    map_distinct,
    types_within,
)
from optiinfra_assets.line_items.json_encoding import NO_NUMBER, to_json_literals
from optiinfra_assets.line_items.key_values import is_key_value_type, to_key_value_maps
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TEXT

FLAT: Final = 'a flat JSON object such as {"team": "web"}, its values text, numbers, true, false or null'
ANY_OBJECT: Final = "a JSON object or array"

_PLAIN_TEXT = r'"[^"\\\x00-\x1f]*"'
_PLAIN_PAIR = f"{_PLAIN_TEXT}: ?{_PLAIN_TEXT}"
PLAIN_OBJECT: Final = rf"^\{{({_PLAIN_PAIR}(, ?{_PLAIN_PAIR})*)?\}}$"
"""Objects of text without escapes, which nearly all tags are: this pattern recognizes them 20 times as fast as a JSON decoder."""

Pairs = tuple[tuple[str, str | None], ...]


def to_json(values: pa.Array, *, is_flat: bool = False) -> pa.Array:
    """Return JSON objects or arrays: text as delivered, typed nested values encoded as JSON; '' becomes null.

    Args:
        values: a FOCUS column.
        is_flat: the column holds key-value pairs, so typed pairs become an object, also if they are lists of key and value.

    Raises:
        RejectedValue: at the first value that is not JSON, or for a type that is neither text nor nested.
    """
    if values.null_count == len(values):
        return pa.nulls(len(values), TEXT)
    if is_text(values.type):
        return _checked(empty_as_null(dictionary_decoded(values)))
    if not pa.types.is_nested(values.type):
        raise RejectedValue(None, None, f"type {values.type} is not accepted: JSON text or nested values")
    if is_flat and is_key_value_type(values.type):
        texts = pc.if_else(values.is_null(), None, to_json_literals(to_key_value_maps(values), strict=True))
    else:
        texts = to_json_literals(values, strict=True)
    is_odd = (
        any(map(pa.types.is_floating, types_within(values.type)))
        and pc.any(pc.match_substring_regex(texts, NO_NUMBER), min_count=0).as_py()
    )
    return _checked(texts) if is_odd else texts


@kept_if_short
def parse_flat_object(text: str) -> Pairs:
    """Return the pairs of a flat JSON object, in order. Numbers keep their text: 1.10 stays '1.10'.

    Raises:
        ValueError: the text is not accepted; the message says what is.
    """
    parsed = _load(text, FLAT)
    if not isinstance(parsed, _Object):
        raise ValueError(FLAT)
    pairs = tuple((key, _pair_text(value)) for key, value in parsed)
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"{FLAT}, each key once")
    if not all(_is_unicode(key) and _is_unicode(value or "") for key, value in pairs):
        raise ValueError(f"{FLAT}, in Unicode")
    return pairs


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that duplicate keys are seen."""


def _load(text: str, accepted: str) -> Any:
    if OBJECT_BYTES * sum(map(text.count, ",[{")) > most_bytes():
        raise ValueError(f"{accepted}, of fewer values, or raise {SETTING}")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(accepted) from error


def _refuse_constant(name: str) -> None:
    """Reject NaN and Infinity, which Python's decoder would accept."""
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)


def _pair_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise ValueError(FLAT)


def _is_unicode(text: str) -> bool:
    """False for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _checked(texts: pa.StringArray) -> pa.Array:
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(texts, PLAIN_OBJECT)), False)
    if first_true(odd) is not None:
        map_distinct(pc.if_else(odd, texts, None), _check, pa.bool_())
    return texts


@kept_if_short
def _check(text: str) -> bool:
    if not isinstance(_load(text, ANY_OBJECT), list):
        raise ValueError(ANY_OBJECT)
    return True
