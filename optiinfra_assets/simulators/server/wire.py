"""Writes JSON as clouds do: amounts with all digits, never through a float; and times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def to_json(value: Any) -> str:
    """Return JSON text of dicts, lists, text, whole numbers, booleans, None and Decimals.

    Raises:
        TypeError: for any other type, above all a float.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(key))}:{to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    if value is None or isinstance(value, str | int):
        return json.dumps(value)
    raise TypeError(f"{type(value).__name__} has no place in a simulated answer: {value!r}")


def zulu(moment: datetime) -> str:
    """Format an instant as ``2026-11-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
