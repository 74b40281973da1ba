"""One API and its databases for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from served_world import world

__all__ = ["world"]


@pytest.fixture
def docs() -> Path:
    """The folder of documents."""
    return Path(__file__).parents[2] / "docs"
