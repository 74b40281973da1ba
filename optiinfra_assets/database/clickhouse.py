"""Helpers that run the statements of ``sql/clickhouse/store`` through a client and convert connection errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error, OperationalError
from clickhouse_connect.driver.query import QueryResult

from optiinfra_assets.database import sql_files
from optiinfra_assets.database.errors import WarehouseUnavailable

FILE_SETTINGS: Final[dict[str, Any]] = {
    "date_time_output_format": "iso",
    "output_format_decimal_trailing_zeros": 0,
    # Null is an empty field and an empty string is "".
    "format_csv_null_representation": "",
    "output_format_parquet_compression_method": "zstd",
    # ClickHouse holds a row group in memory until it is full, and line items have many columns.
    "output_format_parquet_row_group_size": 100_000,
}
"""How ClickHouse writes files of rows."""
HELD_BACK_BYTES: Final = 20 * 1024
"""More than the block with an error, whose text ClickHouse cuts off at 16 KiB."""
_FAILED: Final = re.compile(rb"\r\n__exception__\r\n(\w{16})\r\n(.*)\d+ \1\r\n__exception__\r\n\Z", re.DOTALL)


def failure_at_end(end: bytes | bytearray) -> str | None:
    """Return ClickHouse's error at the end of an answer that it began well, None if there is none."""
    found = _FAILED.search(end)
    return found[2].decode("utf-8", "replace").strip() if found else None


def rows(
    client: Client,
    statement: str,
    values: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Run ``sql/clickhouse/store/<statement>`` under `settings` and return its rows by column name.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
    """
    return list(_answer(client, statement, values, settings).named_results())


def tuples(
    client: Client,
    statement: str,
    values: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
) -> Sequence[Sequence[Any]]:
    """Run ``sql/clickhouse/store/<statement>`` under `settings` and return its rows in the order of their columns.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
    """
    return _answer(client, statement, values, settings).result_rows


def _answer(
    client: Client, statement: str, values: dict[str, Any] | None, settings: dict[str, str] | None
) -> QueryResult:
    text = sql_files.read("clickhouse", "store", statement)
    with clickhouse_errors(client):
        return client.query(text, parameters=values, settings=settings)


def scalar(client: Client, statement: str, values: dict[str, Any] | None = None) -> Any:
    """Run ``sql/clickhouse/store/<statement>`` and return the first value of its first row.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
    """
    return tuples(client, statement, values)[0][0]


def run(client: Client, text: str, values: dict[str, Any] | None = None, **settings: int) -> None:
    """Run the statement `text`, which returns nothing.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
    """
    with clickhouse_errors(client):
        client.command(text, parameters=values, settings=dict(settings))


@contextmanager
def clickhouse_errors(client: Client) -> Iterator[None]:
    """Convert a lost connection to a one-line error that names the server; errors that the server returns are raised unchanged."""
    try:
        yield
    except OperationalError as error:
        if error.code is not None:
            raise
        raise WarehouseUnavailable(f"ClickHouse at {client.uri}: {reason(error)}: is it running?") from error


def reason(error: Error) -> str:
    """Return the reason of `error` in one line: the message of the server or of the network."""
    cause = error.__cause__
    deepest = getattr(cause, "reason", None) or cause or error
    text = str(deepest).splitlines()[0] if str(deepest) else type(deepest).__name__
    said = re.search(r"DB::Exception: (.*?)(?: \(for url .*)?$", text)
    return said[1] if said else re.sub(r"^HTTPS?Connection\(.*?\): ", "", text)


def matching(tables: Iterable[str]) -> str:
    """Return the pattern with which ``merge(currentDatabase(), ...)`` reads `tables` (names of ours) together.

    One statement over five small tables costs a third of five statements.
    """
    return f"^({'|'.join(tables)})$"
