"""What all requests share: the engine, the running statements and the credentials."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from optiinfra_assets.embedded.clickhouse.engine import ChdbEngine
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.http import HttpConnection, HttpRequest
from optiinfra_assets.embedded.clickhouse.request import RequestHandler
from optiinfra_assets.embedded.clickhouse.running import RunningStatements
from optiinfra_assets.embedded.clickhouse.streams import StatementStreams

USER_VARIABLE = "OPTIINFRA_CLICKHOUSE_USER"
PASSWORD_VARIABLE = "OPTIINFRA_CLICKHOUSE_PASSWORD"  # noqa: S105 - the variable's name
logger = logging.getLogger("optiinfra.clickhouse")
ALIVE_PATHS = ("/", "/ping", "/replicas_status")


@dataclass(frozen=True, slots=True)
class ServerCredentials:
    """User and password that every request must send; an empty password is none, and nobody is served without one."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls) -> Self:
        """Read OPTIINFRA_CLICKHOUSE_USER (default ``default``) and OPTIINFRA_CLICKHOUSE_PASSWORD."""
        return cls(os.environ.get(USER_VARIABLE, "default"), os.environ.get(PASSWORD_VARIABLE, ""))

    def accept(self, user: str, password: str) -> bool:
        """Whether both are right, compared in constant time."""
        right_user = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(password.encode(), self.password.encode()) and right_user


class RequestDispatcher:
    """Handles the requests of all connections."""

    def __init__(self, engine: ChdbEngine, spool: Path, credentials: ServerCredentials) -> None:
        self.spool = spool
        self.engine = engine
        self.streams = StatementStreams(engine, spool)
        self.watch = RunningStatements(engine.kill)
        self._credentials = credentials

    def answer(self, connection: HttpConnection, request: HttpRequest) -> None:
        """Handle one request.

        Raises:
            ClickHouseError: an error after the response had begun: break the connection.
            ConnectionError: the client has disconnected.
        """
        if request.method in ("GET", "HEAD") and "query=" not in request.query:
            found = request.path in ALIVE_PATHS
            body = b"Ok.\n" if found else b"There is no handle " + request.path.encode() + b"\n"
            headers = {"Content-Type": "text/plain; charset=UTF-8"}
            connection.send(200 if found else 404, headers, b"" if request.method == "HEAD" else body)
        else:
            exchange = RequestHandler(self, connection, request)
            try:
                with self.watch.exchange():
                    exchange.run()
            except ClickHouseError as error:
                message = "the statement %s failed in the middle of its answer: %s"
                logger.warning(message, exchange.query_id, error.text)
                raise

    def authenticate(self, request: HttpRequest, params: Mapping[str, str]) -> None:
        """Check the credentials of a request.

        Raises:
            ClickHouseError: 516; HTTP status 401 if no credentials were sent, 403 if they are wrong.
        """
        shown = _shown_credentials(request, params)
        if shown and self._credentials.accept(*shown):
            return
        message = "Authentication failed: password is incorrect, or there is no user with such name."
        raise ClickHouseError.make(516, message, "AUTHENTICATION_FAILED", 403 if shown else 401)


def _shown_credentials(request: HttpRequest, params: Mapping[str, str]) -> tuple[str, str] | None:
    """User and password of a request, from the first of the places where a ClickHouse server looks."""
    headers = request.headers
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        shown = headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
        user, password = (text.encode("latin-1").decode("utf-8", "replace") for text in shown)
        return user, password
    if "user" in params or "password" in params:
        return params.get("user", "default"), params.get("password", "")
    return None
