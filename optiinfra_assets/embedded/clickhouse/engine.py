"""The one chDB engine of the process and its pool of connections (handles).

A chDB connection is a ClickHouse session: it runs one statement at a time and remembers `USE` and `SET`. The pool therefore keeps
connections by database and settings, and does not reuse one that a statement may have changed.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

os.environ["TZ"] = "UTC"  # the engine reads the machine's time zone only once, when it is loaded

import chdb
from chdb import ChdbError

from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")

# Half of the machine's memory at most: PostgreSQL, Dagster and the API run beside the engine. By default each cache may grow to 5 GB.
# Files of a dropped table go at once instead of after 8 minutes: databases of tests and rebuilt tables would fill the disk.
SERVER_SETTINGS = {
    "max_server_memory_usage_to_ram_ratio": "0.5",
    "mark_cache_size": "536870912",
    "primary_index_cache_size": "536870912",
    "database_atomic_delay_before_drop_table_sec": "0",
    # BACKUP may write, and RESTORE read, wherever this process may; so may INTO OUTFILE and file().
    "backups.allowed_path": "/",
}
# Here chDB differs from a server: inserts must be on disk when they are acknowledged; `1 + 1` alone is not a query.
HANDLE_SETTINGS = {"async_insert": "0", "implicit_select": "0", "allow_introspection_functions": "0"}
IDLE_HANDLES = 64

Key = tuple[str, tuple[tuple[str, str], ...]]


def quote(text: str) -> str:
    """Return `text` as a ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(text: str) -> str:
    """Return `text` as a ClickHouse identifier."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


class PooledConnection:
    """One chDB connection, which one request uses at a time.

    Attributes:
        tag: `log_comment` of every statement on this connection; we find statements by it, because chDB chooses query ids itself.
        reusable: False once a statement may have changed the session, or has failed.
    """

    def __init__(self, path: Path, key: Key, tag: str) -> None:
        self.key = key
        self.tag = tag
        self.reusable = True
        self.connection: Any = chdb.connect(str(path))  # chDB's type hints omit that it accepts bytes
        database, settings = key
        try:
            if database:
                self.run(f"USE {quote_name(database)}")
            self._set({**HANDLE_SETTINGS, "log_comment": tag, **dict(settings)})
        except BaseException:
            self.close()
            raise

    def run(
        self, sql: str | bytes, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Any:
        """Run one statement and return chDB's complete result.

        Raises:
            ClickHouseError: the statement failed; carries ClickHouse's error code.
        """
        try:
            return self.connection.query(sql, output_format, params=dict(params or {}))
        except (ChdbError, RuntimeError) as error:
            raise ClickHouseError.of(error) from None

    def _set(self, settings: Mapping[str, str]) -> None:
        for name in settings:
            if not _NAME.fullmatch(name):
                raise ClickHouseError.make(115, f"Unknown setting {name!r}", "UNKNOWN_SETTING")
        self.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))

    def classify(self, sql: bytes) -> dict[str, Any]:
        """Parse a text with ClickHouse's parser without running it; returns `query_class` and `statement_count` among others."""
        found: dict[str, Any] = self.connection._conn.classify_query(sql)
        return found

    def close(self) -> None:
        """Close the chDB connection."""
        self.connection.close()


class _Killer:
    """Cancels statements by their connections' tags; requests that arrive together share one KILL.

    A KILL takes milliseconds, and when a client dies all its statements must be cancelled at once.
    """

    def __init__(self, open_handle: Callable[[], PooledConnection]) -> None:
        self._open_handle = open_handle
        self._running = threading.Lock()
        self._asking = threading.Lock()
        self._asked: dict[str, Future[bool]] = {}

    def kill(self, tags: Collection[str]) -> set[str]:
        """Cancel by tags; return the tags under which a statement ran and is now cancelled."""
        with self._asking:
            answers = {tag: self._asked.setdefault(tag, Future()) for tag in tags}
        with self._running:
            with self._asking:
                asked, self._asked = self._asked, {}
            seen: set[str] = set()
            if asked:
                with suppress(ClickHouseError):  # the engine has no memory for it, for instance: the caller asks again
                    seen = self._kill_all(asked)
            for tag, answer in asked.items():
                answer.set_result(tag in seen)
        return {tag for tag, answer in answers.items() if answer.result()}

    def _kill_all(self, tags: Collection[str]) -> set[str]:
        tagged = f"Settings['log_comment'] IN ({', '.join(map(quote, tags))})"
        with closing(self._open_handle()) as handle:
            running = f"SELECT Settings['log_comment'] FROM system.processes WHERE {tagged}"  # noqa: S608 - our own tags
            seen = set(handle.run(running).data().split())
            handle.run(f"KILL QUERY WHERE {tagged} ASYNC")
        return seen


class ChdbEngine:
    """chDB on one directory. Safe for any number of threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[PooledConnection] = []
        self._numbers = itertools.count()
        start = "&".join(f"{name}={value}" for name, value in SERVER_SETTINGS.items())
        self._first = chdb.connect(f"{path}?{start}")
        self._killer = _Killer(lambda: self._open(("", ())))

    @contextmanager
    def lease(self, database: str, settings: Mapping[str, str]) -> Iterator[PooledConnection]:
        """Lease a connection for one request; it returns to the pool afterwards if it is still reusable.

        Raises:
            ClickHouseError: unknown database or setting.
        """
        key = database, tuple(sorted(settings.items()))
        handle = self._take(key) or self._open(key)
        try:
            yield handle
        except BaseException:
            # After an error chDB hands the unread output of the failed query to the next query on the same connection.
            handle.reusable = False
            raise
        finally:
            self._give_back(handle)

    def kill(self, tags: Collection[str]) -> set[str]:
        """Cancel what the connections with these tags run; return the tags of those that ran something."""
        return self._killer.kill(tags)

    def version(self) -> str:
        """Return ClickHouse's version."""
        with self.lease("", {}) as handle:
            version: str = handle.run("SELECT version()").data().strip()
        return version

    def _open(self, key: Key) -> PooledConnection:
        return PooledConnection(self._path, key, f"handle-{next(self._numbers)}")

    def _take(self, key: Key) -> PooledConnection | None:
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index].key == key:
                    return self._idle.pop(index)
        return None

    def _give_back(self, handle: PooledConnection) -> None:
        closing: PooledConnection | None = handle
        if handle.reusable:
            with self._lock:
                self._idle.append(handle)
                closing = self._idle.pop(0) if len(self._idle) > IDLE_HANDLES else None
        if closing:
            closing.close()
