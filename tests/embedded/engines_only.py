"""A supervisor of the two databases alone, as a script: they start in a second and hold what a start needs, ports, locks and sockets."""

from __future__ import annotations

from pathlib import Path

from optiinfra_assets.cli.serving import show
from optiinfra_assets.embedded import services, supervisor
from optiinfra_assets.settings import Settings

whole = services.plan


def engines(asked: Settings, settings: Settings, workspace: Path) -> list[services.ManagedService]:
    """Of all services those that need no other."""
    return [one for one in whole(asked, settings, workspace) if one.name in ("postgres", "clickhouse")]


if __name__ == "__main__":
    services.plan = engines
    supervisor.serve(Settings().home, Settings, show)
