"""Validation of a document: first its size, in one walk; then, if that is accepted, the rules of GraphQL.

Rules of graphql-core compare fields with each other and quote the document in each error, which takes longer than the document is long.
So they run only on a document of an accepted size, stop at `MAX_ERRORS` and compare at most `MAX_COMPARISONS` pairs of fields.
Strawberry's rules for sizes follow every spread of a fragment: their time doubles with each fragment that spreads another one twice.

The character U+0000 is refused in every string: PostgreSQL cannot store it, so nothing that is asked for can contain it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
    specified_rules,
    validate,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from optiinfra_api.graphql.fragments import inner_first

MAX_DEPTH = 8
MAX_ALIASES = 30
MAX_TOKENS = 2000
MAX_ERRORS = 10
"""Errors in one answer; validation stops there."""

MAX_COMPARISONS = 10_000
"""Comparisons of fields with the same name in the answer; an operation of the size that the other limits accept needs some hundreds."""

CACHED_DOCUMENTS = 256

_LISTS_OF_TYPES = frozenset({"fields", "inputFields", "interfaces", "possibleTypes"})


class _Size(NamedTuple):
    """What is measured of a selection set.

    Attributes:
        depth: levels of fields.
        aliases: fields with an alias, those of a fragment as often as it is spread.
        lists: levels of fields that have a name of `_LISTS_OF_TYPES`.
        schema_aliases: as `aliases`, inside of introspection.
        schema_lists: as `lists`, inside of introspection.
    """

    depth: int = 0
    aliases: int = 0
    lists: int = 0
    schema_aliases: int = 0
    schema_lists: int = 0

    def in_schema(self) -> _Size:
        """The same inside of introspection, which is as deep as the types of the schema and reads no data."""
        return self._replace(depth=0, schema_aliases=self.aliases, schema_lists=self.lists)


class OperationLimits(ValidationRule):
    """Refuses operations that are nested deeper than `MAX_DEPTH` levels, have more than `MAX_ALIASES` aliases, or ask for parts of the
    schema many times: through aliases, or through the fields of the types of fields."""

    def enter_document(self, document: DocumentNode, *_: Any) -> None:
        """Measure the document."""
        definitions = document.definitions
        self._measured: dict[str, _Size] = {}
        self._fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
        for fragment in inner_first(self._fragments.values()):
            size = self._of(fragment.selection_set)
            is_of_schema = fragment.type_condition.name.value.startswith("__")
            self._measured[fragment.name.value] = size.in_schema() if is_of_schema else size
        for one in definitions:
            if isinstance(one, OperationDefinitionNode):
                self._check(one)

    def _check(self, operation: OperationDefinitionNode) -> None:
        size = self._of(operation.selection_set)
        for what, found, most in (
            ("levels", size.depth, MAX_DEPTH),
            ("aliases", size.aliases, MAX_ALIASES),
            ("aliases inside of __schema or __type", size.schema_aliases, 0),
            ("levels of fields of types inside of __schema or __type", size.schema_lists, 1),
        ):
            if found > most:
                said = f"the operation has {found} {what}; at most {most} are accepted"
                self.report_error(GraphQLError(said, operation))

    def _of(self, selections: SelectionSetNode | None) -> _Size:
        sizes = [self._of_one(one) for one in selections.selections] if selections else []
        return _Size(
            depth=max((one.depth for one in sizes), default=0),
            aliases=sum(one.aliases for one in sizes),
            lists=max((one.lists for one in sizes), default=0),
            schema_aliases=sum(one.schema_aliases for one in sizes),
            schema_lists=max((one.schema_lists for one in sizes), default=0),
        )

    def _of_one(self, selection: SelectionNode) -> _Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection)
        if isinstance(selection, InlineFragmentNode):
            return self._of(selection.selection_set)
        if not isinstance(selection, FieldNode):
            return _Size()
        name, inner = selection.name.value, self._of(selection.selection_set)
        size = inner._replace(
            depth=inner.depth + 1,
            aliases=inner.aliases + (selection.alias is not None),
            lists=inner.lists + (name in _LISTS_OF_TYPES),
        )
        if not name.startswith("__"):
            return size
        return size.in_schema() if selection.selection_set else size._replace(depth=0)

    def _of_fragment(self, spread: FragmentSpreadNode) -> _Size:
        name = spread.name.value
        if name not in self._measured and name in self._fragments:
            # graphql-core's rule for this quotes each circle whole, and finds the line of each spread in it anew.
            self.report_error(GraphQLError(f"Cannot spread fragment '{name}' within itself.", spread))
        return self._measured.get(name, _Size())


TOO_DEEP: Final = "the operation is nested too deeply to be read"
NOT_ACCEPTED: Final = "the character U+0000 is not accepted"


class NoNullCharacter(ValidationRule):
    """Refuses documents with U+0000 in a string, in whichever notation the document writes it."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        """Check one string."""
        if "\0" in node.value:
            self.report_error(GraphQLError(NOT_ACCEPTED, node))


class _FieldsMerge(OverlappingFieldsCanBeMergedRule):
    """graphql-core's rule with a lower limit, and an error that says what to do."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS

    def enter_selection_set(self, selection_set: SelectionSetNode, *where: Any) -> None:
        """Compare the fields of one selection set."""
        try:
            super().enter_selection_set(selection_set, *where)
        except ValidationAbortedError:
            said = f"the operation repeats fields so often that more than {MAX_COMPARISONS} pairs of them have to be compared"
            self.report_error(GraphQLError(f"{said}: ask for each field once", selection_set))
            raise


_FIRST_RULES = (OperationLimits, NoNullCharacter)
_RULES = (
    *(_FieldsMerge if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


@lru_cache(CACHED_DOCUMENTS)
def faults(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with a document, at most `MAX_ERRORS` errors; an empty list if it is valid."""
    try:
        return _faults(schema, document, _FIRST_RULES) or _faults(schema, document, _RULES)
    except RecursionError:
        return [GraphQLError(TOO_DEEP)]


def _faults(
    schema: GraphQLSchema, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...]
) -> list[GraphQLError]:
    errors = validate(schema, document, rules, max_errors=MAX_ERRORS)
    found = [one for one in errors if not isinstance(one, ValidationAbortedError)]
    # graphql-core ends without another error only if fragments are nested deeper than its limit.
    return found if found or not errors else [GraphQLError(TOO_DEEP)]


class OperationValidation(SchemaExtension):
    """Validates documents as `faults` does."""

    def on_validate(self) -> Iterator[None]:
        """Strawberry calls this around its own validation, which this replaces."""
        context = self.execution_context
        context.pre_execution_errors = faults(context.schema._schema, context.graphql_document)
        yield
