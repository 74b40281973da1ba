"""Reads the statements of ``sql/``: one per file, after a header of comment lines, which is not sent to the database.

Text that several statements share is a fragment, a file of ``sql/<database>/fragments`` with its own header. A line
``-- include: <name>`` in a statement is replaced by the fragment, or by one of the lists of `line_item_columns`; a comma after the name
is put after the included text. A fragment cannot include another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import indent

from optiinfra_assets.database.line_item_columns import FOCUS_LIST, LISTS, focus_columns
from optiinfra_assets.domain.focus import Version
from optiinfra_assets.settings import project_file

_INCLUDE = re.compile(r"(\s*)--\s*include:\s*([^,]*?)(,?)\s*")


@cache
def read(*parts: str) -> str:
    """Return the statement in ``sql/<parts>`` without its header, as in ``read("clickhouse", "store", "resolve.sql")``.

    Raises:
        FileNotFoundError: the file, or a fragment that it includes, does not exist.
    """
    return statement(project_file("sql", *parts), project_file("sql", parts[0], "fragments"))


def read_without(included: str, *parts: str) -> str:
    """Return the statement in ``sql/<parts>`` like `read`, without what it includes as `included`."""
    fragments = project_file("sql", parts[0], "fragments")
    return statement(project_file("sql", *parts), fragments, {**LISTS, included: ""})


def read_focus(version: Version, x_names: Sequence[str] = ()) -> str:
    """Return the statement of line items as a file of a FOCUS version, with the columns `x_names` after FOCUS's own."""
    folder = project_file("sql", "clickhouse")
    lists = LISTS | {FOCUS_LIST: focus_columns(version, x_names)}
    return statement(folder / "exports" / "focus.sql", folder / "fragments", lists)


@cache
def description(*parts: str) -> str:
    """Return the header of the statement in ``sql/<parts>`` as one line of text."""
    lines = project_file("sql", *parts).read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("--").strip() for line in takewhile(_is_header, lines))


@cache
def names(*parts: str) -> tuple[str, ...]:
    """Return the sorted stems of the ``.sql`` files in ``sql/<parts>``."""
    return tuple(sorted(path.stem for path in project_file("sql", *parts).glob("*.sql")))


def statement(path: Path, fragments: Path, lists: Mapping[str, str] = LISTS) -> str:
    """Return the statement in the file `path` without its header, with what it includes of `lists` and of the folder `fragments`.

    Raises:
        FileNotFoundError: the file, or a fragment that it includes, does not exist.
    """
    lines = []
    for line in _body(path).splitlines():
        if include := _INCLUDE.fullmatch(line):
            space, name, comma = include.groups()
            line = indent(_included(name, path, fragments, lists), space) + comma
        lines.append(line)
    return "\n".join(lines)


def _included(name: str, path: Path, fragments: Path, lists: Mapping[str, str]) -> str:
    if name in lists:
        return lists[name]
    try:
        return _body(fragments / f"{name}.sql")
    except FileNotFoundError:
        known = ", ".join(sorted([*lists, *(one.stem for one in fragments.glob("*.sql"))]))
        raise FileNotFoundError(f"{path}: include: {name!r} is not a fragment: use {known}") from None


def _body(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(dropwhile(_is_header, lines)).strip()


def _is_header(line: str) -> bool:
    return line.startswith("--") and not _INCLUDE.fullmatch(line)
