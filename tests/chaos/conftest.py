"""A Dagster instance in which nothing ever ran."""

from platform_fixtures import instance, new_home

__all__ = ["instance", "new_home"]
