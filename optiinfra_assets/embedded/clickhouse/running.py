"""Watches running statements: finds them by the client's query id, detects disconnected clients, sends progress to waiting clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from optiinfra_assets.embedded.clickhouse.engine import quote
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError

LOOK_SECONDS = 0.2
MAX_STATEMENTS = 100


class RunningStatement(Protocol):
    """A statement that runs."""

    @property
    def query_id(self) -> str:
        """The client's query id."""

    @property
    def tag(self) -> str:
        """`log_comment` of its connection."""

    def look(self, now: float) -> bool:
        """Do what is due at `now` (monotonic seconds), quickly; return whether to cancel the statement."""


class RunningStatements:
    """All running statements. Safe for any number of threads."""

    def __init__(self, kill: Callable[[Collection[str]], object]) -> None:
        """`kill` cancels statements by their tags."""
        self._kill = kill
        self._lock = threading.Lock()
        self._running: dict[str, RunningStatement] = {}
        self._exchanges = 0
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    @contextmanager
    def running(self, statement: RunningStatement) -> Iterator[None]:
        """Watch `statement` while the context is open.

        Raises:
            ClickHouseError: another running statement has its query id, or too many statements run.
        """
        query_id = statement.query_id
        with self._lock:
            if query_id in self._running:
                message = f"Query with id = {query_id} is already running."
                raise ClickHouseError.make(216, message, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING")
            if len(self._running) >= MAX_STATEMENTS:
                message = f"Too many simultaneous queries: {MAX_STATEMENTS} run already."
                raise ClickHouseError.make(202, message, "TOO_MANY_SIMULTANEOUS_QUERIES")
            self._running[query_id] = statement
        try:
            yield
        finally:
            with self._lock:
                del self._running[query_id]

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Count a request from its head to the end of its response."""
        with self._lock:
            self._exchanges += 1
        try:
            yield
        finally:
            with self._lock:
                self._exchanges -= 1

    def exchanges(self) -> int:
        """How many requests are being handled."""
        return self._exchanges

    def query_id_expression(self) -> str:
        """SQL over system.processes that returns the client's query id, where column `query_id` holds chDB's own."""
        with self._lock:
            names = {statement.tag: query_id for query_id, statement in self._running.items()}
        tags = ", ".join(map(quote, names))
        query_ids = ", ".join(map(quote, names.values()))
        return f"transform(Settings['log_comment'], [{tags}], [{query_ids}], query_id)"

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            # Hold the lock so that no statement ends meanwhile: its connection would already run a statement of another client.
            with self._lock:
                given_up = [statement.tag for statement in self._running.values() if statement.look(now)]
                if given_up:
                    self._kill(given_up)
