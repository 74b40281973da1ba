"""The type of one line item, made from the table of FOCUS columns so that neither can forget a column of the other."""

from __future__ import annotations

from typing import Any

import strawberry

from optiinfra_api.fields.costs.money import Money
from optiinfra_api.graphql.scalars import Count, DateText, DecimalText, InstantText, TagMap
from optiinfra_assets.domain.focus import COLUMNS, Column, Kind

_OURS: dict[str, tuple[Any, str]] = {
    "provider": (str, "Provider, such as `aws`."),
    "account": (str, "Account id of this platform."),
    "billing_period": (DateText, "First day of the month of the invoice."),
    "generation": (Count, "Version of the account and billing period that the line item belongs to."),
    "line_number": (Count, "Place in that version, in the order the provider gave."),
    "source": (str, "Where it came from: api, export, invoice, snapshot difference or FOCUS file."),
    "is_estimated": (bool, "The provider may still change it."),
}
_MONEY = {"billed_cost", "effective_cost", "list_cost", "contracted_cost"}
_TYPES: dict[Kind, Any] = {
    Kind.STRING: str,
    Kind.DECIMAL: DecimalText,
    Kind.TIME: InstantText,
    Kind.KEY_VALUE: str,
    Kind.JSON: str,
}
# FOCUS allows these no null, but some providers have no list or contracted price, and text may be empty.
_MAYBE_ABSENT = {"list_cost", "contracted_cost"}
_NEVER_EMPTY = {"billing_currency", "charge_category"}


def _of_focus(column: Column) -> tuple[Any, str]:
    name = column.snake
    if name == "tags":
        return TagMap, "FOCUS `Tags`: all tags."
    kind = Money if name in _MONEY else _TYPES[column.kind]
    may_be_empty = column.kind is Kind.STRING and name not in _NEVER_EMPTY
    is_nullable = column.nullable or may_be_empty or name in _MAYBE_ABSENT
    is_json = column.kind in (Kind.JSON, Kind.KEY_VALUE)
    description = f"FOCUS `{column.name}`{', as JSON text' if is_json else ''}."
    return (kind | None if is_nullable else kind), description


def _make() -> Any:
    fields = _OURS | {column.snake: _of_focus(column) for column in COLUMNS if column.until is None}
    fields["x_columns"] = (TagMap, "What the source has beyond the columns of FOCUS.")
    namespace: dict[str, Any] = {
        name: strawberry.field(description=text) for name, (_, text) in fields.items()
    }
    namespace["__annotations__"] = {name: type_ for name, (type_, _) in fields.items()}
    description = "One charge, in the columns of FOCUS 1.4 (https://focus.finops.org) and ours."
    return strawberry.type(type("LineItem", (), namespace), description=description)


LineItem: Any = _make()
