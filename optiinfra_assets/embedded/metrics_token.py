"""The token for scrapers of ``/metrics``: made once, and kept in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets

from optiinfra_assets.embedded.private_files import private_opener
from optiinfra_assets.settings import METRICS_TOKEN_FILE, Settings


def prepare(settings: Settings) -> None:
    """Make the file of `settings` (resolved), unless it is there or the token is set otherwise. The caller holds the home folder."""
    path = settings.home / METRICS_TOKEN_FILE
    if settings.metrics_token_file != path or path.exists():
        return
    fresh = path.with_name(f"{METRICS_TOKEN_FILE}.new")
    fresh.unlink(missing_ok=True)
    with open(fresh, "x", opener=private_opener) as file:
        file.write(f"{secrets.token_urlsafe(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
