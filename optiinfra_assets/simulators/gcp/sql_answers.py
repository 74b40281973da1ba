"""Just enough SQL to answer a statement that adds up rows by keys: its own text is followed, and what is not understood is refused.

Not a database: the forms below are all there is. They are those of statements of one shape::

    SELECT keys, sums, COUNT(*) AS lines FROM (SELECT expressions FROM `table` WHERE conditions) AS line GROUP BY keys
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
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
_AMOUNT: Final = re.compile(
    r"ROUND\(CAST\((?:CAST\((?P<text>[\w.]+) AS STRING\)|(?P<plain>[\w.]+)) AS BIGNUMERIC\), 18\)"
)
_NESTED: Final = re.compile(
    r"\(SELECT (?P<what>.+) FROM UNNEST\((?P<array>\w+)\) AS c(?: WHERE (?P<where>.+))?\)", re.S
)
_IN: Final = re.compile(
    r"(?:c\.(?P<plain>\w+)|COALESCE\(c\.(?P<filled>\w+), ''\)) (?P<not>NOT )?IN \((?P<list>[^)]*)\)"
)
_LISTED: Final = re.compile(r"STRING_AGG\(DISTINCT c\.(\w+), ', ' ORDER BY c\.\1\)")
_CALL: Final = re.compile(r"(DATE|TO_JSON_STRING)\(([\w.]+)\)|CAST\(([\w.]+) AS STRING\)")
_MONTH: Final = re.compile(r"FORMAT_DATE\('%Y%m', DATE\(([\w.]+)\)\)")
_FILLED: Final = re.compile(r"COALESCE\((.+), '(\w*)'\)", re.S)
_EXACT: Final = Context(prec=200)
_STEP: Final = Decimal(1).scaleb(-18)


class NotUnderstood(ValueError):
    """The statement is not of a known form, or names a column that is not there."""


@dataclass(frozen=True, slots=True)
class Select:
    """A statement, understood.

    Attributes:
        columns: of the answer, with their types.
        keys: by which rows are added up.
    """

    table: str
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    _takes: Mapping[str, Read]
    _sums: Mapping[str, str]
    _conditions: tuple[tuple[Read, str, str], ...]
    _seen: dict[int, tuple[Row, tuple[Value, ...], tuple[Value, ...]]] = field(
        default_factory=dict, repr=False
    )

    @classmethod
    def parse(cls, statement: str, paths: Iterable[str]) -> Select:
        """Understand a statement over a table with the columns `paths`.

        Raises:
            NotUnderstood: naming what.
        """
        found = _STATEMENT.fullmatch(statement.strip())
        if found is None:
            raise NotUnderstood("the statement is not of the known shape")
        known = set(paths)
        takes = dict(_take(one, known) for one in re.split(r",\n\s+", found["takes"]))
        sums = {name: how for how, _, name in _SUM.findall(found["out"])}
        keys = tuple(found["keys"].split(", "))
        if takes.keys() != set(keys) | sums.keys():
            raise NotUnderstood(f"columns neither added up nor grouped: {takes.keys() ^ {*keys, *sums}}")
        where = re.sub(r"(\S+) BETWEEN @(\w+) AND @(\w+)", r"\1 >= @\2 AND \1 <= @\3", found["where"])
        conditions = tuple(_condition(one, known) for one in where.split(" AND "))
        kinds = {"SUM": "BIGNUMERIC", "MIN": "TIMESTAMP", "MAX": "TIMESTAMP"}
        special = {"day": "DATE", "part": "TIMESTAMP"}
        columns = {name: special.get(name, "STRING") for name in keys} | {
            name: kinds[how] for name, how in sums.items()
        }
        return cls(found["table"], {**columns, "lines": "INTEGER"}, keys, takes, sums, conditions)

    def chooses(self, row: Row, parameters: Mapping[str, Value]) -> bool:
        """Whether the conditions hold for a row."""
        for read, sign, name in self._conditions:
            left, right = read(row), parameters[name]
            if left is None or not {">=": left >= right, "<=": left <= right, "=": left == right}[sign]:
                return False
        return True

    def answer(self, rows: Iterable[tuple[Row, int]]) -> list[list[str | None]]:
        """The cells of the answer over rows that were chosen, each so many times."""
        groups: dict[tuple[Value, ...], list[Value]] = {}
        for row, times in rows:
            key, values = self._values(row)
            totals = groups.setdefault(key, [None] * len(self._sums) + [0])
            for place, (how, value) in enumerate(zip(self._sums.values(), values, strict=True)):
                totals[place] = _added(how, totals[place], value, times)
            totals[-1] += times
        return [[_cell(value) for value in (*key, *totals)] for key, totals in groups.items()]

    def _values(self, row: Row) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """Keys and what is added up, remembered: a month is asked for again and again."""
        if id(row) not in self._seen:
            keys = tuple(self._takes[name](row) for name in self.keys)
            self._seen[id(row)] = (row, keys, tuple(self._takes[name](row) for name in self._sums))
        return self._seen[id(row)][1:]


def _take(text: str, known: set[str]) -> tuple[str, Read]:
    expression, _, name = text.rpartition(" AS ")
    return name.strip(), _read(expression.strip(), known)


def _condition(text: str, known: set[str]) -> tuple[Read, str, str]:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise NotUnderstood(f"condition {text!r}")
    return _read(found["left"], known), found["sign"], found["name"]


def _read(text: str, known: set[str]) -> Read:
    if found := _NESTED.fullmatch(text):
        return _nested(found, known)
    if found := _AMOUNT.fullmatch(text):
        value = _path(found["text"] or found["plain"], known)
        return lambda row: _rounded(value(row))
    if found := _MONTH.fullmatch(text):
        moment = _path(found[1], known)
        return lambda row: f"{moment(row):%Y%m}"
    if found := _FILLED.fullmatch(text):
        inner, filler = _read(found[1], known), found[2]
        return lambda row: filler if inner(row) is None else inner(row)
    if found := _CALL.fullmatch(text):
        value = _path(found[2] or found[3], known)
        as_text = {"DATE": _date, "TO_JSON_STRING": _json}.get(found[1] or "", _text)
        return lambda row: as_text(value(row))
    return _path(text, known)


def _path(path: str, known: set[str]) -> Read:
    if path not in known:
        raise NotUnderstood(f"Unrecognized name: {path}")
    first, _, rest = path.partition(".")
    return (lambda row: row[first][rest]) if rest else (lambda row: row[first])


def _nested(found: re.Match[str], known: set[str]) -> Read:
    array, chosen = _path(found["array"], known), _chosen(found["where"])
    if amount := _AMOUNT.fullmatch(found["what"].removeprefix("SUM(").removesuffix(")")):
        name = (amount["text"] or amount["plain"]).removeprefix("c.")
        return lambda row: _total([_rounded(one[name]) for one in array(row) if chosen(one)])
    if listed := _LISTED.fullmatch(found["what"]):
        name = listed[1]
        return lambda row: ", ".join(sorted({one[name] for one in array(row) if chosen(one)})) or None
    raise NotUnderstood(f"sub-select {found[0]!r}")


def _chosen(text: str | None) -> Callable[[Row], bool]:
    if text is None:
        return lambda one: True
    found = _IN.fullmatch(text)
    if found is None:
        raise NotUnderstood(f"condition {text!r}")
    name, accepted = found["plain"] or found["filled"], set(re.findall(r"'(\w+)'", found["list"]))
    if found["not"]:
        return lambda one: (one[name] or "") not in accepted
    return lambda one: one[name] in accepted


def _added(how: str, total: Value, value: Value, times: int) -> Any:
    if value is None:
        return total
    if how == "SUM":
        return _EXACT.fma(value, times, total or Decimal(0))
    return value if total is None else min(total, value) if how == "MIN" else max(total, value)


def _total(values: Sequence[Decimal | None]) -> Decimal | None:
    total = None
    for value in values:
        total = _added("SUM", total, value, 1)
    return total


def _rounded(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(_STEP, ROUND_HALF_UP, _EXACT)


def _date(value: datetime) -> date:
    return value.date()


def _json(value: Value) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _cell(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return str(int(value.timestamp()) * 1_000_000 + value.microsecond)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, date) else str(value)
