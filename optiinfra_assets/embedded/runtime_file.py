"""``runtime.json``: a running supervisor writes the addresses of its servers here, for commands in other shells.

`Settings` reads it; environment variables override it, and it overrides the defaults.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from optiinfra_assets.embedded.private_files import private_opener
from optiinfra_assets.embedded.services import ServicePort
from optiinfra_assets.settings import RUNTIME_FILE, Settings


def write(settings: Settings, ports: list[ServicePort]) -> None:
    """Write the addresses of this process's servers atomically, readable by our user only: it contains a token, and passwords in URLs.

    `settings` are resolved; `ports` are those that the servers listen on.
    """
    content: dict[str, Any] = {
        name: getattr(settings, name)
        for name in ("clickhouse_url", "postgres_url", "dagster_url", "dagster_token", "bind_host")
    }
    content |= {port.field_name: port.number for port in ports}
    path = settings.home / RUNTIME_FILE
    fresh = path.with_name(f"{RUNTIME_FILE}.new")
    fresh.unlink(missing_ok=True)
    with open(fresh, "x", opener=private_opener) as file:
        json.dump({**content, "supervisor": os.getpid()}, file, indent=2)
    fresh.replace(path)


def remove(home: Path) -> None:
    """Remove the file, if it is there."""
    (home / RUNTIME_FILE).unlink(missing_ok=True)
