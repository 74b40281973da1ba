"""Normalizes text: names and ids stay as delivered; enumerations and currency codes are checked."""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    dictionary_encoded,
    empty_as_null,
    is_bytes,
    is_text,
    reject_used,
    utf8_decoded,
)
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import REPEATED_TEXT, TEXT

CURRENCY: Final = "a currency code of three capital letters such as USD (ISO 4217)"

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def to_strings(values: pa.Array) -> pa.Array:
    """Convert `values` to plain text, with case and spaces as delivered; '' and null stay different.

    Integers, booleans, dates and timestamps of typed files become their text. Doubles are rejected: an account id that went through a
    double has lost digits.

    Raises:
        RejectedValue: for a type that holds no text, and at the first bytes that are not UTF-8.
    """
    if values.null_count == len(values):
        return pa.nulls(len(values), TEXT)
    values = utf8_decoded(dictionary_decoded(values))
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _moment_texts(values)
    if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return values.cast(TEXT)
    raise RejectedValue(None, None, f"type {kind} is not accepted: text")


def any_to_strings(values: pa.Array) -> pa.Array:
    """Convert `values` of any type except nested ones to plain text with full precision; bytes that are not text become hex after ``0x``.

    Bytes are not text if they are not UTF-8 or have a zero byte, as DuckDB's intervals have.
    """
    values = dictionary_decoded(values)
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(TEXT)
    if is_bytes(kind):
        return _texts_or_hex(values)
    return to_strings(values)


def to_dictionary_strings(values: pa.Array) -> pa.Array:
    """Convert as `to_strings` does, and dictionary-encode the result.

    Raises:
        RejectedValue: for a type that holds no text.
    """
    if values.null_count == len(values):
        return pa.nulls(len(values), REPEATED_TEXT)
    return dictionary_encoded(values if is_text(values.type) else to_strings(values))


def to_enum_strings(values: pa.Array, accepted: tuple[str, ...]) -> pa.Array:
    """Check values of an enumeration and dictionary-encode them; '' becomes null.

    Raises:
        RejectedValue: at the first value that is not in `accepted`.
    """
    encoded = to_dictionary_strings(_emptied(values))
    choices = f"one of {', '.join(accepted)}" if len(accepted) > 1 else f"{accepted[0]} or nothing"
    reject_used(encoded, {n: choices for n, text in enumerate(encoded.dictionary.to_pylist()) if text not in accepted})
    return encoded


def to_currencies(values: pa.Array) -> pa.Array:
    """Check currency codes and dictionary-encode them; '' becomes null.

    Raises:
        RejectedValue: at the first value that is not three capital letters.
    """
    encoded = to_dictionary_strings(_emptied(values))
    texts = encoded.dictionary.to_pylist()
    reject_used(encoded, {n: CURRENCY for n, text in enumerate(texts) if not _CURRENCY.fullmatch(text)})
    return encoded


def _emptied(values: pa.Array) -> pa.Array:
    return empty_as_null(values) if is_text(values.type) else values


def _texts_or_hex(values: pa.Array) -> pa.Array:
    try:
        texts = values.cast(TEXT)
        if not pc.any(pc.match_substring(texts, "\0"), min_count=0).as_py():
            return texts
    except pa.ArrowInvalid:
        pass
    return pa.array([None if value is None else _text_or_hex(value) for value in values.to_pylist()], TEXT)


def _text_or_hex(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return f"0x{value.hex()}" if "\0" in text else text


def _moment_texts(values: pa.Array) -> pa.Array:
    try:
        return values.cast(TEXT)
    except pa.ArrowInvalid:  # this machine does not know the time zone
        return values.cast(pa.timestamp(values.type.unit, "UTC")).cast(TEXT)
