"""Rewrites text that the strict parsers reject, each distinct value once, and finds the rows that a parser accepts in no form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.arrow_tools import dictionary_decoded, dictionary_encoded, is_text
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import TEXT

NULL_WORDS: Final = ("null", "Null", "None", "none", "NONE", "nan", "NaN", "NAN", "\\N")
"""What programs write for null, beside an empty value and ``NULL``: JSON, Python and pandas, Hive and MySQL."""
OTHER_NULL_WORDS: Final = frozenset(
    {*NULL_WORDS, "NULL", "N/A", "n/a", "#N/A", "NA", "na", "nil", "-", "<null>", "(null)"}
)
"""In a column of numbers, times, JSON or a closed list these are null as well; in other text some may be a name."""


def respell(values: pa.Array, spell: Callable[[str], str | None]) -> tuple[pa.Array, np.ndarray]:
    """Return text with each value replaced by what `spell` returns (None: null), and a mask of the rows that changed.

    If `spell` raises ValueError, the value stays.
    """
    encoded = dictionary_encoded(values)
    texts = encoded.dictionary.to_pylist()
    spelled = [_spelled(text, spell) for text in texts]
    changed = np.array([before != after for before, after in zip(texts, spelled, strict=True)], bool)
    return pa.array(spelled, TEXT).take(encoded.indices), _rows(changed, encoded)


def _rows(flags: np.ndarray, encoded: pa.DictionaryArray) -> np.ndarray:
    """The rows whose value in the dictionary is flagged."""
    rows: np.ndarray = pc.fill_null(pa.array(flags, pa.bool_()).take(encoded.indices), False).to_numpy(
        zero_copy_only=False
    )
    return rows


def _spelled(text: str, spell: Callable[[str], str | None]) -> str | None:
    try:
        return spell(text)
    except ValueError:
        return text


def is_null_word(values: pa.Array) -> pa.Array:
    """Whether each text is one of `NULL_WORDS`; null for null."""
    words = pa.array(NULL_WORDS)
    if not pa.types.is_dictionary(values.type):
        return pc.is_in(values, words)
    return pc.is_in(values.dictionary, words).take(values.indices)


def rejected_rows(values: pa.Array, convert: Callable[[pa.Array], Any]) -> np.ndarray:
    """Return a mask of the rows that `convert` rejects, found by halving; text is tried once for each distinct value."""
    if not is_text(values.type):
        return _rejected(values, convert)
    encoded = dictionary_encoded(values)
    return _rows(_rejected(dictionary_decoded(encoded.dictionary), convert), encoded)


def _rejected(values: pa.Array, convert: Callable[[pa.Array], Any]) -> np.ndarray:
    count = len(values)
    try:
        convert(values)
        return np.zeros(count, bool)
    except RejectedValue as refused:
        if refused.index is None:
            valid: np.ndarray = values.is_valid().to_numpy(zero_copy_only=False)
            return valid
    if count == 1:
        return np.ones(1, bool)
    parts = values.slice(0, count // 2), values.slice(count // 2)
    return np.concatenate([_rejected(part, convert) for part in parts])


def without(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """Return `values` with null in the rows of a mask; works for every type."""
    positions = pa.array(np.arange(len(values)), mask=rows)
    return values.take(positions)
