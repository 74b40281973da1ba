"""Normalizes money and quantities: text, decimals, integers or doubles in, exact Decimal(38, 18) out, or the value is rejected.

Accepted text is the numeric format of FOCUS (integer, decimal or E-notation such as ``35.2E-7``; no ``+``, no currency sign, no
thousands separator). We also accept ``.5`` and ``5.``, which databases write and which are unambiguous.
More than 18 fraction digits are rounded half-even, once, and counted. More than 20 integer digits are rejected.

Arrow's own casts to decimal128 wrap silently beyond 20 integer digits (text of 25 digits, and also decimals of scale 0 and their sums: seen
in pyarrow 26), so each path here first checks that the number fits.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    dictionary_encoded,
    empty_as_null,
    first_true,
    is_low_cardinality,
    is_text,
    text_bytes,
)
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import DECIMAL

if TYPE_CHECKING:
    from optiinfra_assets.domain.errors import Rounding

ACCEPTED: Final = "a number such as -12, 0.034 or 35.2E-7, without '+', spaces, currency or thousands signs"
TOO_LARGE: Final = "a number of at most 20 integer digits"

_WIDE: Final = pa.decimal256(75, 38)
"""37 integer and 38 fraction digits; one digit is left free because Arrow's subtraction adds one."""
_CHANGE: Final = pa.decimal256(76, 38)
_ONE: Final = Decimal(1).scaleb(-18)
_EXACT: Final = Context(prec=2000, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)

_NUMBER: Final = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?$"
_FITS_WIDE: Final = r"^-?[0-9]{0,20}(\.[0-9]{0,38}|(\.[0-9]{0,18})?[eE](-0?[0-9]|-1[0-9]|0?[0-9]))?$"
"""Numbers that fit into 38 integer and 38 fraction digits with any exponent that the pattern allows."""
_DIGIT_BYTES: Final = np.isin(np.arange(256), np.frombuffer(b"-.0123456789", np.uint8))


def to_decimals(values: pa.Array, rounding: Rounding) -> pa.Array:
    """Convert `values` (text, decimals, integers, doubles; plain or dictionary) to Decimal(38, 18); null stays null, '' becomes null.

    Adds rounded values to `rounding`.

    Raises:
        RejectedValue: at the first value that is not accepted, or for a type that holds no numbers.
    """
    kind = values.type
    if values.null_count == len(values):
        return pa.nulls(len(values), DECIMAL)
    if is_text(kind):
        return _from_text(values, rounding)
    values = dictionary_decoded(values)
    kind = values.type
    if pa.types.is_integer(kind):
        return values.cast(DECIMAL)
    if pa.types.is_floating(kind):
        if pa.types.is_float16(kind):
            values = values.cast(pa.float32())
        return _from_doubles(values, rounding)
    if pa.types.is_decimal(kind):
        return _from_decimals(values, rounding)
    raise RejectedValue(None, None, f"type {kind} is not accepted: decimals, integers, doubles or text")


def _from_text(values: pa.Array, rounding: Rounding) -> pa.Array:
    texts = empty_as_null(dictionary_decoded(values))
    if _casts_exactly(texts):
        try:
            return texts.cast(DECIMAL)
        except pa.ArrowInvalid:
            pass  # '1-2', '--1', or more than 18 fraction digits: the slow path below finds out which
    wrong = first_true(pc.invert(pc.match_substring_regex(texts, _NUMBER)))
    if wrong is not None:
        _from_text(texts.slice(0, wrong), rounding)  # too large a number may stand before the malformed one
        raise RejectedValue(wrong, texts[wrong].as_py(), ACCEPTED)
    fits = pc.match_substring_regex(texts, _FITS_WIDE)
    if pc.all(fits, min_count=0).as_py():
        return _narrow(texts.cast(_WIDE), texts, rounding)
    return _one_by_one(texts, rounding, texts)


def _casts_exactly(texts: pa.StringArray) -> bool:
    """Whether Arrow's cast either reads these texts exactly or fails: only digits, '.' and '-', at most 20 before the point."""
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest > 38 or not _DIGIT_BYTES[text_bytes(texts)].all():
        return False
    return longest <= 20 or first_true(pc.match_substring_regex(texts, "^-?[0-9]{21}")) is None


def _from_doubles(values: pa.Array, rounding: Rounding) -> pa.Array:
    """Convert doubles through their shortest text.

    A binary double cannot hold 0.1; the shortest decimal text that reads back as the same double is the number that was meant. The same
    holds for single precision with its own shortest text.
    """
    wrong = first_true(pc.invert(pc.is_finite(values)))
    large = first_true(pc.greater_equal(pc.abs(values), pa.scalar(1e20, values.type)))
    if large is not None and (wrong is None or large < wrong):
        raise RejectedValue(large, repr(values[large].as_py()), TOO_LARGE)
    if wrong is not None:
        raise RejectedValue(wrong, repr(values[wrong].as_py()), "a finite number")
    return _from_finite(values, rounding)


