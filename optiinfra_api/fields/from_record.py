"""GraphQL objects made from records of the stores."""

from __future__ import annotations

from dataclasses import fields
from enum import EnumMeta
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from optiinfra_assets.domain.accounts import Slice

_T = TypeVar("_T")


def from_record(kind: type[_T], record: object, **others: Any) -> _T:
    """Make an object of the GraphQL type `kind`: fields that are not in `others` are the attributes of `record` with the same names.

    Where the field is an enum, the attribute is the value of the member.

    Raises:
        AttributeError: `record` lacks a field.
        ValueError: an attribute is not a value of the field's enum.
    """
    names, enums = _fields(kind)  # type: ignore[arg-type] # a class can be hashed
    values = {name: getattr(record, name) for name in names if name not in others}
    for name, enum in enums:
        if values.get(name) is not None:
            values[name] = enum(values[name])
    return kind(**values, **others)


@cache
def _fields(kind: type[Any]) -> tuple[list[str], list[tuple[str, EnumMeta]]]:
    """The names of the fields of a GraphQL type, and the enums among their types."""
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)]
    parts = [(name, part) for name in names for part in (hints[name], *get_args(hints[name]))]
    return names, [(name, part) for name, part in parts if isinstance(part, EnumMeta)]


def of_slice(slice_: Slice) -> dict[str, str]:
    """The fields that name a slice: provider, account and billing period."""
    return {
        "provider": slice_.provider,
        "account": slice_.account_id,
        "billing_period": str(slice_.billing_period),
    }
