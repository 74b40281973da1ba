"""Writes into the request record what the operation asks for, once the operation is valid."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

from optiinfra_api.graphql.fragments import fields_at_top
from optiinfra_api.http.request_log import current_request


class OperationRecorder(SchemaExtension):
    """Records kind, name and fields of the operation that is about to run."""

    def on_execute(self) -> Iterator[None]:
        """Strawberry calls this around the execution."""
        context, record = self.execution_context, current_request()
        record.operation = context.operation_name
        record.kind = context.operation_type.value
        if context.graphql_document is not None:
            names = _names(context.graphql_document, context.operation_name)
            # A page asks several operations, also at once: what is known of the others stays.
            record.names |= names
            record.outcomes = dict.fromkeys(names.values(), "ok") | record.outcomes
        yield


def _names(document: DocumentNode, operation_name: str | None) -> dict[str, str]:
    """Name in the answer -> name in the schema, for the root fields of one operation of a valid document."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    chosen = next(
        one for one in operations if operation_name is None or (one.name and one.name.value == operation_name)
    )
    fields = fields_at_top([chosen.selection_set], fragments)
    return {(one.alias or one.name).value: one.name.value for one in fields}
