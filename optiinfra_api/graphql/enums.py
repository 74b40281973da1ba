"""Enums of the schema whose every value says what it means."""

from __future__ import annotations

from collections.abc import Callable
from enum import EnumMeta
from typing import Any, TypeVar

import strawberry

_E = TypeVar("_E", bound=EnumMeta)


def enum(description: str, **values: str) -> Callable[[_E], _E]:
    """Make an enum part of the schema, with a description of itself and of each of its values by name.

    Raises:
        KeyError: when the class is made: a value has no description.
    """

    def described(cls: _E) -> _E:
        made: Any = strawberry.enum(cls, description=description)
        for value in made.__strawberry_definition__.values:
            value.description = values[value.name]
        return cls

    return described
