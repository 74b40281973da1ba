"""Fields of the schema that a method resolves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

_Resolver = TypeVar("_Resolver", bound=Callable[..., Any])


def resolved(description: str) -> Callable[[_Resolver], _Resolver]:
    """Make a method a field of its type, with the method's name, arguments and answer, and this description.

    It is `strawberry.field` of a known type: that one's own says nothing of the method that comes out.
    """
    decorate: Callable[[_Resolver], _Resolver] = strawberry.field(description=description)
    return decorate