def _from_finite(values: pa.Array, rounding: Rounding) -> pa.Array:
    encoded = values.dictionary_encode() if is_low_cardinality(values) else None
    distinct = values if encoded is None else encoded.dictionary

    def spread(converted: pa.Array) -> pa.Array:
        return converted if encoded is None else converted.take(encoded.indices)

    texts = distinct.cast(pa.string())
    size = pc.abs(distinct)
    tiny = pc.and_(pc.less(size, pa.scalar(1e-21, values.type)), pc.greater(size, pa.scalar(0, values.type)))
    if first_true(tiny) is not None:  # Arrow's cast silently turns 1.41e-96 into 0
        return _one_by_one(spread(texts), rounding, values)
    try:
        return spread(texts.cast(DECIMAL))
    except pa.ArrowInvalid:  # more than 18 fraction digits; at most 38, as 17 digits that start at 1e-21 end at 1e-37
        return _narrow(spread(texts.cast(_WIDE)), values, rounding)


def _from_decimals(values: pa.Array, rounding: Rounding) -> pa.Array:
    precision, scale = values.type.precision, values.type.scale
    if pa.types.is_decimal128(values.type) and 0 <= scale <= 18:
        if precision - scale > 20:
            large = first_true(pc.greater_equal(pc.abs(values), pa.scalar(Decimal(10) ** 20, values.type)))
            if large is not None:
                raise RejectedValue(large, values[large].as_py(), TOO_LARGE)
        return values.cast(DECIMAL)
    if 0 <= scale <= 38 and precision - scale <= 37:
        return _narrow(values.cast(_WIDE), values, rounding)
    return _one_by_one(values.cast(pa.string()), rounding, values)


def _narrow(wide: pa.Array, delivered: pa.Array, rounding: Rounding) -> pa.Array:
    """Round 38 fraction digits to 18, count the difference, and reject numbers with more than 20 integer digits.

    Arrow's rounding of decimal256 is wrong for some numbers with many nines (pyarrow 26: 99999999999999.9999999999999999999 is rounded
    down). A result less than half a unit away is right by any method; we compute ties and all other numbers exactly.
    """
    large = first_true(pc.greater_equal(pc.abs(wide), _scalar(Decimal(10) ** 20, _WIDE)))
    if large is not None:
        raise RejectedValue(large, delivered[large].as_py(), TOO_LARGE)
    try:
        rounded = pc.round(wide, ndigits=18, round_mode="half_to_even").cast(DECIMAL)
    except pa.ArrowInvalid:  # rounded up to 21 integer digits
        return _one_by_one(wide.cast(pa.string()), rounding, delivered)
    changes = pc.abs(pc.subtract(wide, rounded.cast(_WIDE)))
    none = _scalar(Decimal(0), _CHANGE)
    unproven = pc.greater_equal(changes, _scalar(Decimal(5).scaleb(-19), _CHANGE))
    if first_true(unproven) is not None:
        exact = _one_by_one(pc.if_else(unproven, wide.cast(pa.string()), None), rounding, delivered)
        rounded = pc.coalesce(exact, pc.if_else(unproven, None, rounded))
        changes = pc.if_else(unproven, none, changes)
    changed = pc.sum(pc.not_equal(changes, none)).as_py()
    if changed:
        rounding.values += changed
        rounding.total = _EXACT.add(rounding.total, pc.sum(changes).as_py())
    return rounded


@cache
def _scalar(value: Decimal, kind: pa.DataType) -> pa.Scalar:
    """Not a module constant: pyarrow imports pandas to make it, which would slow each start of the API."""
    return pa.scalar(value, kind)


def _one_by_one(texts: pa.Array, rounding: Rounding, delivered: pa.Array) -> pa.Array:
    """Convert exactly, for any exponent and any length, with Python's Decimal once for each distinct text of `delivered`."""
    encoded = dictionary_encoded(texts)
    uses = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=len(encoded.dictionary))
    numbers: list[Decimal | None] = []
    for text, count in zip(encoded.dictionary.to_pylist(), uses.tolist(), strict=True):
        number, change = _round(text)
        numbers.append(number)
        if change:
            rounding.values += count
            rounding.total = _EXACT.fma(change, count, rounding.total)
    wrong = [position for position, number in enumerate(numbers) if number is None]
    large = first_true(pc.is_in(encoded.indices, pa.array(wrong, pa.int32())))
    if large is not None:
        raise RejectedValue(large, delivered[large].as_py(), TOO_LARGE)
    return pa.array(numbers, DECIMAL).take(encoded.indices)


def _round(text: str) -> tuple[Decimal | None, Decimal]:
    """Return the number rounded to 18 fraction digits and the change by rounding; None if it has more than 20 integer digits."""
    try:
        number = Decimal(text)
        rounded = number.quantize(_ONE, context=_EXACT)
    except InvalidOperation:  # the exponent or length is beyond any sum of money
        return None, Decimal(0)
    if rounded.adjusted() >= 20:
        return None, Decimal(0)
    return rounded, _EXACT.subtract(number, rounded).copy_abs()
