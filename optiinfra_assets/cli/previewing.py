"""Prints how a file would be read: its first line items, what is missing, and the mapping that is proposed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from optiinfra_assets.cli.output import print_json, print_table, print_warnings

if TYPE_CHECKING:
    from optiinfra_assets.providers.base import FilePreview


def print_preview(found: FilePreview, *, as_json: bool) -> None:
    """Print a preview: rows as columns of a table, because line items have many columns."""
    if as_json:
        print_json(found)
        return
    click.echo(f"{found.path}: {found.read_as}")
    if found.rows:
        names = list(dict.fromkeys(name for row in found.rows for name in row))
        print_table(
            ("column", *(f"row {number + 1}" for number in range(len(found.rows)))),
            [(name, *(row.get(name) for row in found.rows)) for name in names],
        )
    print_warnings(found.notes)
    if found.missing:
        click.echo(f"missing: {', '.join(found.missing)}")
    if found.proposed:
        click.echo("proposed mapping, to be checked and stored beside the file as optiinfra-mapping.toml:\n")
        click.echo(found.proposed)
    if found.problem:
        click.echo(f"would be refused: {found.problem}", err=True)
