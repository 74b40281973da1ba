"""The commands backup and restore, for both embedded databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.output import print_json, progress_bar
from optiinfra_assets.cli.stores import opened_stores

if TYPE_CHECKING:
    from optiinfra_assets.backup.manifest import Manifest, Watch
    from optiinfra_assets.backup.restore import RestoreResult


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(folder: Path, as_json: bool) -> None:
    """Back up both embedded databases to the new folder FOLDER, while everything runs.

    Nothing is stopped: queries are answered and collections go on. The backup has what was published when it began. It has
    its name only once it is whole. Run this as the user of `optiinfra up`; if nothing runs, the databases are started for it.

    Not in it: the master key (OPTIINFRA_MASTER_KEY, or master.key in OPTIINFRA_HOME), without which no stored secret can be
    opened. Back it up apart. Settings in the environment and logs are not in it either.

    Databases of your own (OPTIINFRA_POSTGRES_URL, OPTIINFRA_CLICKHOUSE_URL) are backed up with their own tools, PostgreSQL
    before ClickHouse: see docs/backup.md.

    \b
    Every night, with cron:
      15 2 * * *  optiinfra backup /backups/optiinfra-$(date +\\%F)
    \b
    Check that it is whole:
      optiinfra restore --dry-run /backups/optiinfra-2026-11-30
    """
    from optiinfra_assets.backup.homes import opened_home
    from optiinfra_assets.backup.take import take
    from optiinfra_assets.settings import Settings

    with (
        _progress() as watch,
        opened_home(Settings) as settings,
        opened_stores(settings) as (metadata, warehouse),
    ):
        made = take(folder, str(settings.postgres_url), metadata, warehouse, lambda: datetime.now(UTC), watch)
    if as_json:
        print_json({"folder": str(folder.absolute()), **_summary(made)})
    else:
        click.echo(f"{folder}: {_megabytes(made)}, the state of {_minute(made.begun_at)}")
        if made.master_keys:
            click.echo(f"not in it: master key {', '.join(made.master_keys)}, which its secrets need: back it up apart")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--replace", is_flag=True, help="Exchange databases that are there; they are kept in a folder of OPTIINFRA_HOME."
)
@click.option("--dry-run", is_flag=True, help="Check that the backup is whole and of a known version; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(folder: Path, replace: bool, dry_run: bool, as_json: bool) -> None:
    """Restore the backup in FOLDER into OPTIINFRA_HOME, where nothing may run.

    Every file is compared with its checksum, both databases are built beside those that are there, and every published
    generation is compared with its rows. Only then they are exchanged. If anything fails, or is killed, the home is as it
    was. Backups of earlier versions are brought up to date, those of newer ones are refused.

    After the next `optiinfra up` everything goes on from the state of the backup: what has changed since at the sources is
    collected. Tokens that were revoked since are valid again, and secrets that were replaced since are the old ones.
    Restore only backups that you made: whoever can write one decides what is in the databases.

    \b
    Examples:
      optiinfra restore /backups/optiinfra-2026-11-30
      OPTIINFRA_HOME=/srv/other optiinfra restore /backups/optiinfra-2026-11-30
      optiinfra restore --replace /backups/optiinfra-2026-11-30
    """
    from optiinfra_assets.backup import homes
    from optiinfra_assets.backup import restore as restoring
    from optiinfra_assets.settings import Settings

    homes.refuse_own_servers()
    with _progress() as watch:
        if dry_run:
            shown, lines = _checked(folder, restoring.check(folder, watch))
        else:
            home = Settings().home
            shown, lines = _restored(home, restoring.restore(folder, home, datetime.now(UTC), watch, replace=replace))
    if as_json:
        print_json(shown)
    else:
        click.echo("\n".join(lines))


def _checked(folder: Path, manifest: Manifest) -> tuple[dict[str, Any], list[str]]:
    return _summary(manifest), [f"{folder}: whole: {_megabytes(manifest)}, the state of {_minute(manifest.begun_at)}"]


def _restored(home: Path, result: RestoreResult) -> tuple[dict[str, Any], list[str]]:
    kept = str(result.kept) if result.kept else None
    shown = {
        "home": str(home),
        **_summary(result.manifest),
        "replaced": kept,
        "missing_master_keys": result.missing_keys,
    }
    then = _minute(result.manifest.begun_at)
    lines = [f"restored into {home}: the state of {then}"]
    if kept:
        lines.append(f"what was there is in {kept}: remove it when you no longer need it")
    for key_id in result.missing_keys:
        lines.append(
            f"missing: master key {key_id}: put it into OPTIINFRA_MASTER_KEY or {home / 'master.key'}; until then accounts "
            "with secrets are not collected, and all that is published can be read"
        )
    lines.append(f"tokens and secrets are those of {then}: revoke again what was revoked since (optiinfra token list)")
    lines.append("next: optiinfra up")
    return shown, lines


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "state_of": manifest.begun_at,
        "bytes": manifest.size,
        "files": len(manifest.files),
        "versions": manifest.versions,
        "master_keys": manifest.master_keys,
    }


def _megabytes(manifest: Manifest) -> str:
    return f"{len(manifest.files)} files, {manifest.size / 1e6:.1f} MB"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _progress() -> Iterator[Watch]:
    """Show on stderr what is being done, once there is something to show."""
    progress = progress_bar("{task.description}", "MB")
    bar = progress.add_task("", total=None)
    with ExitStack() as shown:

        def watch(stage: str, done: int, total: int | None) -> None:
            if not progress.live.is_started:  # a command that is refused prints only its error
                shown.enter_context(progress)
            megabytes = None if total is None else max(1, total // 10**6)
            progress.update(bar, description=stage, completed=done // 10**6, total=megabytes)

        yield watch
