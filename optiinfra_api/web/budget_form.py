"""The form of a budget: what a budget is, as the fields of a form, and back. Fields are text: of values, one a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from strawberry.utils.str_converters import to_camel_case

from optiinfra_assets.domain.budgets import MOST_FILTERS
from optiinfra_assets.domain.charge_filters import FILTERS

NONE: Final = "(none)"
"""The line that stands for charges without the attribute."""
FIELDS: Final = {
    of: (to_camel_case(name), "SKUs" if of == "skus" else of.replace("_", " ").capitalize())
    for name, of in FILTERS.items()
}
"""A field of the form -> the filter of GraphQL, and what the form calls it. Those of further groups have their number at the end."""
_IDS: Final = ("providers", "accounts")
"""Their values have neither space nor comma; they are parted by these."""
_TAGS: Final = {"tags": False, "any_case_tags": True}
"""A field of tags -> whether their names are one in any case. A line is NAME=VALUE, or NAME for charges without the tag."""


def filters_of(sent: Mapping[str, str]) -> list[dict[str, Any]]:
    """The filters that a form sent: those of each group of fields that has any."""
    return [one for number in range(1, MOST_FILTERS + 1) if (one := _filter(sent, ending_of(number)))]


def sent_of(filters: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fields of filters as they are given to GraphQL."""
    sent: dict[str, str] = {}
    for number, one in enumerate(filters, 1):
        ending = ending_of(number)
        for field, (name, _) in FIELDS.items():
            separator = ", " if field in _IDS else "\n"
            sent[field + ending] = separator.join(NONE if value is None else value for value in one.get(name) or ())
        for field, ignores in _TAGS.items():
            lines = (
                tag["key"] if value is None else f"{tag['key']}={value}"
                for tag in one.get("tags", ())
                if tag["ignoreCase"] == ignores
                for value in tag["values"]
            )
            sent[field + ending] = "\n".join(lines)
    return {name: text for name, text in sent.items() if text}


def as_given(filters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Filters of a budget, as GraphQL shows them, in the form in which they are given to it."""
    return [
        {name: one[name] for name, _ in FIELDS.values() if one[name] is not None}
        | ({"tags": sorted(one["tags"], key=_of_tag)} if one["tags"] else {})
        for one in filters
    ]


def is_shown(filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a form shows filters such that it sends the same back: a line ending in a value, or '=' in the name of a tag, it does not."""
    return filters_of(sent_of(filters)) == list(filters)


def ending_of(number: int) -> str:
    """What the names of the fields of a group end with, counted from 1."""
    return "" if number == 1 else f"-{number}"


def groups_of(sent: Mapping[str, str]) -> list[str]:
    """The endings of the groups of fields that a form has, and of one that is empty."""
    last = max((number for number in range(1, MOST_FILTERS + 1) if _filter(sent, ending_of(number))), default=0)
    return [ending_of(number) for number in range(1, min(max(last, 1) + 1, MOST_FILTERS) + 1)]


def months_of(text: str) -> list[dict[str, str]]:
    """The amounts of single months: lines of YYYY-MM = AMOUNT; text that is none stays, and GraphQL says what is accepted."""
    pairs = (line.partition("=") for line in text.splitlines() if line.strip())
    return [{"month": f"{month.strip()}-01", "amount": amount.strip()} for month, _, amount in pairs]


def months_sent(amounts: Sequence[Mapping[str, str]]) -> str:
    """The lines of amounts of single months."""
    return "\n".join(f"{one['month'][:7]} = {one['amount']}" for one in amounts)


def day_after(last: str | None) -> str | None:
    """The day after a last day; text that is no day stays, and GraphQL says what is accepted."""
    try:
        return (date.fromisoformat(last) + timedelta(days=1)).isoformat() if last else None
    except (ValueError, OverflowError):
        return last


def what_of(filters: Sequence[Mapping[str, Any]]) -> str:
    """Which charges count for a budget, for its reader."""
    return " or ".join(", ".join(_values_of(one)) for one in filters) or "all charges"


def _values_of(one: Mapping[str, Any]) -> list[str]:
    found = [NONE if value is None else value for name, _ in FIELDS.values() for value in one.get(name, ())]
    tags = [(tag["key"], value) for tag in one.get("tags", ()) for value in tag["values"]]
    return [*found, *(f"no {key}" if value is None else f"{key}={value}" for key, value in tags)]


def _filter(sent: Mapping[str, str], ending: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, (name, _) in FIELDS.items():
        text = sent.get(field + ending, "")
        values = text.replace(",", " ").split() if field in _IDS else _lines(text)
        if values:
            found[name] = [None if value == NONE else value for value in values]
    tags: dict[tuple[str, bool], list[str | None]] = {}
    for field, ignores in _TAGS.items():
        for key, sign, value in (line.partition("=") for line in _lines(sent.get(field + ending, ""))):
            tags.setdefault((key, ignores), []).append(value if sign else None)
    given = [{"key": key, "values": values, "ignoreCase": ignores} for (key, ignores), values in tags.items()]
    return found | ({"tags": sorted(given, key=_of_tag)} if given else {})


def _of_tag(tag: Mapping[str, Any]) -> tuple[str, bool]:
    return tag["key"], tag["ignoreCase"]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
