"""Handles one HTTP request: reads its statement, runs it on the engine and writes the response."""

from __future__ import annotations

import re
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any, Protocol

from optiinfra_assets.embedded.clickhouse.engine import ChdbEngine, PooledConnection
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.http import HttpConnection, HttpRequest, form_fields
from optiinfra_assets.embedded.clickhouse.reply import Finish, ResponseWriter
from optiinfra_assets.embedded.clickhouse.running import RunningStatements
from optiinfra_assets.embedded.clickhouse.statements import (
    InsertStatement,
    first_words,
    split_insert,
    split_query,
)
from optiinfra_assets.embedded.clickhouse.streams import StatementStreams, summary_of

# Parameters of the HTTP interface, and settings that only a server understands.
TRANSPORT_PARAMS = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "log_comment",
        "password",
        "query",
        "query_id",
        "quota_key",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
PROGRESS_PARAM = "http_headers_progress_interval_ms"
STREAMED_WORDS = frozenset({b"SELECT", b"WITH", b"FROM", b"("})
SPOOL_AFTER = 32 * 1024 * 1024
# Enough bytes for a statement and the beginning of its rows; max_query_size, ClickHouse's own limit for a statement, is the same.
HEAD_BYTES = 256 * 1024
_QUERY_ID = re.compile(rb"\bquery_id\b")


class ServerContext(Protocol):
    """What all requests of a server share.

    Attributes:
        spool: directory for data that do not fit into memory.
    """

    engine: ChdbEngine
    streams: StatementStreams
    watch: RunningStatements
    spool: Path

    def authenticate(self, request: HttpRequest, params: Mapping[str, str]) -> None:
        """Check the credentials of a request.

        Raises:
            ClickHouseError: the request is refused.
        """


