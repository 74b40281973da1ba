"""Walks over the fragments of a document that visit each fragment once, however often and however deep it is spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)


def fields_at_top(
    selection_sets: Iterable[SelectionSetNode | None], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """Yield the fields of some selection sets in the order of the document, those of a fragment where it is spread first."""
    seen: set[str] = set()
    waiting = [iter(_selections(selection_sets))]
    while waiting:
        one = next(waiting[-1], None)
        if one is None:
            waiting.pop()
        elif isinstance(one, FieldNode):
            yield one
        elif isinstance(one, InlineFragmentNode):
            waiting.append(iter(one.selection_set.selections))
        elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen and one.name.value in fragments:
            seen.add(one.name.value)
            waiting.append(iter(fragments[one.name.value].selection_set.selections))


def _selections(selection_sets: Iterable[SelectionSetNode | None]) -> list[SelectionNode]:
    return [one for selections in selection_sets if selections for one in selections.selections]


def inner_first(fragments: Iterable[FragmentDefinitionNode]) -> list[FragmentDefinitionNode]:
    """Sort fragments so that each comes after those it spreads. A spread that closes a circle is left out of account."""
    by_name = {one.name.value: one for one in fragments}
    begun: set[str] = set()
    found = []
    for name in by_name:
        path = [] if name in begun else [(name, _spreads(by_name[name]))]
        begun.add(name)
        while path:
            current, spreads = path[-1]
            inner = next((one for one in spreads if one in by_name and one not in begun), None)
            if inner is None:
                found.append(by_name[current])
                path.pop()
            else:
                begun.add(inner)
                path.append((inner, _spreads(by_name[inner])))
    return found


def _spreads(fragment: FragmentDefinitionNode) -> Iterator[str]:
    """Names of the fragments that a fragment spreads at any depth."""
    waiting: list[SelectionSetNode | None] = [fragment.selection_set]
    while waiting:
        selections = waiting.pop()
        for one in selections.selections if selections else ():
            if isinstance(one, FragmentSpreadNode):
                yield one.name.value
            elif isinstance(one, FieldNode | InlineFragmentNode):
                waiting.append(one.selection_set)
