"""Statements from ``sql/``: one a file, each after a header of comment lines that stays out of what is sent.

What several statements say alike is a fragment, a file of ``sql/<database>/fragments`` with a header of its own. A line
``-- include: <name>`` of a statement stands for it, or for one of the lists of `line_item_columns`; a comma after the name follows the
end of what is put in. A fragment includes no other.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import indent

from optiinfra_assets.database.line_item_columns import LISTS
from optiinfra_assets.settings import project_file

_INCLUDE = re.compile(r"(\s*)--\s*include:\s*([^,]*?)(,?)\s*")


@cache
def read(*parts: str) -> str:
    """The statement in ``sql/<parts>`` without its header, such as ``read("clickhouse", "store", "publish.sql")``.

    Raises:
        FileNotFoundError: there is no such file, or a fragment that it includes does not exist.
    """
    return statement(project_file("sql", *parts), project_file("sql", parts[0], "fragments"))


@cache
def description(*parts: str) -> str:
    """What the header of the statement in ``sql/<parts>`` says of it, as one line of text."""
    lines = project_file("sql", *parts).read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("--").strip() for line in takewhile(_is_header, lines))


@cache
def names(*parts: str) -> tuple[str, ...]:
    """Stems of the ``.sql`` files in ``sql/<parts>``, sorted."""
    return tuple(sorted(path.stem for path in project_file("sql", *parts).glob("*.sql")))


def statement(path: Path, fragments: Path) -> str:
    """The statement in the file `path` without its header, with those of the folder `fragments` that it includes.

    Raises:
        FileNotFoundError: there is no such file, or a fragment that it includes does not exist.
    """
    lines = []
    for line in _body(path).splitlines():
        if include := _INCLUDE.fullmatch(line):
            space, name, comma = include.groups()
            line = indent(_included(name, path, fragments), space) + comma
        lines.append(line)
    return "\n".join(lines)


def _included(name: str, path: Path, fragments: Path) -> str:
    if name in LISTS:
        return LISTS[name]
    try:
        return _body(fragments / f"{name}.sql")
    except FileNotFoundError:
        known = ", ".join(sorted([*LISTS, *(one.stem for one in fragments.glob("*.sql"))]))
        raise FileNotFoundError(f"{path}: include: {name!r} is not a fragment: use {known}") from None


def _body(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(dropwhile(_is_header, lines)).strip()


def _is_header(line: str) -> bool:
    return line.startswith("--") and not _INCLUDE.fullmatch(line)
