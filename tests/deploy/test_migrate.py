"""`optiinfra migrate --dagster`, as a deployment begins and is upgraded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
from loopback import HANG

from optiinfra_assets.settings import Settings


def started(settings: Settings, home: Path, *options: str) -> subprocess.Popen[str]:
    """The command, on the databases of a test."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OPTIINFRA_", "DAGSTER_"))}
    urls = {
        "OPTIINFRA_CLICKHOUSE_URL": str(settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "optiinfra_assets.cli", "migrate", *options],
        env={**ours, **urls, "OPTIINFRA_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tables(settings: Settings) -> set[str]:
    """The tables of Dagster."""
    with psycopg.connect(str(settings.postgres_url)) as connection:
        found = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {str(row[0]) for row in found}


def test_dagsters_tables_are_made_once_however_many_make_them(settings: Settings, tmp_path: Path) -> None:
    """Without a folder of Dagster: a first installation has none yet."""
    both = [started(settings, tmp_path / f"home-{number}", "--dagster") for number in (1, 2)]
    assert [(one.communicate(timeout=HANG)[1], one.returncode) for one in both] == [("", 0)] * 2
    assert {"alembic_version", "runs", "event_logs", "job_ticks"} <= tables(settings)


def test_a_dry_run_makes_nothing(settings: Settings, tmp_path: Path) -> None:
    process = started(settings, tmp_path, "--dagster", "--dry-run")
    said, errors = process.communicate(timeout=HANG)
    assert (process.returncode, errors, tables(settings)) == (0, "", set())
    assert "-- clickhouse: " in said
