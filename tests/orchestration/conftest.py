"""A Dagster instance, the platform on the test's own databases, a folder of files."""

from platform_fixtures import (
    clock,
    files,
    instance,
    new_home,
    platform,
    postgres_instance,
    scripted,
    scripted_platform,
)

__all__ = [
    "clock",
    "files",
    "instance",
    "new_home",
    "platform",
    "postgres_instance",
    "scripted",
    "scripted_platform",
]
