"""The GraphQL type of a line item, generated from the table of FOCUS columns so that both always have the same columns."""

from __future__ import annotations

from typing import Any

import strawberry

from optiinfra_api.fields.costs.money import Money
from optiinfra_api.graphql.scalars import Count, DateText, DecimalText, InstantText, TagMap
from optiinfra_assets.domain.focus import EMPTY_AS_NULL, NOT_NULL, STORED, Column, ColumnType
from optiinfra_assets.domain.publications import MEASURES

_OURS: dict[str, tuple[Any, str]] = {
    "provider": (str, "Provider, such as `aws`."),
    "account": (str, "Account id of this platform."),
    "billing_period": (DateText, "First day of the month of the invoice."),
    "generation": (Count, "Version of the account and billing period that the line item belongs to."),
    "line_number": (Count, "Place in that version, in the order the provider gave."),
    "source": (str, "Where it came from: api, export, invoice, snapshot difference or FOCUS file."),
    "is_estimated": (bool, "The provider may still change it."),
}
_TYPES: dict[ColumnType, Any] = {
    ColumnType.STRING: str,
    ColumnType.DECIMAL: DecimalText,
    ColumnType.TIME: InstantText,
    ColumnType.KEY_VALUE: str,
    ColumnType.JSON: str,
}


def _of_focus(column: Column) -> tuple[Any, str]:
    name = column.snake
    if name == "tags":
        return TagMap, "FOCUS `Tags`: all tags."
    kind = Money if name in MEASURES else _TYPES[column.kind]
    is_nullable = column.name not in NOT_NULL - EMPTY_AS_NULL
    is_json = column.kind in (ColumnType.JSON, ColumnType.KEY_VALUE)
    description = f"FOCUS `{column.name}`{', as JSON text' if is_json else ''}."
    return (kind | None if is_nullable else kind), description


def _make() -> Any:
    fields = _OURS | {column.snake: _of_focus(column) for column in STORED}
    fields["x_columns"] = (TagMap, "What the source has beyond the columns of FOCUS.")
    namespace: dict[str, Any] = {name: strawberry.field(description=text) for name, (_, text) in fields.items()}
    namespace["__annotations__"] = {name: type_ for name, (type_, _) in fields.items()}
    description = "One charge, in the columns of FOCUS 1.4 (https://focus.finops.org) and ours."
    return strawberry.type(type("LineItem", (), namespace), description=description)


LineItem: Any = _make()
