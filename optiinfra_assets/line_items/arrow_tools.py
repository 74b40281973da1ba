"""Small functions on Arrow arrays that the modules of normalization share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import REPEATED_TEXT, TEXT


def first_true(mask: pa.Array) -> int | None:
    """Position of the first true in a boolean array, or None; null counts as false."""
    position: int = pc.index(mask, True).as_py()
    return None if position < 0 else position


def with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """Return `batch` with one column replaced by `values`."""
    position = batch.schema.get_field_index(name)
    return batch.set_column(position, batch.schema.field(position), values)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of this type are bytes that the file does not declare as text, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def types_within(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Yield a type and all types nested in it."""
    yield kind
    if pa.types.is_dictionary(kind):
        yield from types_within(kind.value_type)
    for position in range(kind.num_fields):
        yield from types_within(kind.field(position).type)


def dictionary_decoded(values: pa.Array) -> pa.Array:
    """Return `values` without dictionary encoding, text as ``pa.string()``."""
    if is_text(values.type):
        return values.cast(pa.string())
    if pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values


def utf8_decoded(values: pa.Array) -> pa.Array:
    """Return bytes as the text that they hold: old Spark, Hive and Impala do not declare text as text. Other types stay as they are.

    Raises:
        RejectedValue: at the first value that is not UTF-8.
    """
    if not is_bytes(values.type):
        return values
    values = dictionary_decoded(values)
    try:
        return values.cast(TEXT)
    except pa.ArrowInvalid:
        for index, value in enumerate(values.to_pylist()):
            try:
                (value or b"").decode()
            except UnicodeDecodeError as error:
                raise RejectedValue(index, value, "text in UTF-8") from error
        raise


def offsets_of(lengths: np.ndarray) -> pa.Array:
    """Offsets of consecutive lists of these lengths: where each begins, and where the last ends."""
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def parts_of_map(values: pa.MapArray) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return offsets, keys and items of a map array; of a slice, only those in the slice."""
    offsets = values.offsets.to_numpy()
    start, end = offsets[0], offsets[-1]
    return pa.array(offsets - start), values.keys[start:end], values.items[start:end]


def dictionary_encoded(values: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encode text, with distinct values and no null in the dictionary.

    ClickHouse before 25.10 crashes on a dictionary with equal values (ClickHouse pull request 87863), and a Parquet
    dictionary can be far longer than the batch that uses it.
    """
    if values.type == REPEATED_TEXT and len(values.dictionary) <= len(values):
        dictionary = values.dictionary
        if dictionary.null_count == 0 and len(dictionary.unique()) == len(dictionary):
            return values
    return dictionary_decoded(values).dictionary_encode()


def is_low_cardinality(values: pa.Array) -> bool:
    """Whether it is worth finding the distinct values and converting each once; judged by the first thousand values."""
    sample = values.slice(0, 1000)
    return len(sample.unique()) < len(sample) / 2


def map_distinct(values: pa.Array, convert: Callable[[str], object], kind: pa.DataType) -> pa.Array:
    """Convert text by calling `convert` once for each distinct value.

    `convert` returns the converted value, or raises ValueError with what would be accepted.

    Raises:
        RejectedValue: at the first row whose value `convert` does not accept.
    """
    encoded = dictionary_encoded(values)
    converted: list[object] = []
    refusals: dict[int, str] = {}
    for position, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            converted.append(convert(text))
        except ValueError as refusal:
            converted.append(None)
            refusals[position] = str(refusal)
    reject_used(encoded, refusals)
    return pa.array(converted, kind).take(encoded.indices)


def reject_used(encoded: pa.DictionaryArray, refusals: dict[int, str]) -> None:
    """Raise RejectedValue at the first row that uses one of the rejected dictionary positions, if any row does."""
    if not refusals:
        return
    index = first_true(pc.is_in(encoded.indices, pa.array(list(refusals), pa.int32())))
    if index is not None:
        position = encoded.indices[index].as_py()
        raise RejectedValue(index, encoded.dictionary[position].as_py(), refusals[position])


def empty_as_null(values: pa.Array) -> pa.Array:
    """Replace '' by null in text: some files quote an empty value where a number, a time or an enum value belongs."""
    if pa.types.is_dictionary(values.type):
        if pc.index(values.dictionary, "").as_py() < 0:
            return values
        return empty_as_null(dictionary_decoded(values)).dictionary_encode()
    is_empty = pc.equal(values, "")
    return values if first_true(is_empty) is None else pc.if_else(is_empty, None, values)


def text_bytes(values: pa.StringArray) -> np.ndarray:
    """The UTF-8 bytes of all values, one after the other, without copying."""
    _, offsets, data = values.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)
    return np.frombuffer(data, np.uint8)[ends[values.offset] : ends[values.offset + len(values)]]
