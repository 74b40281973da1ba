"""Limits on what one statement may use of ClickHouse, and the error for a statement that would use more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from clickhouse_connect.driver.exceptions import Error

from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_assets.settings import Settings

ANSWER_ROWS = 100_000
ANSWER_BYTES = 64 * 2**20

_MEMORY = 241
_REMEDY = "Ask for a shorter period, fewer groups or a narrower filter."


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Limits on one statement.

    Attributes:
        seconds: wall-clock time.
        seconds_setting: the environment variable that sets `seconds`.
        memory: bytes of memory that ClickHouse may use for the statement.
        rows: rows of the answer.
        rows_setting: the environment variable that sets `rows`, None if none does.
        answer_bytes: bytes of the answer; 0: unlimited.
        memory_setting: the environment variable that sets `memory`.
    """

    seconds: int
    seconds_setting: str
    memory: int
    rows: int
    rows_setting: str | None = None
    answer_bytes: int = 0
    memory_setting: str = "OPTIINFRA_API_MAX_MEMORY"

    @classmethod
    def of_queries(cls, settings: Settings) -> QueryLimits:
        """For statements whose answer is held in memory."""
        return cls(
            settings.api_max_seconds,
            "OPTIINFRA_API_MAX_SECONDS",
            settings.api_max_memory,
            ANSWER_ROWS,
            answer_bytes=ANSWER_BYTES,
        )

    @classmethod
    def of_exports(cls, settings: Settings) -> QueryLimits:
        """For statements whose answer is streamed to the client."""
        return cls(
            settings.api_export_max_seconds,
            "OPTIINFRA_API_EXPORT_MAX_SECONDS",
            settings.api_max_memory,
            settings.api_export_max_rows,
            "OPTIINFRA_API_EXPORT_MAX_ROWS",
        )

    @classmethod
    def of_sql(cls, settings: Settings) -> QueryLimits:
        """For streamed statements of callers: the time of a query, a quarter of its memory, the rows of an export."""
        return replace(
            cls.of_exports(settings),
            seconds=settings.api_max_seconds,
            seconds_setting="OPTIINFRA_API_MAX_SECONDS",
            memory=settings.api_max_memory // 4,
            memory_setting="a quarter of OPTIINFRA_API_MAX_MEMORY",
        )

    def settings(self) -> dict[str, Any]:
        """The limits as ClickHouse settings. ClickHouse cancels a read-only statement when its client closes the connection."""
        return {
            "readonly": 2,
            "cancel_http_readonly_queries_on_client_close": 1,
            "max_execution_time": self.seconds,
            "max_memory_usage": self.memory,
            "max_result_rows": self.rows,
            "max_result_bytes": self.answer_bytes,
            "result_overflow_mode": "throw",
        }

    @contextmanager
    def said(self) -> Iterator[None]:
        """Turn ClickHouse's error about a limit into the error for the caller.

        Raises:
            TooExpensive: the statement is over a limit; the message names the limit and its value.
        """
        try:
            yield
        except Error as error:
            refusal = self.refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    def refusal(self, error: Error) -> TooExpensive | None:
        """The error for the caller, None if `error` is not about one of our limits."""
        if error.code == _MEMORY and "(total)" in str(error):
            return None  # the limit of the whole server, which the caller need not know
        # https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
        said = {
            158: "the line items that one statement may read",
            159: f"the time of one statement, {self.seconds} s ({self.seconds_setting})",
            160: f"the time of one statement, {self.seconds} s ({self.seconds_setting})",
            _MEMORY: f"the memory of one statement, {mebibytes(self.memory)} ({self.memory_setting})",
            396: self._answer(),
        }.get(error.code or 0)
        return None if said is None else TooExpensive(f"over the limit on {said}", _REMEDY)

    def _answer(self) -> str:
        rows = f"the size of one answer, {self.rows} rows"
        if self.rows_setting:
            return f"{rows} ({self.rows_setting})"
        return f"{rows} or {mebibytes(self.answer_bytes)}"


def mebibytes(size: int) -> str:
    """``4096 MiB``."""
    return f"{size // 2**20} MiB"
