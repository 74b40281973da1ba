"""Why a backup cannot be made or restored."""

from __future__ import annotations


class BackupError(RuntimeError):
    """A backup cannot be made or restored; the message is one line that says why and what to do."""


class DamagedBackup(BackupError):
    """A folder is not a whole backup."""
