"""Leaves out of a statement what a question does not need: conditions that accept all, groups that are not asked, and columns that nobody
selected.

ClickHouse would optimize most of that away, but only after it has analysed it: planning a page of line items takes it a third less
time without such conditions, and half of the time if it selects five columns in place of seventy; trends by a tag half without the groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Final

_FILTER: Final = re.compile(r"\n *AND \(empty\(\{(\w+):[^\n]*\)\)(?=\n|$)")
_AFTER: Final = re.compile(r"\n *(?:AND \(|HAVING )\{has_after:UInt8\} = 0\b.*?(?=\nORDER BY)", re.DOTALL)
_NO_GROUP: Final = ("nothing", "no_tag")
"""What the parameter of a dimension is bound to that is not asked; see ``fragments/bucket_names.sql``."""
_GROUP: Final = re.compile(r" *(?:\{(\w+):Identifier\} AS \1(?:_group)?|(\w+)_group AS \2),")
_COLUMN: Final = re.compile(r"(\w+),?$")


def shortened(text: str, bound: Mapping[str, Any], columns: frozenset[str] = frozenset()) -> str:
    """Return the statement `text` without the filters whose list in `bound` is empty, and without its conditions for a page after another
    one if there is none before; of its select list only `columns`, all if empty. It answers the same, but for the groups that are not
    asked: it has no column for them."""
    unused = frozenset(
        name
        for name, value in bound.items()
        if value == [] or (isinstance(value, str) and value in _NO_GROUP) or (name == "has_after" and not value)
    )
    return _shortened(text, unused, columns)


@lru_cache(maxsize=4096)
def _shortened(text: str, unused: frozenset[str], columns: frozenset[str]) -> str:
    if "has_after" in unused:
        text = _AFTER.sub("", text)
    text = _FILTER.sub(lambda found: "" if found[1] in unused else found[0], text)
    text = "\n".join(line for line in map(partial(_with_groups, unused=unused), text.split("\n")) if line is not None)
    if columns:
        first, end, rest = text.partition("\nFROM ")
        verb, *lines = first.splitlines()
        kept = [line.rstrip(",") for line in lines if (named := _COLUMN.search(line)) and named[1] in columns]
        text = verb + "\n" + ",\n".join(kept) + end + rest
    return text


def _with_groups(line: str, unused: frozenset[str]) -> str | None:
    """A line of a statement without the groups that are `unused`, None if it is one of them."""
    if (found := _GROUP.fullmatch(line)) and (found[1] or found[2]) in unused:
        return None
    verb, by, names = line.partition(" BY ")
    if verb.strip() not in ("GROUP", "ORDER"):
        return line
    return verb + by + ", ".join(name for name in names.split(", ") if name.removesuffix("_group") not in unused)
