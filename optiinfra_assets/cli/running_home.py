"""Finds the home of a running demo for commands that look at a platform, when nothing runs in the home that they would use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

OWN_HOME = ("up", "demo", "backup", "restore", "completion")
"""Commands that mean the home that is set, whatever runs elsewhere, or none."""


def use_running_demo(verb: str | None) -> None:
    """Make the rest of this process use the home of a running demo, and say so on stderr, if nothing runs in the usual one.

    A home or a database that the environment names for this command is used as it is, unless a demo runs in a folder of that home.
    """
    from optiinfra_assets.settings import Settings, demo_home

    if verb in OWN_HOME or os.environ.get("OPTIINFRA_POSTGRES_URL") or os.environ.get("OPTIINFRA_CLICKHOUSE_URL"):
        return
    usual, demo = Settings.model_fields["home"].get_default(call_default_factory=True), demo_home()
    given = os.environ.get("OPTIINFRA_HOME")
    home = Path(given).expanduser() if given else usual
    if not _runs(home) and _runs(demo):
        os.environ["OPTIINFRA_HOME"] = str(demo)
        click.echo(f"nothing runs in {home}: using the demo that runs in {demo}", err=True)


def _runs(home: Path) -> bool:
    """Whether the process that wrote the runtime file of a home is alive; a kill leaves the file behind."""
    from optiinfra_assets.settings import RUNTIME_FILE

    try:
        os.kill(int(json.loads((home / RUNTIME_FILE).read_text())["supervisor"]), 0)
    except PermissionError:
        return True
    except (OSError, LookupError, TypeError, ValueError):
        return False
    return True
