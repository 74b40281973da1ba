"""Enums of the schema whose values have descriptions."""

from __future__ import annotations

from typing import Any

import strawberry


def described(value: str, description: str) -> str:
    """A value for a `strawberry.enum` class; Strawberry puts the description into the schema and leaves the value as it is."""
    made: Any = strawberry.enum_value(value, description=description)
    return made  # type: ignore[no-any-return] # a string as soon as the class is made
