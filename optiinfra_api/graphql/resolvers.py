"""The decorator for fields of the schema that a method resolves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

_Resolver = TypeVar("_Resolver", bound=Callable[..., Any])


def resolved(description: str) -> Callable[[_Resolver], _Resolver]:
    """Make a method a field of its GraphQL type, with the method's name, arguments and return type, and this description.

    This is `strawberry.field` with a type annotation that keeps the method's type, which Strawberry's own does not.
    """
    decorate: Callable[[_Resolver], _Resolver] = strawberry.field(description=description)
    return decorate
