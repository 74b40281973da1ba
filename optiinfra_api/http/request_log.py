"""Records each request while it runs; at its end, writes one line to the log and counts it in `http_metrics.Metrics`.

`RequestLogMiddleware` wraps the application and begins a `RequestRecord`; other code adds to it through `current_request()`."""

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
    """What is known of one request.

    Attributes:
        endpoint: first part of the path if there is such an endpoint or page, ``overview`` for the first page, else ``other``.
        correlation_id: identifies the request in the log and in its answer.
        token_id: the token of the request; None until it is authenticated, or if it never is.
        customer_id: the customer whose data were asked for, None if no customer's.
        operation: name that the client gave its operation.
        kind: query, mutation or subscription; None before it is known.
        names: name in the answer -> name in the schema, of the root fields.
        outcomes: of each root field (or export): ``ok``, the code of its error, ``CLIENT_GONE`` or ``BROKEN``.
        task_id: the collection that the request started.
        rows: rows that ClickHouse answered; None for an export, whose rows are not counted.
        statements: how many ``ClickHouse`` answered, and how many came from ``memory``, the cache of its earlier answers.
        sent: bytes of the answer's body.
        status: HTTP status; 499 if the client disconnected.
        codes: codes of all errors that were answered.
        began: when the request began, in seconds of the monotonic clock.
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
        """Seconds since the request began."""
        return time.monotonic() - self.began

    def end_all(self, outcome: str) -> None:
        """Set the outcome of every field or export of the request."""
        self.outcomes = dict.fromkeys(self.outcomes, outcome)

    def count_rows(self, rows: int) -> None:
        """Add rows that were read, unless the rows of this request are not counted."""
        if self.rows is not None:
            self.rows += rows

    def facts(self) -> dict[str, Any]:
        """The facts of the request for the log."""
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
    """The record of the request that is being answered; outside of a request, a new record that nobody reads."""
    return _current.get() or RequestRecord()


def correlation_id() -> str | None:
    """The correlation id of the request that is being answered, None outside of a request."""
    record = _current.get()
    return record.correlation_id if record else None


def statement_id() -> str:
    """A query id for a ClickHouse statement. It begins with the request's correlation id, which links ClickHouse's log to ours."""
    return f"{current_request().correlation_id}.{uuid.uuid4().hex[:8]}"


class RequestLogMiddleware:
    """ASGI middleware that counts and logs requests."""

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
        return (first or "overview") if first in self._endpoints else "other"

    def _finish(self, record: RequestRecord) -> None:
        self._metrics.count(record.endpoint, record.seconds, record.outcomes, record.codes, record.statements)
        level = logging.DEBUG if record.endpoint in _QUIET and record.status < 500 else logging.INFO
        extra = {"facts": record.facts(), "correlation_id": record.correlation_id}
        LOG.log(level, "%s answered %d", record.endpoint, record.status, extra=extra)


def _correlation_id(headers: Headers) -> str:
    """The client's own id if it is well-formed, else a new one: it must not forge log lines, nor carry our token into ClickHouse's log."""
    for name in (CORRELATION_HEADER, "X-Request-Id"):
        given = headers.get(name, "")
        if _ACCEPTED_ID.fullmatch(given) and "oi_" not in given:
            return given
    return uuid.uuid4().hex
