"""The character U+0000, refused wherever a text comes in: PostgreSQL stores none, so nothing that is asked for can have one."""

from __future__ import annotations

from typing import Any, Final

from graphql import GraphQLError, StringValueNode, ValidationRule

NOT_ACCEPTED: Final = "the character U+0000 is not accepted"


class NoNullCharacter(ValidationRule):
    """Refuses documents with it in a text, in whichever of its forms it is written there."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        """Look at one text."""
        if "\0" in node.value:
            self.report_error(GraphQLError(NOT_ACCEPTED, node))


def has_null_character(value: Any) -> bool:
    """Whether a text in a JSON value has it."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(has_null_character(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(has_null_character, value))
