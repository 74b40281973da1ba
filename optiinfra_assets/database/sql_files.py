"""Statements from ``sql/``: one a file, each after a header of comment lines that stays out of what is sent."""

from __future__ import annotations

from functools import cache
from itertools import dropwhile

from optiinfra_assets.settings import project_file


@cache
def read(*parts: str) -> str:
    """The statement in ``sql/<parts>`` without its header, such as ``read("clickhouse", "store", "publish.sql")``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    lines = project_file("sql", *parts).read_text(encoding="utf-8").splitlines()
    return "\n".join(dropwhile(lambda line: line.startswith("--"), lines)).strip()


@cache
def names(*parts: str) -> tuple[str, ...]:
    """Stems of the ``.sql`` files in ``sql/<parts>``, sorted."""
    return tuple(sorted(path.stem for path in project_file("sql", *parts).glob("*.sql")))
