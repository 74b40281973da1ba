"""clickhouse-connect's asynchronous client: the same server, another HTTP library."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Any]:
    """An asynchronous client of an empty database."""
    name = f"async_{uuid.uuid4().hex[:12]}"
    admin = await clickhouse_connect.get_async_client(dsn=url)
    await admin.command(f"CREATE DATABASE {name}")
    client = await clickhouse_connect.get_async_client(dsn=f"{url}/{name}", **options)
    try:
        await client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
        yield client
    finally:
        await client.close()
        await admin.command(f"DROP DATABASE {name}")
        await admin.close()


def run(url: str, work: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Run `work` with a client."""

    async def inside() -> None:
        async with connected(url, **options) as client:
            await work(client)

    asyncio.run(inside())


@pytest.mark.parametrize("compress", [False, True, "lz4"])
def test_every_way_to_write_and_read(embedded_url: str, compress: bool | str) -> None:
    async def work(client: Any) -> None:
        assert (await client.insert("t", [[1, "ü'\\"], [2, ""]], column_names=["a", "b"])).written_rows == 2
        await client.insert_df("t", pd.DataFrame({"a": [3], "b": ["df"]}))
        await client.insert_arrow("t", pa.table({"a": pa.array([4], pa.uint64()), "b": ["arrow"]}))
        await client.raw_insert("t", ["a", "b"], b"5,raw\n", fmt="CSV")
        query = "SELECT a, b FROM t WHERE a >= {least:UInt64} ORDER BY a"
        rows = (await client.query(query, parameters={"least": 1})).result_rows
        assert rows == [(1, "ü'\\"), (2, ""), (3, "df"), (4, "arrow"), (5, "raw")]
        assert (await client.query_df(query, parameters={"least": 5})).to_dict("records") == [{"a": 5, "b": "raw"}]
        assert (await client.query_arrow(query, parameters={"least": 4})).column("a").to_pylist() == [4, 5]
        assert await client.raw_query("SELECT 1", fmt="CSV") == b"1\n"
        assert await client.command("SELECT count() FROM t") == 5
        items = [f"'{number}" for number in range(20_000)]
        long = await client.query("SELECT {items:Array(String)}", parameters={"items": items})
        assert long.first_row[0] == items

    run(embedded_url, work, compress=compress)


def test_streams_and_errors_in_them(embedded_url: str) -> None:
    async def work(client: Any) -> None:
        count = 0
        async with await client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
            async for block in blocks:
                count += len(block)
        assert count == 300_000
        failing = "SELECT throwIf(number = 4000000, 'on purpose') FROM numbers(5000000)"
        async with await client.query_row_block_stream(failing) as blocks:
            # The broken connection may reach the client before it has read the exception at the end of what came.
            with pytest.raises(StreamFailureError, match=r"on purpose|connection closed by server"):
                async for _ in blocks:
                    pass
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            await client.query("SELECT * FROM no_such_table")

    run(embedded_url, work)


def test_sixteen_at_once(embedded_url: str) -> None:
    async def work(client: Any) -> None:
        async def one(number: int) -> None:
            await client.insert("t", [[number, "x"]], column_names=["a", "b"])
            query = "SELECT b FROM t WHERE a = {n:UInt64}"
            assert (await client.query(query, parameters={"n": number})).result_rows == [("x",)]

        await asyncio.gather(*(one(number) for number in range(16)))
        assert await client.command("SELECT count() FROM t") == 16

    run(embedded_url, work)
