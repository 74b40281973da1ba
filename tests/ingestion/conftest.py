"""The platform on the test's own databases, as the tests of orchestration have it."""

from platform_fixtures import clock, files, instance, new_home, platform, scripted, scripted_platform

__all__ = ["clock", "files", "instance", "new_home", "platform", "scripted", "scripted_platform"]
