"""Runs SELECT statements that callers wrote themselves, over the views of what is current, for one customer.

What stands between a statement and everything else, one behind the other:

- the customer filter of `warehouse.tenant_filter` belongs to the tables below the views, whatever the statement says;
- the statement is checked by the engine's own parser, see `syntax_tree`;
- the engine runs it read-only, so that it can change no setting and no row;
- no optimization of the plan is on. With them, ClickHouse evaluates conditions of the statement on rows that the filter has not removed
  yet: an error of such a condition would tell about the rows of others, and quote them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from enum import Enum
from typing import Any, Final

from cachetools import LRUCache
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import Error

from optiinfra_api.graphql.errors import InvalidArgument, as_api_error
from optiinfra_api.http.request_log import current_request, statement_id
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.stream import unbroken
from optiinfra_api.reading.syntax_tree import (
    VIEWS,
    StatementRefused,
    check_syntax,
    check_tables,
    names_of_with,
    refuse_table,
)
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.clickhouse import clickhouse_errors, reason
from optiinfra_assets.warehouse.warehouse import Warehouse

LONGEST: Final = 32 * 1024
"""Bytes that a statement may have."""

_CHECKED: Final = 512
_LINES_OF_TREE: Final = 1_000_000
_TABLES_NAMED: Final = sql_files.read("clickhouse", "store", "tables_named.sql")
_PLACE: Final = re.compile(r"failed at position \d+ .*?\(line (\d+), col (\d+)\)", re.DOTALL)

WALLS: Final = {
    "readonly": 1,
    "allow_ddl": 0,
    "query_plan_enable_optimizations": 0,
    "optimize_move_to_prewhere": 0,
    "use_query_condition_cache": 0,
}
_BOUNDS: Final = {
    # One of the machine's cores is left to everybody else.
    "max_threads": 1,
    "max_temporary_data_on_disk_size_for_query": 2**30,
    "max_ast_elements": 5_000,
    "max_expanded_ast_elements": 20_000,
    "max_subquery_depth": 20,
    "max_recursive_cte_evaluation_depth": 100,
}
_REMEDY: Final = f"Use one SELECT over {', '.join(VIEWS)}; see docs/bi.md."
# Codes of https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_REASONS: Final = {
    6: "a text is no value of the type it is converted to: use toInt64OrNull and the like",
    38: "a text is no date",
    41: "a text is no date",
    69: "a value is out of the bounds of its type",
    72: "a text is no number: use toFloat64OrNull and the like",
    125: "a subquery that stands for one value answers several rows",
    153: "division by zero: use nullIf",
    164: "SETTINGS is not accepted; nor is a user of ClickHouse whose profile has `readonly`, see docs/operations.md",
    407: "a decimal has more digits than its type",
}


class SqlFormat(Enum):
    """The format of an answer; the value is the name that clients use."""

    ARROW = "arrow"
    CSV = "csv"
    JSON = "json"


_FORMATS: Final = {SqlFormat.ARROW: "ArrowStream", SqlFormat.CSV: "CSVWithNames", SqlFormat.JSON: "JSONEachRow"}
_WRITTEN: Final = {
    "date_time_output_format": "iso",
    "output_format_decimal_trailing_zeros": 0,
    "format_csv_null_representation": "",
    "output_format_json_array_of_rows": 1,
    # JSON numbers would be read as floats.
    "output_format_json_quote_decimals": 1,
    "output_format_json_quote_64bit_integers": 0,
    # Functions such as `left` cut texts at bytes.
    "output_format_json_validate_utf8": 1,
    "output_format_arrow_string_as_string": 1,
}


class ViewReader:
    """Checks and runs statements over the views of one database. Belongs to one event loop."""

    def __init__(self, client: AsyncClient, warehouse: Warehouse, limits: QueryLimits) -> None:
        self._client = client
        self._warehouse = warehouse
        self._limits = limits
        self._settings: Mapping[str, Any] = _WRITTEN | limits.settings() | _BOUNDS | WALLS
        self._checked: LRUCache[str, None] = LRUCache(_CHECKED)

    async def check(self, customer_id: str, statement: str) -> None:
        """Check a statement, of which ClickHouse runs at most the subqueries that stand for one value.

        Raises:
            InvalidArgument: it is not accepted; the message says what, and what is accepted instead.
            TooExpensive: looking at it is over a limit.
            WarehouseUnavailable: ClickHouse does not answer.
        """
        if len(statement.encode()) > LONGEST or "\0" in statement:
            raise _refused(f"at most {LONGEST} bytes, without the character U+0000, are accepted")
        if statement in self._checked:
            return
        try:
            own = check_syntax(await self._explained("AST", customer_id, statement))
            if own:
                await self._check_own(own, customer_id, statement)
            check_tables(await self._explained("QUERY TREE", customer_id, statement), str(self._client.database))
        except StatementRefused as refused:
            raise _refused(str(refused)) from None
        self._checked[statement] = None

    async def _check_own(self, names: frozenset[str], customer_id: str, statement: str) -> None:
        """Check that `names` are subqueries of the statement, and that no table has such a name, before any of them is looked up.

        ClickHouse reads tables when it looks them up: a subquery that stands for one value is computed then.
        """
        of_with = names_of_with(await self._explained("QUERY TREE run_passes = 0", customer_id, statement))
        with clickhouse_errors(self._client):
            found = await self._client.query(_TABLES_NAMED, {"names": sorted(names)})
        for name in sorted(names - of_with) + [row[0] for row in found.result_rows]:
            raise refuse_table(name)

    async def _explained(self, what: str, customer_id: str, statement: str) -> str:
        own = self._warehouse.only(customer_id)
        settings = {**self._settings, **own, "max_result_rows": _LINES_OF_TREE, "query_id": statement_id()}
        try:
            with self._limits.said(), clickhouse_errors(self._client):
                answer: bytes = await self._client.raw_query(
                    f"EXPLAIN {what}\n{statement}",
                    settings=settings,
                    transport_settings={"X-ClickHouse-Format": "TSVRaw"},
                )
        except Error as error:
            if as_api_error(error):
                raise
            raise _refused(_REASONS.get(error.code or 0) or _line(reason(error))) from None
        current_request().statements["ClickHouse"] += 1
        return answer.decode("utf-8", "replace")

    @asynccontextmanager
    async def stream(self, customer_id: str, statement: str, form: SqlFormat) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the answer of a statement over the rows of one customer in chunks. Leaving the context early cancels it.

        Raises:
            InvalidArgument: as `check`; or the statement fails, which is said without a value of any row.
            TooExpensive: it is over a limit on time, memory or size.
            WarehouseUnavailable: ClickHouse does not answer.
            StreamInterrupted: at any chunk, if ClickHouse broke off the answer.
        """
        await self.check(customer_id, statement)
        query_id = statement_id()
        settings = {**self._settings, **self._warehouse.only(customer_id), "query_id": query_id}
        try:
            with self._limits.said(), clickhouse_errors(self._client):
                source = await self._client.raw_stream(statement, settings=settings, fmt=_FORMATS[form])
        except Error as error:
            if as_api_error(error):
                raise
            why = _REASONS.get(error.code or 0, f"it fails with ClickHouse's error {error.code}")
            raise _refused(why) from None
        current_request().statements["ClickHouse"] += 1
        async with source as chunks, aclosing(unbroken(chunks, query_id)) as whole:
            yield whole


def _line(said: str) -> str:
    """An error of the parser, with the line of the statement instead of ours before it."""
    return _PLACE.sub(lambda found: f"at line {int(found[1]) - 1}, column {found[2]}", said)


def _refused(why: str) -> InvalidArgument:
    return InvalidArgument(f"query: {why}", _REMEDY)
