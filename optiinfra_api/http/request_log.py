"""What is known of each request while it runs, and what becomes of it: one line in the log, and the counters of `metrics`.

`RequestLogMiddleware` wraps the application and begins a `RequestRecord`; whoever learns something of the request writes it into
`current_request()`."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optiinfra_api.http.http_metrics import Metrics

LOG = logging.getLogger("optiinfra_api.requests")
CORRELATION_HEADER = "X-Correlation-Id"
CLIENT_GONE = 499

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_QUIET = frozenset({"healthz", "readyz", "metrics"})


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes:
        endpoint: first part of its path, of those there are; others are ``other``.
        correlation_id: names it in the log and in its answer.
        token_id: whose token asked, None before that is known or if nobody's.
        customer_id: whose data were asked for, None if no customer's.
        operation: name that the client gave its operation.
        kind: query, mutation or subscription; None before it is known.
        names: of the fields that were asked for, in the answer -> in the schema.
        outcomes: of each field (or export) that was asked for, ``ok``, the code of its error, ``CLIENT_GONE`` or ``BROKEN``.
        task_id: the collection that it started.
        rows: rows that ClickHouse answered; None for an export, whose rows are not counted.
        statements: how many were answered by ``ClickHouse``, and how many from ``memory``, of what it had answered before.
        sent: bytes of the answer's body.
        status: of HTTP; 499 if the client left.
        codes: of all errors that were answered.
    """

    endpoint: str = "other"
    correlation_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    token_id: str | None = None
    customer_id: str | None = None
    operation: str | None = None
    kind: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    task_id: str | None = None
    rows: int | None = 0
    statements: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    status: int = 500
    codes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def end_all(self, outcome: str) -> None:
        """Say that everything that was asked for ended so."""
        self.outcomes = dict.fromkeys(self.outcomes, outcome)

    def count_rows(self, rows: int) -> None:
        """Add rows that were read, unless they are not counted."""
        if self.rows is not None:
            self.rows += rows

    def facts(self) -> dict[str, Any]:
        """What the log says of it."""
        return {
            "endpoint": self.endpoint,
            "status": self.status,
            "ms": round(self.seconds * 1000, 1),
            "token_id": self.token_id,
            "customer": self.customer_id,
            "operation": self.operation,
            "outcomes": self.outcomes,
            "task_id": self.task_id,
            "rows": self.rows,
            "statements": self.statements,
            "bytes": self.sent,
        }


_current: ContextVar[RequestRecord | None] = ContextVar("request", default=None)


def current_request() -> RequestRecord:
    """The request that is being answered; outside of any, one that nobody looks at."""
    return _current.get() or RequestRecord()


def correlation_id() -> str | None:
    """Of the request that is being answered, None outside of any."""
    record = _current.get()
    return record.correlation_id if record else None


def statement_id() -> str:
    """A query id for a statement of ClickHouse that begins with the request's correlation id: its log and ours find each other."""
    return f"{current_request().correlation_id}.{uuid.uuid4().hex[:8]}"


class RequestLogMiddleware:
    """An ASGI application whose requests are counted and logged."""

    def __init__(self, app: ASGIApp, metrics: Metrics, endpoints: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(self._endpoint(scope), _correlation_id(Headers(scope=scope)))

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)[CORRELATION_HEADER] = record.correlation_id
            else:
                record.sent += len(message.get("body", b""))
            await send(message)

        before = _current.set(record)
        try:
            with self._metrics.under_way(record.endpoint):
                await self._app(scope, receive, observed)
        finally:
            _current.reset(before)
            self._finish(record)

    def _endpoint(self, scope: Scope) -> str:
        first: str = scope["path"].lstrip("/").partition("/")[0]
        return first if first in self._endpoints else "other"

    def _finish(self, record: RequestRecord) -> None:
        self._metrics.count(record.endpoint, record.seconds, record.outcomes, record.codes, record.statements)
        level = logging.DEBUG if record.endpoint in _QUIET and record.status < 500 else logging.INFO
        extra = {"facts": record.facts(), "correlation_id": record.correlation_id}
        LOG.log(level, "%s answered %d", record.endpoint, record.status, extra=extra)


def _correlation_id(headers: Headers) -> str:
    """The client's own if it is well-formed: it must not forge lines of a log, nor carry a token of ours into ClickHouse's."""
    for name in (CORRELATION_HEADER, "X-Request-Id"):
        given = headers.get(name, "")
        if _ACCEPTED_ID.fullmatch(given) and "oi_" not in given:
            return given
    return uuid.uuid4().hex
