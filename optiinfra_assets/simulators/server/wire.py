"""Writes JSON as clouds do: amounts with all digits, never through a float; and times. Changes fields of it as no document says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from typing import Any, Final


class FieldChange(Enum):
    """What may become of a field."""

    NULL = "null"
    ABSENT = "absent"
    GARBLED = "garbled"


_GARBLED: Final = {"odd": [1]}
"""A value of a type that no field has."""


def to_json(value: Any) -> str:
    """Return JSON text of dicts, lists, text, whole numbers, booleans, None and Decimals.

    Raises:
        TypeError: for any other type, above all a float.
    """
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join([f"{encode_basestring_ascii(str(key))}:{to_json(item)}" for key, item in value.items()])
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join([to_json(item) for item in value]) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    if value is None or isinstance(value, int):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return to_json(dict(value))
    raise TypeError(f"{type(value).__name__} has no place in a simulated answer: {value!r}")


def zulu(moment: datetime) -> str:
    """Format an instant as ``2026-11-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def changed_json(body: bytes, changes: Mapping[str, FieldChange], seen: set[str]) -> bytes:
    """Return a JSON text with some fields changed, wherever they are; add the names of all its fields to `seen`.

    A table (``columns`` with names, and ``rows``) has its columns as fields.
    """
    value = json.loads(body, parse_float=Decimal)
    return to_json(_changed(value, changes, seen)).encode()


def _changed(value: Any, changes: Mapping[str, FieldChange], seen: set[str]) -> Any:
    if isinstance(value, list):
        return [_changed(one, changes, seen) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
        value = {**value, **_changed_table(value["columns"], value["rows"], changes, seen)}
    return _changed_object(value, changes, seen, lambda one: _changed(one, changes, seen))


def _changed_table(
    columns: list[Any], rows: list[Any], changes: Mapping[str, FieldChange], seen: set[str]
) -> dict[str, Any]:
    kept = [column for column in columns if changes.get(column["name"]) is not FieldChange.ABSENT]
    tables = [dict(zip((column["name"] for column in columns), row, strict=True)) for row in rows]
    changed = [list(_changed_object(one, changes, seen, lambda cell: cell).values()) for one in tables]
    return {"columns": kept, "rows": changed}


def _changed_object(
    value: Mapping[str, Any], changes: Mapping[str, FieldChange], seen: set[str], inside: Callable[[Any], Any]
) -> dict[str, Any]:
    seen.update(value)
    found = {}
    for name, one in value.items():
        change = changes.get(name)
        if change is not FieldChange.ABSENT:
            found[name] = inside(one) if change is None else None if change is FieldChange.NULL else _GARBLED
    return found
