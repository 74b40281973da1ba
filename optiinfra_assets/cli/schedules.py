"""The commands schedule list and start, for the schedules and sensors of the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from optiinfra_assets.cli.output import print_list

if TYPE_CHECKING:
    from optiinfra_assets.domain.automation import Automation


@click.group()
def schedule() -> None:
    """List the schedules and sensors that collect by themselves, and start those that were stopped.

    \b
    Examples:
      optiinfra schedule list
      optiinfra schedule start
      optiinfra schedule start collect_due
    """


@schedule.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the schedules and sensors, and whether each of them runs."""
    from optiinfra_assets.ingestion.dagster_client import read_automations
    from optiinfra_assets.settings import Settings

    columns = {
        "name": lambda one: one.name,
        "kind": lambda one: one.kind,
        "state": lambda one: "running" if one.is_running else "STOPPED",
    }
    found = read_automations(Settings(), timeout_seconds=30)
    print_list(found, columns, none="none: the code location is not loaded; see: optiinfra status", as_json=as_json)


@schedule.command()
@click.argument("name", required=False)
def start(name: str | None) -> None:
    """Start a schedule or sensor that was stopped. NAME is the first column of `schedule list`; without it, start all of them."""
    from optiinfra_assets.ingestion.dagster_client import DagsterClient
    from optiinfra_assets.settings import Settings

    with DagsterClient(Settings()) as dagster:
        stopped = [one for one in _named(dagster.automations(), name) if not one.is_running]
        for one in stopped:
            dagster.start(one)
            click.echo(f"started {one}")
    if not stopped:
        click.echo("nothing is stopped")


def _named(found: list[Automation], name: str | None) -> list[Automation]:
    chosen = [one for one in found if name in (None, one.name)]
    if name and not chosen:
        names = ", ".join(one.name for one in found) or "none: the code location is not loaded"
        raise click.ClickException(f"name: {name!r} is not known: use {names}")
    return chosen
