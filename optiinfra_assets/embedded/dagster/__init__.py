"""Dagster's folder, storage and run launcher for the one-command installation."""