class RequestHandler:
    """Handles one request, its statement and its response."""

    def __init__(self, server: ServerContext, connection: HttpConnection, request: HttpRequest) -> None:
        self._server = server
        self._connection = connection
        self._request = request
        self._params: dict[str, str] = {}
        self._cancellable = False
        self._last_sign = time.monotonic()
        self.query_id = str(uuid.uuid4())
        self.tag = ""
        self._reply = ResponseWriter(connection, request, {}, self.query_id)

    def run(self) -> None:
        """Read the statement, run it and respond.

        Raises:
            ClickHouseError: an error after the response had begun: break the connection.
            ConnectionError: the client has disconnected.
        """
        try:
            self._params = self._request.params()
            self.query_id = self._params.get("query_id") or self.query_id
            self._reply = ResponseWriter(self._connection, self._request, self._params, self.query_id)
            self._server.authenticate(self._request, self._params)
            self._execute()
            self._connection.drain(self._request)
        except ConnectionError:
            raise
        except OSError as error:
            message = f"Cannot spool the request or its answer: {error}"
            self._reply.fail(ClickHouseError.make(243, message, "NOT_ENOUGH_SPACE"))
        except ClickHouseError as error:
            self._reply.fail(error)

    def look(self, now: float) -> bool:
        """Called while the statement runs: returns whether to cancel it because its client left; sends waiting clients progress."""
        if not self._request.complete:
            return False
        if self._connection.is_closed():
            if self._reply.begun:
                self._connection.abandon()
            return self._cancellable
        if self._reply.begun:
            return False
        if self._params.get("send_progress_in_http_headers") == "1":
            seconds = float(self._params.get(PROGRESS_PARAM, "1000")) / 1000
            if now - self._last_sign > seconds:
                self._last_sign = now
                with suppress(OSError):
                    self._connection.progress('X-ClickHouse-Progress: {"read_rows":"0"}')
        return False

    def _refuse_unsupported(self) -> None:
        if self._params.get("session_id"):
            message = (
                "Sessions are not supported here: send no session_id"
                " (clickhouse-connect sends one unless it is given autogenerate_session_id=False)"
            )
            raise ClickHouseError.make(48, message, "NOT_IMPLEMENTED")
        for name in ("compress", "decompress"):
            if self._params.get(name) == "1":
                message = f"{name}=1, ClickHouse's block format, is not supported here: use Content-Encoding"
                raise ClickHouseError.make(48, message, "NOT_IMPLEMENTED")
        interval = self._params.get(PROGRESS_PARAM, "1000")
        if not interval.isdecimal():
            message = f"{PROGRESS_PARAM}: {interval!r} is not accepted: use whole milliseconds"
            raise ClickHouseError.make(36, message, "BAD_ARGUMENTS")

    def _execute(self) -> None:
        body = self._connection.body(self._request)
        content_type = self._request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            self._params |= form_fields(content_type, b"".join(body))
            body = iter(())
        self._refuse_unsupported()
        head = self._params.get("query", "").encode()
        insert = split_insert(head)
        if insert is None:
            head = _read_head(head, body)
            insert = split_insert(head)
        words = first_words(head)
        database = self._params.get("database") or self._request.headers.get("x-clickhouse-database", "")
        with tempfile.SpooledTemporaryFile(SPOOL_AFTER, dir=str(self._server.spool)) as spool:
            with self._server.engine.lease(database, self._settings()) as handle:
                self.tag = handle.tag
                with self._server.watch.running(self):
                    if insert:
                        finish = self._insert(handle, insert, head, body)
                    else:
                        finish = self._query(handle, words, head + b"".join(body), spool)
            # Free the query id before the client reads the end of the response: the client may use the id again at once.
            finish()

    def _settings(self) -> dict[str, str]:
        settings = {
            name: value
            for name, value in self._params.items()
            if name not in TRANSPORT_PARAMS and not name.startswith("param_")
        }
        if self._request.method == "GET":  # as the server does: a link must not change anything
            settings.setdefault("readonly", "2")
        return settings

    def _bound(self) -> dict[str, str]:
        return {name[6:]: value for name, value in self._params.items() if name.startswith("param_")}

    def _insert(self, handle: PooledConnection, insert: InsertStatement, head: bytes, body: Iterator[bytes]) -> Finish:
        if insert.input_format == "Values" and len(head) < HEAD_BYTES:
            # ClickHouse stops reading VALUES at a semicolon and would not report what follows it.
            _refuse_many(handle.classify(head))
        rows = chain([insert.rows], body) if insert.rows else body
        result = self._server.streams.insert(handle, insert, self._bound(), rows)
        return self._reply.whole(b"", summary_of(result), None)

    def _query(self, handle: PooledConnection, words: tuple[bytes, bytes], sql: bytes, spool: IO[bytes]) -> Finish:
        found = handle.classify(sql)
        _refuse_many(found)
        query_class = found["query_class"].name
        self._cancellable = query_class == "READ_ONLY"
        # CONTROL statements are SET, USE, temporary tables and the like: the next request must not see their effects.
        handle.reusable = query_class != "CONTROL"
        if words == (b"KILL", b"QUERY"):
            sql = _QUERY_ID.sub(self._server.watch.query_id_expression().encode(), sql)
        answer = split_query(sql)
        wanted = self._params.get("default_format") or self._request.headers.get("x-clickhouse-format")
        form = answer.output_format or wanted or "TabSeparated"
        if self._cancellable and words[0] in STREAMED_WORDS and not answer.to_file:
            summary: dict[str, int] = {}
            with closing(self._server.streams.select(handle, answer, form, self._bound(), summary)) as pieces:
                return self._reply.rows(pieces, summary, form, spool)
        result = handle.run(sql, form, self._bound())
        rows = result.bytes()
        return self._reply.whole(rows, summary_of(result), form if rows or self._cancellable else None)


def _read_head(begun: bytes, body: Iterator[bytes]) -> bytes:
    """Read enough of a statement to classify it; read all of it unless rows follow."""
    head = begun + b"\n" if begun else b""
    for chunk in body:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head


def _refuse_many(found: Mapping[str, Any]) -> None:
    if found["statement_count"] > 1:
        raise ClickHouseError.make(62, "Syntax error (Multi-statements are not allowed)", "SYNTAX_ERROR")
