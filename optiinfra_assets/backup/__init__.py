"""Backup of both embedded databases while they are used, and restore into a home; see docs/backup.md."""
