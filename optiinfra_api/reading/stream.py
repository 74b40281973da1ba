"""Runs statements of ``sql/clickhouse/exports`` and streams their answers as ClickHouse writes them, in constant memory.

A statement may fail after part of its answer has been sent. ClickHouse then writes the error after the rows and breaks the connection.
The last kilobytes are held back until the answer has ended well, so that the error never reaches the client as if it were data.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from enum import Enum
from typing import Any

from aiohttp import ClientError
from clickhouse_connect.driver.asyncclient import AsyncClient

from optiinfra_api.http.request_log import statement_id
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_assets.database.clickhouse import FILE_SETTINGS, HELD_BACK_BYTES, clickhouse_errors, failure_at_end
from optiinfra_assets.warehouse.warehouse import Warehouse

CHUNK_BYTES = 256 * 1024

_PARAMETER = re.compile(r"\{(\w+):")


class ExportFormat(Enum):
    """The file format of an export; the value is the file extension."""

    CSV = "csv"
    PARQUET = "parquet"


FORMATS = {ExportFormat.CSV: "CSVWithNames", ExportFormat.PARQUET: "Parquet"}


class StreamInterrupted(Exception):
    """ClickHouse broke off an answer before its end."""


class ExportStreamer:
    """Streams answers of one database as bytes. Belongs to one event loop."""

    def __init__(self, client: AsyncClient, warehouse: Warehouse, limits: QueryLimits) -> None:
        self._client = client
        self._warehouse = warehouse
        self._settings = FILE_SETTINGS | limits.settings()
        self._limits = limits

    @asynccontextmanager
    async def stream(
        self, text: str, form: ExportFormat, values: dict[str, Any]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the answer of the statement `text`, of ``sql/clickhouse/exports``, in chunks; `values` may hold more than it binds.

        ClickHouse itself shows the statement only the rows of the customer in `values`; see `warehouse.tenant_filter`.
        Errors that ClickHouse reports before it has written much are raised here. Leaving the context early cancels the statement.

        Raises:
            KeyError: `values` name no customer, or lack a parameter of the statement.
            WarehouseUnavailable: ClickHouse does not answer.
            TooExpensive: the statement is over a limit on time, memory or size.
            StreamInterrupted: at any chunk, if ClickHouse broke off the answer.
        """
        bound = {name: values[name] for name in _parameters(text)}
        query_id = statement_id()
        settings = self._settings | self._warehouse.only(values["customer_id"]) | {"query_id": query_id}
        with self._limits.said(), clickhouse_errors(self._client):
            source = await self._client.raw_stream(text, parameters=bound, settings=settings, fmt=FORMATS[form])
        async with source as chunks, aclosing(unbroken(chunks, query_id)) as whole:
            yield whole


async def unbroken(chunks: AsyncIterator[bytes], query_id: str) -> AsyncGenerator[bytes, None]:
    """Join `chunks` to a size worth sending, and hold back the last bytes until the answer has ended well."""
    held = bytearray()
    try:
        async for chunk in chunks:
            held += chunk
            if len(held) >= CHUNK_BYTES + HELD_BACK_BYTES:
                yield bytes(held[:-HELD_BACK_BYTES])
                del held[:-HELD_BACK_BYTES]
    except ClientError as error:
        # When the connection breaks, the client drops what it has not handed on, sometimes with ClickHouse's error in it.
        raise StreamInterrupted(
            failure_at_end(held) or f"the connection to ClickHouse broke: {error}; {_see(query_id)}"
        ) from None
    if said := failure_at_end(held):
        raise StreamInterrupted(said)
    if held:
        yield bytes(held)


def _see(query_id: str) -> str:
    return f"ClickHouse's log and system.query_log may tell why, under the query id {query_id}"


def _parameters(text: str) -> Iterable[str]:
    return dict.fromkeys(_PARAMETER.findall(text))
