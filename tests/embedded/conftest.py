"""These tests are of the embedded engines themselves: a real server's address in the environment does not concern them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_process import Embedded


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HTTP address of an embedded ClickHouse."""
    with Embedded(tmp_path_factory.mktemp("embedded") / "clickhouse") as embedded:
        yield embedded.url
