"""Two readers of one database, one of which holds tables in memory: what they answer is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from optiinfra_api.reading.clickhouse_reader import ClickHouseReader
from optiinfra_api.reading.held_rows import HeldRows
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse, connect_reader


def insert(warehouse: Warehouse, table: str, found: Sequence[dict[str, Any]]) -> None:
    warehouse.client.command(f"TRUNCATE TABLE {table}")
    if found:
        warehouse.client.insert(table, [list(row.values()) for row in found], column_names=list(found[0]))


class Readers:
    """Two readers of one database: one that holds tables, and one that asks for each answer."""

    def __init__(self, client: AsyncClient, warehouse: Warehouse, table_bytes: int = 2**26) -> None:
        limits = QueryLimits.of_queries(Settings())

        async def run(work: Any, *args: Any) -> Any:
            return work(*args)

        self.asking = ClickHouseReader(client, warehouse, run, limits, ResultCache(0))
        self.holding = ClickHouseReader(client, warehouse, run, limits, ResultCache(0), table_bytes=table_bytes)

    async def held(self, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer from memory."""
        table, _ = await self.holding._tables.found(statement, values)
        assert table is not None
        rows = table.rows(values)
        assert rows is not None
        return rows

    async def held_of_line_items(
        self, statement: str, values: dict[str, Any], columns: frozenset[str] = frozenset()
    ) -> list[dict[str, Any]] | None:
        """The answer from memory, which has it only after it was asked twice; None: that does not answer it."""
        for _ in range(3):
            table, was_fetched = await self.holding._tables.found(statement, values, columns=columns)
            if table is not None:
                assert not was_fetched
                return table.rows(values)
            await asyncio.gather(*self.holding._tables._filling.values())
        raise AssertionError("nothing is held")


def counting(readers: Readers) -> list[list[int]]:
    """The generations of each fetch from now on."""
    fetched: list[list[int]] = []
    fetch = readers.holding._fetch

    async def counted(customer_id: str, rows: HeldRows, generations: Sequence[int], most: int) -> bytes:
        fetched.append(list(generations))
        return await fetch(customer_id, rows, generations, most)

    readers.holding._tables._fetch = counted
    return fetched


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def client(settings: Settings, runner: asyncio.Runner) -> Iterator[AsyncClient]:
    """A connection for all that one test asks."""
    made = runner.run(connect_reader(settings))
    yield made
    runner.run(made.close())


def assert_equal(held: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """Both are the same, but for groups that are not asked, for which the statement has no column."""
    assert len(held) == len(asked)
    for ours, theirs in zip(held, asked, strict=True):
        assert {name: ours[name] for name in theirs} == theirs
        assert not any(ours[name] for name in ours.keys() - theirs.keys())
