"""The command gc: removes generations that retention no longer keeps."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from optiinfra_assets.cli.output import print_json
from optiinfra_assets.cli.stores import opened_stores


@click.command()
@click.option("--dry-run", is_flag=True, help="Count; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gc(dry_run: bool, as_json: bool) -> None:
    """Remove superseded generations past retention, and rows of collections that died.

    Dagster does this every day. The newest generation of each slice is always kept, and of superseded ones the last of
    each UTC day for OPTIINFRA_RETENTION_DAYS (95) days; further back than OPTIINFRA_RETENTION_DAILY_DAYS, if that is set,
    the last of each week and month. Rows go an hour after a generation was put on record as removed, so it takes two runs.
    Its publication moves to the archive, which lineage and asOf still read.

    \b
    Example:
      optiinfra gc --dry-run
    """
    from optiinfra_assets.settings import Settings

    settings = Settings()
    with opened_stores(settings) as (metadata, warehouse):
        live = metadata.slices.live_generations()
        garbage = warehouse.collect_garbage(
            datetime.now(UTC), settings.retention_days, live, daily_days=settings.retention_daily_days, dry_run=dry_run
        )
    if as_json:
        print_json(asdict(garbage))
    else:
        verb = "would be" if dry_run else "were"
        click.echo(
            f"{garbage.expired} generations {verb} put on record as removed; rows of {garbage.removed} of before and of "
            f"{garbage.orphans} never published {verb} removed: {garbage.rows} rows; {garbage.archived} publications {verb} archived"
        )
