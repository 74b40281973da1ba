"""Reads columns whose values the strict parsers reject, as far as their meaning is certain, and counts what was read so.

Only money, currencies, times and the charge category can be rejected: without them no total is right. A value of another column that
cannot be read becomes null, and the delivered text is kept in ``x_columns`` as ``x_<column>_as_delivered``.

The strict parsers run first, and alone for well-formed values; what is here runs for the columns of a batch that they reject.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.domain.focus import ColumnType
from optiinfra_assets.line_items import strings
from optiinfra_assets.line_items.arrow_tools import dictionary_decoded, dictionary_encoded, is_text
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.json_encoding import to_json_literals
from optiinfra_assets.line_items.lenient_numbers import spell_number
from optiinfra_assets.line_items.lenient_tags import spell_null, spell_tags
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.respelling import OTHER_NULL_WORDS, is_null_word, rejected_rows, respell, without
from optiinfra_assets.line_items.schema import TEXT, arrow_type
from optiinfra_assets.line_items.time_columns import TimeColumns

Strict = Callable[[pa.Array, Rounding], pa.Array]
"""Converts delivered values of one column, and adds what it rounds; or raises RejectedValue."""

_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
_LONGEST_EXACT: Final = 2.0**53
"""Up to here a double holds each integer, so that an account id in it has lost nothing."""


class Leniency:
    """Reads the columns of one file leniently. Not thread-safe.

    Attributes:
        irregularities: what was read so.
        times: reads the columns of times.
    """

    def __init__(self) -> None:
        self.irregularities = Irregularities()
        self.times = TimeColumns(self.irregularities)
        self._aside: dict[str, pa.Array] = {}

    def take_aside(self) -> dict[str, pa.Array]:
        """Return the delivered text of values that became null in this batch, by their name in ``x_columns``, and forget it."""
        aside, self._aside = self._aside, {}
        return aside

    def column(self, column: focus.Column, name: str, values: pa.Array, strict: Strict, rounding: Rounding) -> pa.Array:
        """Convert a column that `strict` rejects.

        Args:
            column: the FOCUS column.
            name: its name as delivered, for messages.
            values: as delivered.
            strict: converts them, if they are well-formed.
            rounding: every rounded value is added to it.

        Raises:
            RejectedValue: at the first value of which a total depends and that is not certain.
        """
        if column.accepted and column.name != "ChargeCategory":
            return self._words(column, name, values)
        if column.kind is ColumnType.STRING and column.name not in ("ChargeCategory", "BillingCurrency"):
            return self._texts(column, name, values)
        respelled = self._respelled(column, name, values)
        counted = Rounding()
        try:
            converted = strict(respelled, counted)
        except RejectedValue:
            if is_certain(column):
                raise
            counted = Rounding()
            converted = strict(self._set_aside(column, name, respelled, strict), counted)
        rounding.add(counted)
        return converted

    def texts(self, column: focus.Column, name: str, converted: pa.Array) -> pa.Array:
        """Replace words for null in a converted column of text by null."""
        if not _may_hold_null_words(converted):
            return converted
        words = is_null_word(converted)
        self.irregularities.add("null-word", f"{name}: words for null were read as null", words, converted)
        empty = "" if column.name in focus.EMPTY_AS_NULL else None
        cleared = pc.if_else(pc.fill_null(words, False), pa.scalar(empty, TEXT), dictionary_decoded(converted))
        return dictionary_encoded(cleared) if pa.types.is_dictionary(converted.type) else cleared

    def _respelled(self, column: focus.Column, name: str, values: pa.Array) -> pa.Array:
        is_nullable = column.name not in focus.NOT_NULL
        if pa.types.is_floating(values.type) and is_nullable:
            return self._noted("null-word", f"{name}: NaN was read as null", values, pc.is_nan(values))
        if not is_text(values.type):
            return values
        if is_nullable and column.name != "Tags":
            values = self._spelled("null-word", f"{name}: words for null were read as null", values, spell_null)
        if found := _SPELLINGS.get(column.name) or _SPELLINGS.get(column.kind):
            code, message, spell = found
            values = self._spelled(code, f"{name}: {message}", values, spell)
        return values

    def _spelled(self, code: str, message: str, values: pa.Array, spell: Callable[[str], str | None]) -> pa.Array:
        spelled, rows = respell(values, spell)
        self.irregularities.add(code, message, rows, values)
        return spelled

    def _noted(self, code: str, message: str, values: pa.Array, rows: pa.Array) -> pa.Array:
        mask = pc.fill_null(rows, False).to_numpy(zero_copy_only=False)
        self.irregularities.add(code, message, mask, values)
        return without(values, mask)

    def _words(self, column: focus.Column, name: str, values: pa.Array) -> pa.Array:
        """Keep the words of a closed list that carries no money, whatever they are."""
        texts, _ = respell(self.as_text(name, values), lambda text: _word(text, column.accepted))
        encoded = dictionary_encoded(texts)
        known = {word.casefold() for word in column.accepted}
        strange = [word.casefold() not in known for word in encoded.dictionary.to_pylist()]
        cased = [word not in column.accepted and word.casefold() in known for word in encoded.dictionary.to_pylist()]
        choices = ", ".join(column.accepted)
        for code, message, flags in (
            ("unknown-word", f"{name}: values that FOCUS does not list ({choices}) were kept", strange),
            ("word-case", f"{name}: values in other capitals than FOCUS's ({choices}) were kept", cased),
        ):
            self.irregularities.add(code, message, pa.array(flags, pa.bool_()).take(encoded.indices), texts)
        return encoded

    def _texts(self, column: focus.Column, name: str, values: pa.Array) -> pa.Array:
        texts = self.as_text(name, values)
        if column.name in focus.EMPTY_AS_NULL:
            missing = pc.or_(texts.is_null(), pc.fill_null(pc.equal(texts, ""), False))
            if column.name not in focus.NULL_AS_EMPTY:
                self.irregularities.add("id-missing", f"{name}: line items without it were kept", missing, values)
            texts = pc.fill_null(texts, "")
        return texts if arrow_type(column) == TEXT else dictionary_encoded(texts)

    def as_text(self, name: str, values: pa.Array) -> pa.Array:
        """Convert a column of text that a file has in another type; integers in doubles become integers again."""
        try:
            return strings.to_strings(values)
        except RejectedValue:
            pass
        plain = dictionary_decoded(values)
        self.irregularities.add(
            "text-type", f"{name}: values of type {values.type} were read as text", plain.is_valid(), plain
        )
        if pa.types.is_nested(plain.type):
            return to_json_literals(plain, strict=False)
        return _integers(plain) if pa.types.is_floating(plain.type) else strings.any_to_strings(plain)

    def _set_aside(self, column: focus.Column, name: str, values: pa.Array, strict: Strict) -> pa.Array:
        rows = rejected_rows(values, lambda some: strict(some, Rounding()))
        message = f"{name}: values that cannot be read were stored as null, and kept as x_{column.name}_as_delivered"
        self.irregularities.add("not-read", message, rows, values)
        kept = without(values, ~rows)
        is_nested = pa.types.is_nested(kept.type)
        self._aside[f"x_{column.name}_as_delivered"] = (
            to_json_literals(kept, strict=False) if is_nested else strings.any_to_strings(kept)
        )
        return without(values, rows)


def is_certain(column: focus.Column) -> bool:
    """Whether a value of this column must be certain, because totals, or the month of a charge, depend on it."""
    is_quantity = column.kind is ColumnType.DECIMAL and column.name.endswith("Quantity")
    is_money = column.kind is ColumnType.DECIMAL and not is_quantity
    return is_money or column.kind is ColumnType.TIME or column.name in ("ChargeCategory", "BillingCurrency")


def _spell_category(text: str) -> str | None:
    return _listed(text, focus.CHARGE_CATEGORIES)


def _listed(text: str, accepted: tuple[str, ...]) -> str:
    word = text.strip().casefold()
    for one in accepted:
        if one.casefold() == word:
            return one
    raise ValueError(text)


def _spell_currency(text: str) -> str:
    word = text.strip()
    if word in OTHER_NULL_WORDS or not _CURRENCY.fullmatch(word):
        raise ValueError(text)
    return word.upper()


def _word(text: str, _accepted: tuple[str, ...]) -> str | None:
    word = text.strip()
    return None if not word or word in OTHER_NULL_WORDS else word


_SPELLINGS: Final[dict[str, tuple[str, str, Callable[[str], str | None]]]] = {
    "ChargeCategory": (
        "word-case",
        "categories in other capitals, or with spaces, were read as FOCUS's",
        _spell_category,
    ),
    "BillingCurrency": ("word-case", "currency codes in small letters, or with spaces, were read", _spell_currency),
    ColumnType.DECIMAL: ("number-form", "numbers in another form than FOCUS's were read", spell_number),
    "Tags": (
        "tags-form",
        "tags that are no flat JSON object, or have a key twice (the last counts), were read",
        spell_tags,
    ),
}
"""By column, else by the type of its values: the code and message of what was read, and how to spell it."""


def _may_hold_null_words(converted: pa.Array) -> bool:
    texts = converted.dictionary if pa.types.is_dictionary(converted.type) else converted
    return bool(pc.any(is_null_word(texts), min_count=0).as_py())


def _integers(values: pa.Array) -> pa.Array:
    is_exact = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), _LONGEST_EXACT))
    integers = pc.if_else(is_exact, values, None).cast(pa.int64(), safe=True).cast(TEXT)
    return pc.coalesce(integers, values.cast(TEXT))
