"""GraphQL objects made from records of the stores."""

from __future__ import annotations

from dataclasses import fields
from enum import EnumMeta
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from optiinfra_assets.domain.accounts import Slice

_T = TypeVar("_T")


def from_record(kind: type[_T], record: object, **others: Any) -> _T:
    """An object of the GraphQL type `kind`: fields that `others` does not give are the attributes of `record` of the same names.

    A word becomes the member that it is the value of, where the field is an enum.

    Raises:
        AttributeError: `record` lacks a field.
        ValueError: it has a word that the enum does not know.
    """
    values = dict(others)
    for name, enum in _fields(kind).items():  # type: ignore[arg-type] # a class can be hashed
        if name not in others:
            value = getattr(record, name)
            values[name] = value if enum is None or value is None else enum(value)
    return kind(**values)


@cache
def _fields(kind: type[Any]) -> dict[str, EnumMeta | None]:
    """The fields of a GraphQL type by name, each with the enum that it is a member of."""
    hints = get_type_hints(kind)
    return {one.name: _enum(hints[one.name]) for one in fields(kind)}


def _enum(hint: Any) -> EnumMeta | None:
    kinds = (hint, *get_args(hint))
    return next((one for one in kinds if isinstance(one, EnumMeta)), None)


def of_slice(slice_: Slice) -> dict[str, str]:
    """The fields that name a slice: provider, account and billing period."""
    return {
        "provider": slice_.provider,
        "account": slice_.account_id,
        "billing_period": str(slice_.billing_period),
    }
