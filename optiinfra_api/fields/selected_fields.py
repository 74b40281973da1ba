"""Finds the fields that an operation selects, so that resolvers do not read the others."""

from __future__ import annotations

from optiinfra_api.access.context import Info
from optiinfra_api.graphql.fragments import fields_at_top


def selected_names(parent: str, info: Info) -> frozenset[str]:
    """Names in the schema of the fields selected directly under the field `parent` of the object that is being resolved.

    Strawberry's `info.selected_fields` follows every spread of a fragment, which takes 2^n steps for n fragments that spread each other.
    """
    raw = info._raw_info
    own = fields_at_top((node.selection_set for node in raw.field_nodes), raw.fragments)
    parents = [node.selection_set for node in own if node.name.value == parent]
    return frozenset(node.name.value for node in fields_at_top(parents, raw.fragments))
