"""A Dagster instance, the platform on the test's own databases, a folder of files."""

from platform_fixtures import files, instance, platform, scripted, scripted_platform

__all__ = ["files", "instance", "platform", "scripted", "scripted_platform"]
