"""Validation rules: how deep an operation may be nested, how many aliases it may have, and which characters it may contain.

Each fragment is measured once. Strawberry's rules follow every spread of a fragment: their time doubles with each fragment that
spreads another one twice, and they fail on a fragment that does not exist.

The character U+0000 is refused in every string: PostgreSQL cannot store it, so nothing that is asked for can contain it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
)

MAX_DEPTH = 8
MAX_ALIASES = 30
MAX_TOKENS = 2000


class _Size(NamedTuple):
    depth: int = 0
    aliases: int = 0


class OperationLimits(ValidationRule):
    """Refuses operations that are nested deeper than `MAX_DEPTH` levels or have more than `MAX_ALIASES` aliases."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        definitions = context.document.definitions
        self._fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
        self._measured: dict[str, _Size] = {}
        for one in definitions:
            if isinstance(one, OperationDefinitionNode):
                self._check(one)

    def _check(self, operation: OperationDefinitionNode) -> None:
        size = self._of(operation.selection_set)
        for name, found, most in (("levels", size.depth, MAX_DEPTH), ("aliases", size.aliases, MAX_ALIASES)):
            if found > most:
                self.report_error(
                    GraphQLError(f"the operation has {found} {name}; at most {most} are accepted", operation)
                )

    def _of(self, selections: SelectionSetNode | None) -> _Size:
        sizes = [self._of_one(one) for one in selections.selections] if selections else []
        return _Size(max((one.depth for one in sizes), default=0), sum(one.aliases for one in sizes))

    def _of_one(self, selection: SelectionNode) -> _Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        if isinstance(selection, InlineFragmentNode):
            return self._of(selection.selection_set)
        if not isinstance(selection, FieldNode):
            return _Size()
        inner = self._of(selection.selection_set)
        # Introspection is as deep as the types of the schema, and reads no data.
        depth = 0 if selection.name.value.startswith("__") else inner.depth + 1
        return _Size(depth, inner.aliases + (selection.alias is not None))

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._measured:
            self._measured[name] = _Size()  # ends recursion if a fragment spreads itself, which another rule refuses
            fragment = self._fragments.get(name)
            self._measured[name] = self._of(fragment.selection_set if fragment else None)
        return self._measured[name]


NOT_ACCEPTED: Final = "the character U+0000 is not accepted"


class NoNullCharacter(ValidationRule):
    """Refuses documents with U+0000 in a string, in whichever notation the document writes it."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        """Check one string."""
        if "\0" in node.value:
            self.report_error(GraphQLError(NOT_ACCEPTED, node))


def has_null_character(value: Any) -> bool:
    """Whether a string in a JSON value contains U+0000."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(has_null_character(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(has_null_character, value))
