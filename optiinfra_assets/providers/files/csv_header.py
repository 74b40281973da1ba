"""Finds the row of column names of a CSV file, and the sign that separates its values.

FOCUS files have it first. Other files of costs may have a title above it: a mapping names columns, and the row that has them all is theirs.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

SEPARATORS: Final = {b",": "commas", b";": "semicolons", b"\t": "tabs", b"|": "bars"}
"""Signs between values, and their names; the first counts if several fit."""
FIRST_ROW: Final = re.compile(rb"[\r\n]*+([^\r\n]++)[\r\n]")
_TOLD: Final = re.compile(rb'\A"?sep=([,;\t|])"?\r?\n')
"""The first line in which Excel tells the separator."""
_LEAST_ROWS: Final = 2


class Header(NamedTuple):
    """Where the names of columns are.

    Attributes:
        separator: sign between values.
        start: offset of the row.
    """

    separator: bytes
    start: int = 0


@dataclass(frozen=True, slots=True)
class TableForm:
    """What a mapping tells of the rows of its files.

    Attributes:
        names: columns that the row of names has, in any case; empty: the row that looks most like one.
        skipped: column -> values of it in rows that are no charges; an empty one is also null.
    """

    names: frozenset[str] = frozenset()
    skipped: Mapping[str, frozenset[str]] | None = None


def find_header(text: bytes, form: TableForm | None) -> Header:
    """Find the row of names in the beginning of a file: the one that the form names, else the likely one; without a form, the first."""
    told = _TOLD.match(text)
    first = Header(told[1], told.end()) if told else Header(_separator(text))
    if form is None:
        return first
    found = _named(text, form.names) if form.names else None
    return found or _likely(text) or first


def distinct(names: Iterable[str]) -> list[str]:
    """Return names of columns with a number behind those that repeat, and one by its place for those that are empty and repeat."""
    names = list(names)
    counts, seen = Counter(names), Counter[str]()
    found = []
    for position, name in enumerate(names, start=1):
        seen[name] += 1
        is_repeated = counts[name] > 1
        found.append((f"{name} ({seen[name]})" if name else f"unnamed_{position}") if is_repeated else name)
    return found


def _separator(text: bytes) -> bytes:
    """Return what separates the names of columns: no FOCUS name has another sign."""
    found = FIRST_ROW.match(text)
    names = found[1] if found else text
    separator = max((one for one in SEPARATORS if one != b","), key=names.count)
    return separator if b"," not in names and separator in names else b","


def _named(text: bytes, wanted: frozenset[str]) -> Header | None:
    lines = _lines(text)
    start = 0
    for number, line in enumerate(lines):
        for separator in SEPARATORS:
            row = next(_rows(lines[number:], separator), (0, []))[1]
            if wanted <= {one.strip().lower() for one in distinct(row)}:
                return Header(separator, start)
        start += len(line)
    return None


def _likely(text: bytes) -> Header | None:
    """Return the first row of names as wide, and with as many values, as most rows are; None if no two rows are of one width."""
    lines, best = _lines(text), (0, 0)
    found: Header | None = None
    for separator in SEPARATORS:
        rows = [(at, row) for at, row in _rows(lines, separator) if len(row) > 1]
        if not rows:
            continue
        width, count = max(Counter(len(row) for _, row in rows).items(), key=lambda one: (one[1], one[0]))
        usual = median(_filled(row) for _, row in rows if len(row) == width)
        names = (at for at, row in rows if len(row) == width and _filled(row) >= usual and _are_names(row))
        at = next(names, None)
        if at is not None and count >= _LEAST_ROWS and (count, width) > best:
            best, found = (count, width), Header(separator, len(b"".join(lines[:at])))
    return found


def _filled(row: list[str]) -> int:
    return sum(1 for one in row if one.strip())


def _are_names(row: list[str]) -> bool:
    return all(re.search(r"[^\W\d]", one) for one in row if one.strip())


def _lines(text: bytes) -> list[bytes]:
    return re.split(rb"(?<=\n)|(?<=\r)(?!\n)", text)


def _rows(lines: list[bytes], separator: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number, from 0, of the line on which it starts."""
    reader = csv.reader((line.decode(errors="replace") for line in lines), delimiter=separator.decode())
    start = 0
    try:
        for row in reader:
            yield start, row
            start = reader.line_num
    except csv.Error:
        return
