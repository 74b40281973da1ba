"""Why the platform cannot run on this machine."""

from __future__ import annotations


class PreflightError(RuntimeError):
    """The platform cannot run; the message is one line that says why and what to do."""


class PostgresError(PreflightError):
    """The embedded PostgreSQL cannot run."""
