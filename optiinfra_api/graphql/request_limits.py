"""Limits on what a client sends with an operation.

Lexing takes up to a microsecond for each character of a document, and converting variables several for each value and for each field that
uses it, on the one thread that answers all clients. So characters and values are limited, and not only the bytes of a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension

from optiinfra_api.graphql.fragments import inner_first
from optiinfra_api.graphql.validation_rules import NOT_ACCEPTED
from optiinfra_api.http.http_errors import bad_request

MAX_CHARACTERS: Final = 32 * 1024
"""Of a document: 16 for each token that it may have."""

MAX_VALUES: Final = 8000
"""Values in variables: what the filter of one field accepts, which is 1000 in each of its lists."""

MAX_VARIABLE_DEPTH: Final = 16
"""Levels of objects and lists in variables; those of the schema have five."""

MAX_OBJECT_FIELDS: Final = 100
"""Fields of one object in variables: an error about a field that does not exist quotes the whole object."""

_FEWER: Final = "ask for less in each operation"


def check_operation(operation: dict[str, Any]) -> None:
    """Check the size of the parts of a request, before any of it is parsed as GraphQL.

    Args:
        operation: a request whose parts have the right types.

    Raises:
        HttpError: a part is over a limit, which the message names with what to do.
    """
    length = len(operation.get("query") or "")
    if length > MAX_CHARACTERS:
        said = f"the document has {length} characters; at most {MAX_CHARACTERS} are accepted"
        raise bad_request(f"{said}: send long values as variables")
    count = 0
    for depth, level in enumerate(_levels(operation.get("variables") or {})):
        count += len(level)
        if depth > MAX_VARIABLE_DEPTH:
            raise bad_request(f"the variables are nested deeper than {MAX_VARIABLE_DEPTH} levels")
        if count > MAX_VALUES:
            raise bad_request(f"the variables hold more than {MAX_VALUES} values: {_FEWER}")
        if any(len(one) > MAX_OBJECT_FIELDS for one in level if isinstance(one, dict)):
            raise bad_request(f"an object in the variables has more than {MAX_OBJECT_FIELDS} fields")
        if any("\0" in text for one in level for text in _texts(one)):
            raise bad_request(NOT_ACCEPTED)


def _levels(value: Any) -> Iterator[list[Any]]:
    """Yield the values inside of a JSON value, level by level; first the value itself."""
    level = [value]
    while level:
        yield level
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return value
    return (value,) if isinstance(value, str) else ()


class VariableLimits(SchemaExtension):
    """Refuses an operation that uses more than `MAX_VALUES` values of variables, each counted as often as it is used."""

    def on_execute(self) -> Iterator[None]:
        """Strawberry calls this around the execution.

        Raises:
            GraphQLError: the operation uses too many values.
        """
        context = self.execution_context
        if context.variables and context.graphql_document:
            used = _values_used(context.graphql_document, context.operation_name, context.variables)
            if used > MAX_VALUES:
                said = f"the operation uses {used} values of its variables, each counted as often as it is used"
                raise GraphQLError(f"{said}; at most {MAX_VALUES} are accepted: {_FEWER}")
        yield


def _values_used(document: DocumentNode, operation_name: str | None, variables: dict[str, Any]) -> int:
    """Count the values of variables that the operations of this name use; those of a fragment as often as it is spread."""
    sizes = {name: sum(map(len, _levels(value))) for name, value in variables.items()}
    fragments: dict[str, int] = {}
    for fragment in inner_first(one for one in document.definitions if isinstance(one, FragmentDefinitionNode)):
        fragments[fragment.name.value] = _used_in(fragment.selection_set, sizes, fragments)
    return sum(
        _used_in(one.selection_set, sizes, fragments)
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
        and (operation_name is None or (one.name and one.name.value == operation_name))
    )


def _used_in(node: Node, sizes: dict[str, int], fragments: dict[str, int]) -> int:
    used = 0
    waiting: list[Any] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, VariableNode):
            used += sizes.get(one.name.value, 0)
        elif isinstance(one, Node):
            waiting.extend(getattr(one, key) for key in one.keys if key != "loc")
        elif isinstance(one, tuple | list):
            waiting.extend(one)
        if isinstance(one, FragmentSpreadNode):
            used += fragments.get(one.name.value, 0)
    return used
