"""Leaves out of a statement what a question does not need: conditions that accept all, groups that are not asked, aliases that nothing
uses, and columns that nobody selected.

ClickHouse would optimize most of that away, but only after it has analysed it: planning a page of line items takes it a third less
time without such conditions, and half of the time if it selects five columns in place of seventy; trends by a tag half without the groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache, partial
from typing import Any, Final

_FILTER: Final = re.compile(r"\n *AND \(empty\(\{(\w+):[^\n]*\)\)(?=\n|$)")
_AFTER: Final = re.compile(r"\n *(?:AND \(|HAVING )\{has_after:UInt8\} = 0\b.*?(?=\nORDER BY)", re.DOTALL)
_NO_GROUP: Final = ("nothing", "no_tag")
"""What the parameter of a dimension is bound to that is not asked; see ``fragments/bucket_names.sql``."""
_GROUP: Final = re.compile(r" *(?:\{(\w+):Identifier\} AS \1(?:_group)?|(\w+)_group AS \2),")
_COLUMN: Final = re.compile(r"(\w+),?$")
_PARAMETER: Final = re.compile(r"\{\w+:[^}]*\}")
_WORD: Final = re.compile(r"\w+")
_IDENTIFIER: Final = re.compile(r"\{(\w+):Identifier\}")


def shortened(text: str, bound: Mapping[str, Any], columns: frozenset[str] = frozenset()) -> str:
    """Return the statement `text` without the filters whose list in `bound` is empty, and without its conditions for a page after another
    one if there is none before; of its select list only `columns`, all if empty. It answers the same, but for the groups that are not
    asked: it has no column for them."""
    unused = frozenset(
        name
        for name, value in bound.items()
        if value == [] or (isinstance(value, str) and value in _NO_GROUP) or (name == "has_after" and not value)
    )
    text = _shortened(text, unused, columns)
    identifiers = _identifiers(text)
    if not bound.keys() >= identifiers:
        return text
    return _with_used_aliases(text, frozenset(bound[name] for name in identifiers))


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


@lru_cache(maxsize=4096)
def _identifiers(text: str) -> frozenset[str]:
    """The parameters of a statement that name a column or a table."""
    return frozenset(_IDENTIFIER.findall(text))


@lru_cache(maxsize=4096)
def _with_used_aliases(text: str, named: frozenset[str]) -> str:
    """The statement `text` without the aliases under WITH that nothing uses; `named`: what its identifier parameters are bound to."""
    while True:
        words = Counter(_WORD.findall(_PARAMETER.sub("", text)))
        lines = list(_without_aliases(text.split("\n"), {name for name, times in words.items() if times == 1} - named))
        if len(lines) == text.count("\n") + 1:
            return text
        text = "\n".join(lines)


def _without_aliases(lines: Sequence[str], unused: Set[str]) -> Iterator[str]:
    """`lines` without the `unused` aliases under WITH, each of which is a line; the last that is left has no comma at its end."""
    aliases: list[str] | None = None
    for line in lines:
        if line.strip() == "WITH":
            start, aliases = line, []
        elif aliases is None:
            yield line
        elif line.strip() != "SELECT":
            aliases.append(line.rstrip(","))
        else:
            kept = [one for one in aliases if (named := _COLUMN.search(one)) is None or named[1] not in unused]
            yield from (start, *(f"{one}," for one in kept[:-1]), kept[-1]) if kept else ()
            yield line
            aliases = None
