"""These tests are of the embedded engines themselves: a real server's address in the environment does not concern them.

The fixture has a name of its own: it took the place of `clickhouse_url` of the other tests once, whose databases were then made in one
server and looked for in another, wherever a worker began with a file of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_process import Embedded


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HTTP address of an embedded ClickHouse."""
    with Embedded(tmp_path_factory.mktemp("embedded") / "clickhouse") as embedded:
        yield embedded.url
