"""Tokens that expire when a test says so, and not when a second is over that a slow machine needs for something else."""

from __future__ import annotations

import psycopg

from optiinfra_assets.settings import Settings


def let_expire(settings: Settings, name: str) -> None:
    """Have the tokens of that name expire at this moment of PostgreSQL's clock, which decides."""
    with psycopg.connect(str(settings.postgres_url)) as connection:
        changed = connection.execute("UPDATE optiinfra.api_tokens SET expires_at = now() WHERE name = %s", [name])
        assert changed.rowcount > 0
