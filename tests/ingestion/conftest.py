"""The platform on the test's own databases, as the tests of orchestration have it."""

from platform_fixtures import files, instance, platform, scripted, scripted_platform

__all__ = ["files", "instance", "platform", "scripted", "scripted_platform"]
