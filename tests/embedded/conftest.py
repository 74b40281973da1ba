"""These tests are of the embedded engines themselves: a real server's address in the environment does not concern them.

The fixture has a name of its own: it took the place of `clickhouse_url` of the other tests once, whose databases were then made in one
server and looked for in another, wherever a worker began with a file of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_process import Embedded
from loopback import server_folder


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HTTP address of an embedded ClickHouse."""
    with Embedded(tmp_path_factory.mktemp("embedded") / "clickhouse") as embedded:
        yield embedded.url


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """A folder with a short path, as people have: runs are copies of a loaded process only where a socket fits below the home."""
    with server_folder() as folder:
        yield folder
