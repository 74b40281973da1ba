"""The pages over one API's databases, and a browser, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_server import serving
from served_world import world
from site_world import NOW, Site
from world import World

__all__ = ["world"]


@pytest.fixture(scope="session")
def site(world: World) -> Iterator[Site]:
    """The pages, at a time that stands."""
    with serving(world.settings, clock=lambda: NOW) as url:
        yield Site(world, url)
