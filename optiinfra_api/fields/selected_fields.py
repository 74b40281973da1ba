"""Finds the fields that an operation selects, so that resolvers do not read the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from strawberry.types.nodes import FragmentSpread, InlineFragment, SelectedField, Selection

from optiinfra_api.access.context import Info


def selected_names(parent: str, info: Info) -> frozenset[str]:
    """Names in the schema of the fields selected directly under the field `parent` of the object that is being resolved."""
    return frozenset(name for field in info.selected_fields for name in _names_under(parent, field.selections))


def _names_under(parent: str, selections: Iterable[Selection]) -> Iterator[str]:
    for one in selections:
        if isinstance(one, FragmentSpread | InlineFragment):
            yield from _names_under(parent, one.selections)
        elif one.name == parent:
            yield from _names(one.selections)


def _names(selections: Iterable[Selection]) -> Iterator[str]:
    for one in selections:
        if isinstance(one, SelectedField):
            yield one.name
        else:
            yield from _names(one.selections)
