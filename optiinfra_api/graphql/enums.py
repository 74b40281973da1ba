"""Enums of the schema whose every value says what it means."""

from __future__ import annotations

from typing import Any

import strawberry


def described(value: str, description: str) -> str:
    """A value of a class of `strawberry.enum`, which keeps the description for the schema and leaves the value as it is."""
    made: Any = strawberry.enum_value(value, description=description)
    return made  # type: ignore[no-any-return] # a text as soon as the class is made
