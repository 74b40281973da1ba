"""Prints the output of commands: JSON for scripts, tables for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress

_PIPED_WIDTH = 200
"""Width in characters if the output is no terminal, so that each row stays on one line for `grep`."""
_SHOWN_WARNINGS = 20


def print_json(content: Any) -> None:
    """Print `content` as JSON: times in ISO 8601, decimals as strings."""
    import json

    click.echo(json.dumps(content, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_list(
    found: Sequence[Any], columns: Mapping[str, Callable[[Any], object]], *, none: str, as_json: bool
) -> None:
    """Print `found` as JSON or as a table, in which `columns` maps each header to the value of a cell; print `none` if it is empty."""
    if as_json:
        print_json(found)
    elif not found:
        click.echo(none)
    else:
        print_table(tuple(columns), [[cell(one) for cell in columns.values()] for one in found])


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[object]], numbers: Container[str] = frozenset()
) -> None:
    """Print `rows` as a table under `headers`, the columns `numbers` to the right; a cell that is None is printed as ``-``."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold", justify="right" if header in numbers else "left")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else _cell(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    console.print(table)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings to stderr, the first `_SHOWN_WARNINGS` of them."""
    lines = list(warnings)
    for line in lines[:_SHOWN_WARNINGS]:
        click.echo(f"warning: {line}", err=True)
    if len(lines) > _SHOWN_WARNINGS:
        click.echo(f"warning: and {len(lines) - _SHOWN_WARNINGS} more; --json has all of them", err=True)


def progress_bar(description: str, unit: str) -> Progress:
    """Build a progress bar on stderr that counts `unit`; `description` may contain fields of its task in braces."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(description),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M") + " UTC"
    # Names and errors come from providers: an escape sequence in one would be obeyed by the terminal.
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in str(value))
