"""Spells tags that are not a flat JSON object as one, if what they mean can be told."""

from __future__ import annotations

import json
from typing import Any, Final

from optiinfra_assets.line_items.json_parsing import parse_flat_object
from optiinfra_assets.line_items.respelling import OTHER_NULL_WORDS

_KEY_NAMES: Final = ({"key", "value"}, {"Key", "Value"}, {"name", "value"}, {"Name", "Value"})


class _Number(str):
    """A JSON number as it is spelled."""


_DECODER: Final = json.JSONDecoder(parse_int=_Number, parse_float=_Number)


def spell_tags(text: str) -> str | None:
    """Return tags as a flat JSON object: as they are, if they are one, else of text; None for tags that are null.

    Of a key that stands twice the last value counts, as it does for JSON parsers. Nested values become their JSON text. A list of
    objects with key and value, and pairs without braces (Azure's older exports), become an object.

    Raises:
        ValueError: the text is no such thing.
    """
    stripped = text.strip()
    if not stripped or stripped in OTHER_NULL_WORDS:
        return None
    if _is_flat_object(text):
        return text
    found = _parsed(stripped)
    if isinstance(found, list):
        found = _of_pairs(found)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise ValueError(text)
    spelled = json.dumps({key: _value(value) for key, value in found.items()}, ensure_ascii=False)
    parse_flat_object(spelled)
    return spelled


def _is_flat_object(text: str) -> bool:
    try:
        parse_flat_object(text)
    except ValueError:
        return False
    return True


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError(text) from error
    except ValueError:
        if not text.startswith('"'):
            raise
        return _DECODER.decode(f"{{{text}}}")


def _of_pairs(found: list[Any]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for one in found:
        if not isinstance(one, dict) or not any(names <= one.keys() for names in _KEY_NAMES):
            raise ValueError("a list of other things than keys and values")
        lower = {name.lower(): value for name, value in one.items()}
        pairs[str(lower.get("key", lower.get("name")))] = lower["value"]
    return pairs


def _value(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    """Return nested values as JSON, with the digits that were delivered."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_as_json(key)}: {_as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def spell_null(text: str) -> str | None:
    """Return None for a word for null.

    Raises:
        ValueError: it is something else.
    """
    if text.strip() in OTHER_NULL_WORDS:
        return None
    raise ValueError(text)
