"""The commands up, demo and migrate, which run or prepare the platform."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.stores import opened_stores

if TYPE_CHECKING:
    from decimal import Decimal

    from optiinfra_assets.demo import TotalComparison
    from optiinfra_assets.embedded.supervisor import ServiceEvent
    from optiinfra_assets.settings import Settings


def show(event: ServiceEvent) -> None:
    """Print an event of a service, as one line on stderr."""
    colour = {"ready": "green", "died": "red"}.get(event.state)
    text = f"  {event.state:<8} {event.name:<18} {event.seconds:5.1f} s  {event.detail}"
    with contextlib.suppress(OSError):  # a closed terminal must not prevent the shutdown of the others
        click.secho(text.rstrip(), fg=colour, err=True)


@click.command()
def up() -> None:
    """Run the whole platform on this machine until Ctrl-C.

    PostgreSQL, ClickHouse, migrations, Dagster and the GraphQL service are started in order, watched, started again
    if they die, and stopped together. Their output is in OPTIINFRA_HOME/logs.

    \b
    Settings, all from the environment:
      OPTIINFRA_HOME             folder of all state (~/.optiinfra)
      OPTIINFRA_POSTGRES_URL     your PostgreSQL instead of the embedded one
      OPTIINFRA_CLICKHOUSE_URL   your ClickHouse instead of the embedded one
      OPTIINFRA_API_PORT         GraphQL (8000)
      OPTIINFRA_DAGSTER_PORT     Dagster's web interface (3000)
      OPTIINFRA_CLICKHOUSE_PORT  embedded ClickHouse (8124)
      OPTIINFRA_BIND_HOST        address the GraphQL service listens on (127.0.0.1)
      OPTIINFRA_WEB_ORIGINS      where browsers reach the web interfaces through a proxy, such as https://dagster.example.com

    \b
    Example, beside something else on port 8000:
      OPTIINFRA_API_PORT=8001 optiinfra up
    """
    from optiinfra_assets.embedded import supervisor
    from optiinfra_assets.settings import Settings

    supervisor.serve(Settings().home, Settings, show, _welcome)


def _welcome(settings: Settings) -> None:
    from contextlib import closing

    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.web_sessions import LINK_PATH

    with closing(Metadata.connect(settings)) as metadata:
        link = metadata.web_sessions.make_link(metadata.tokens.standing().token_id)
    click.echo(
        f"OptiInfra runs; Ctrl-C stops it.\n"
        f"  Costs    {settings.api_url}{LINK_PATH}{link}\n"
        f"           (signs one browser in, within 15 minutes; another link: optiinfra token link)\n"
        f"  GraphQL  {settings.api_url}/graphql\n"
        f"  Dagster  {settings.dagster_url}   (behind the same sign-in)\n"
        f"  State    {settings.home} (logs in {settings.home / 'logs'})\n"
        "Next, in another shell: optiinfra status"
    )


@click.command()
@click.option(
    "--once",
    is_flag=True,
    help="Check the answer against its sources, stop everything, exit 0 if they agree.",
)
def demo(once: bool) -> None:
    """Run the whole platform on three simulated customers, with no cloud account.

    Thirteen months of FOCUS files are written and every cloud is simulated on loopback; all of it is collected and asked
    for; then everything stays up until Ctrl-C. State lives apart, in ~/.optiinfra-demo or OPTIINFRA_HOME/demo. A port that
    is taken is replaced by a free one. Your own accounts can be connected next to the simulated ones.

    \b
    Examples:
      optiinfra demo
      optiinfra demo --once
    """
    from optiinfra_assets import demo as job
    from optiinfra_assets.cli.collecting import wait_for
    from optiinfra_assets.embedded import supervisor
    from optiinfra_assets.settings import demo_home

    def say(text: str) -> None:
        click.echo(text)

    def then(settings: Settings) -> None:
        compared = job.run(settings, say, wait_for, begun)
        if once:
            _check(compared)
        else:
            say("\nCtrl-C stops it.")

    def settings() -> Settings:
        found = job.settings_for(home, say)
        job.write_files(home, begun)
        return found

    home, begun = demo_home(), datetime.now(UTC)
    supervisor.serve(home, settings, show, then, once=once, also=[job.clouds(home, begun)])


def _plain(amount: Decimal | None) -> str | None:
    """Format an amount without the trailing zeros of a Parquet column with 18 fraction digits."""
    from optiinfra_assets.domain.exact_amounts import EXACT

    return None if amount is None else f"{amount.normalize(EXACT):f}"


def _check(compared: list[TotalComparison]) -> None:
    rows = [
        (
            one.customer_id,
            one.currency,
            _plain(one.source),
            _plain(one.answer),
            "yes" if one.source == one.answer else "NO",
        )
        for one in compared
    ]
    click.echo()
    print_table(("customer", "currency", "files and clouds", "GraphQL", "equal"), rows)
    if not compared or any(one.source != one.answer for one in compared):
        raise click.ClickException("the answer is not what the files and clouds come to")


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the statements that would run; change nothing.")
@click.option("--dagster", is_flag=True, help="Dagster's tables as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(dry_run: bool, dagster: bool, as_json: bool) -> None:
    """Bring the tables of both databases up to date.

    `optiinfra up` does this by itself. By hand it is for databases that are run elsewhere.

    \b
    Examples:
      optiinfra migrate --dry-run
      optiinfra migrate --dagster     before the first start on several machines, and at each upgrade
    """
    from optiinfra_assets.settings import Settings

    settings = Settings()
    with opened_stores(settings) as (metadata, warehouse):
        if not dry_run:
            # Both are looked at before either is changed: one may be of a newer version.
            metadata.migrate(dry_run=True)
            warehouse.migrate(dry_run=True)
        ran = {
            "postgres": metadata.migrate(dry_run=dry_run),
            "clickhouse": warehouse.migrate(dry_run=dry_run),
        }
    if dagster and not dry_run:
        _migrate_dagster(settings)
    if as_json:
        print_json(ran)
    else:
        _print_statements(ran, dry_run=dry_run)


def _migrate_dagster(settings: Settings) -> None:
    import os
    from pathlib import Path

    from optiinfra_assets.dagster_processes import tables
    from optiinfra_assets.settings import project_file

    given = Path(os.environ.get("DAGSTER_HOME", ""), "dagster.yaml")
    home = given.parent if given.is_absolute() and given.is_file() else project_file("dagster.yaml").parent
    tables.create(home, settings.postgres_url or "")


def _print_statements(ran: dict[str, list[str]], *, dry_run: bool) -> None:
    lead, done = ("-- ", "to run") if dry_run else ("", "run")
    for database, statements in ran.items():
        for statement in statements if dry_run else ():
            click.echo(f"-- {database}\n{statement.rstrip().rstrip(';')};\n")
        count = f"{len(statements)} statements {done}" if statements else "up to date"
        click.echo(f"{lead}{database}: {count}")
