"""Dagster's folder of the one-command installation."""
