"""A minimal SQL evaluator for statements that aggregate rows by keys: statement and rows in, cells out. It rejects all other SQL.

It is not a database and supports only the forms below, which are those of statements like this one::

    SELECT keys, sums, COUNT(*) AS lines FROM (SELECT expressions FROM `table` WHERE conditions) AS line GROUP BY keys
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce
from typing import Any, Final

Row = Mapping[str, Any]
Value = Any
Read = Callable[[Row], Value]

_STATEMENT: Final = re.compile(
    r"SELECT\s+(?P<out>.+?),\s+COUNT\(\*\) AS lines\s+FROM \(\s+SELECT\s+(?P<takes>.+?)\s+FROM `(?P<table>[^`]+)`\s+"
    r"WHERE (?P<where>.+?)\s+\) AS line\s+GROUP BY (?P<keys>.+)",
    re.S,
)
_SUM: Final = re.compile(r"(SUM|MIN|MAX)\((\w+)\) AS (\w+)")
_CONDITION: Final = re.compile(r"(?P<left>.+) (?P<sign>>=|<=|=) @(?P<name>\w+)")
_NESTED: Final = re.compile(
    r"\(SELECT (?P<what>.+) FROM UNNEST\((?P<array>\w+)\) AS c(?: WHERE (?P<where>.+))?\)", re.S
)
_IN: Final = re.compile(r"(?P<left>.+?) (?P<not>NOT )?IN \((?P<list>[^)]*)\)")
_LISTED: Final = re.compile(r"STRING_AGG\(DISTINCT (c\.\w+), ', ' ORDER BY \1\)")
_FILLED: Final = re.compile(r"COALESCE\((.+), '(\w*)'\)", re.S)
_EXACT: Final = Context(prec=200)
_STEP: Final = Decimal(1).scaleb(-18)


class UnsupportedQuery(ValueError):
    """The statement has an unknown form, or names a column that does not exist."""


@dataclass(frozen=True, slots=True)
class AggregateQuery:
    """A parsed statement.

    Attributes:
        columns: columns of the result with their types.
        keys: columns by which it groups.
    """

    table: str
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    _takes: Mapping[str, Read]
    _sums: Mapping[str, str]
    _conditions: tuple[tuple[Read, Callable[[Value, Value], bool], str], ...]
    _seen: dict[int, tuple[Row, tuple[Value, ...], tuple[Value, ...]]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, statement: str, paths: Iterable[str]) -> AggregateQuery:
        """Parse a statement over a table with the columns `paths`.

        Raises:
            UnsupportedQuery: the statement is not supported; the message names the part.
        """
        found = _STATEMENT.fullmatch(statement.strip())
        if found is None:
            raise UnsupportedQuery("the statement is not of the known shape")
        known = set(paths)
        named = (one.rpartition(" AS ") for one in re.split(r",\n\s+", found["takes"]))
        takes = {name.strip(): _read(expression.strip(), known) for expression, _, name in named}
        sums = {name: how for how, _, name in _SUM.findall(found["out"])}
        keys = tuple(found["keys"].split(", "))
        if takes.keys() != set(keys) | sums.keys():
            raise UnsupportedQuery(f"columns neither added up nor grouped: {takes.keys() ^ {*keys, *sums}}")
        where = re.sub(r"(\S+) BETWEEN @(\w+) AND @(\w+)", r"\1 >= @\2 AND \1 <= @\3", found["where"])
        conditions = tuple(_condition(one, known) for one in where.split(" AND "))
        kinds = {"SUM": "BIGNUMERIC", "MIN": "TIMESTAMP", "MAX": "TIMESTAMP"}
        special = {"day": "DATE", "part": "TIMESTAMP"}
        columns = {name: special.get(name, "STRING") for name in keys} | {
            name: kinds[how] for name, how in sums.items()
        }
        return cls(found["table"], {**columns, "lines": "INTEGER"}, keys, takes, sums, conditions)

    def chooses(self, row: Row, parameters: Mapping[str, Value]) -> bool:
        """Whether a row fulfils the conditions."""
        return all(
            (left := read(row)) is not None and compare(left, parameters[name])
            for read, compare, name in self._conditions
        )

    def answer(self, rows: Iterable[tuple[Row, int]]) -> list[list[str | None]]:
        """Return the cells of the result; `rows` are the selected rows, each with the number of times it counts."""
        groups: dict[tuple[Value, ...], list[Value]] = {}
        for row, times in rows:
            key, values = self._values(row)
            totals = groups.setdefault(key, [None] * len(self._sums) + [0])
            for place, (how, value) in enumerate(zip(self._sums.values(), values, strict=True)):
                totals[place] = _added(how, totals[place], value, times)
            totals[-1] += times
        return [[_cell(value) for value in (*key, *totals)] for key, totals in groups.items()]

    def _values(self, row: Row) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """Keys and aggregated values of a row, cached because clients query a month again and again."""
        if id(row) not in self._seen:
            keys = tuple(self._takes[name](row) for name in self.keys)
            self._seen[id(row)] = (row, keys, tuple(self._takes[name](row) for name in self._sums))
        return self._seen[id(row)][1:]


def _condition(text: str, known: set[str]) -> tuple[Read, Callable[[Value, Value], bool], str]:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise UnsupportedQuery(f"condition {text!r}")
    compare = {">=": operator.ge, "<=": operator.le, "=": operator.eq}[found["sign"]]
    return _read(found["left"], known), compare, found["name"]


def _read(text: str, known: set[str]) -> Read:
    if found := _NESTED.fullmatch(text):
        return _nested(found, known)
    if found := _FILLED.fullmatch(text):
        inner, filler = _read(found[1], known), found[2]
        return lambda row: filler if inner(row) is None else inner(row)
    for form, function in _FUNCTIONS.items():
        if found := re.fullmatch(form, text):
            return _applied(function, _read(found[1], known))
    return _path(text, known)


def _applied(function: Callable[[Value], Value], inner: Read) -> Read:
    return lambda row: function(inner(row))


def _path(path: str, known: set[str]) -> Read:
    if path not in known:
        raise UnsupportedQuery(f"Unrecognized name: {path}")
    first, _, rest = path.partition(".")
    return (lambda row: row[first][rest]) if rest else (lambda row: row[first])


def _nested(found: re.Match[str], known: set[str]) -> Read:
    array, above = _path(found["array"], known), f"{found['array']}[]."
    within = {f"c.{path.removeprefix(above)}" for path in known if path.startswith(above)}
    chosen = _chosen(found["where"], within) if found["where"] else lambda line: True

    def values(row: Row, read: Read) -> Iterator[Value]:
        return (read(line) for line in ({"c": one} for one in array(row)) if chosen(line))

    if what := _LISTED.fullmatch(found["what"]):
        listed = _path(what[1], within)
        return lambda row: ", ".join(sorted(set(values(row, listed)))) or None
    if what := re.fullmatch(r"SUM\((.+)\)", found["what"]):
        summed = _read(what[1], within)
        return lambda row: reduce(lambda total, one: _added("SUM", total, one, 1), values(row, summed), None)
    raise UnsupportedQuery(f"sub-select {found[0]!r}")


def _chosen(text: str, known: set[str]) -> Read:
    found = _IN.fullmatch(text)
    if found is None:
        raise UnsupportedQuery(f"condition {text!r}")
    left, accepted = _read(found["left"], known), set(re.findall(r"'(\w+)'", found["list"]))
    return lambda row: (left(row) in accepted) is not bool(found["not"])


def _added(how: str, total: Value, value: Value, times: int) -> Any:
    if value is None:
        return total
    if how == "SUM":
        return _EXACT.fma(value, times, total or Decimal(0))
    return value if total is None else min(total, value) if how == "MIN" else max(total, value)


def _rounded(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(_STEP, ROUND_HALF_UP, _EXACT)


_FUNCTIONS: Final[Mapping[str, Callable[[Value], Value]]] = {
    r"ROUND\(CAST\((.+) AS BIGNUMERIC\), 18\)": _rounded,
    r"CAST\((.+) AS STRING\)": lambda value: None if value is None else str(value),
    r"FORMAT_DATE\('%Y%m', (.+)\)": "{:%Y%m}".format,
    r"DATE\((.+)\)": datetime.date,
    r"TO_JSON_STRING\((.+)\)": lambda value: json.dumps(value, separators=(",", ":")),
}


def _cell(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return str(int(value.timestamp()) * 1_000_000 + value.microsecond)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, date) else str(value)
