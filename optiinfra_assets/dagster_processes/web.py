"""Dagster's web interface as an ASGI application, to be served behind a sign-in.

It takes from the ASGI scope whether a request may change anything; if nothing is said, it may not. Of what dagster-webserver 1.13
answers, three things are left out. GraphQL by GET would let any page start a mutation by a link; it goes by POST only. Notebooks would be
read from any path of this machine. Events about assets are reported by our runs alone, so nobody may post them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from optiinfra_assets.settings import Settings

MAY_CHANGE: Final = "optiinfra.may_change"
"""Key of an ASGI scope: whether the request may change anything. The sign-in before this application sets it."""

_LEFT_OUT: Final = ("/notebook", "/dagit", "/report_asset_")
_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _CONNECTIONS = 15_000, 3600, 20


def create_app() -> Starlette:
    """Make the application for DAGSTER_HOME, or ``dagster`` in the home of our settings; it closes its connections when it shuts down."""
    folder = Path(os.environ.get("DAGSTER_HOME") or Settings().home / "dagster")
    opened = ExitStack()
    instance = opened.enter_context(DagsterInstance.from_config(str(folder)))
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _CONNECTIONS)
    target = WorkspaceFileTarget([str(folder / "workspace.yaml")])
    workspace = opened.enter_context(_Workspace(instance, target, version=__version__))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with opened:
            yield

    return _WebInterface(workspace).create_asgi_app(lifespan=lifespan)


class _Workspace(WorkspaceProcessContext):
    """Dagster's workspace, in which each request has the permissions of who sent it."""

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        """Make the context of a request; `source` is its connection."""
        return WorkspaceRequestContext(
            instance=self.instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
            read_only=not (isinstance(source, HTTPConnection) and _may_change(source)),
        )


class _WebInterface(DagsterWebserver[_Workspace, WorkspaceRequestContext]):
    def build_routes(self) -> list[BaseRoute]:
        """Dagster's routes, without those that are left out."""
        every: list[BaseRoute] = super().build_routes()  # type: ignore[no-untyped-call]
        return [route for route in every if not getattr(route, "path", "").startswith(_LEFT_OUT)]

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Answer GraphQL by POST; a GET only gets the page on which a person writes queries."""
        if request.method != "POST" and "text/html" not in request.headers.get("accept", ""):
            return _refused(HTTPStatus.METHOD_NOT_ALLOWED, "send GraphQL by POST, as JSON")
        answer: Response = await super().graphql_http_endpoint(request)
        return answer

    async def execute_graphql_request(
        self, request: Request, query: str, variables: dict[str, Any] | None, operation_name: str | None
    ) -> JSONResponse:
        """Refuse mutations whose sender may change nothing: Dagster's own permissions do not cover every one."""
        if not _may_change(request) and _operations(query) - {OperationType.QUERY}:
            return _refused(HTTPStatus.FORBIDDEN, "you may look at everything here and change nothing")
        return await super().execute_graphql_request(request, query, variables, operation_name)

    async def execute_graphql_subscription(
        self,
        websocket: Any,
        operation_id: str,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> Any:
        """Refuse everything but subscriptions on a WebSocket."""
        if _operations(query) - {OperationType.SUBSCRIPTION}:
            return None, GraphQLError("only subscriptions go over a WebSocket").formatted
        return await super().execute_graphql_subscription(websocket, operation_id, query, variables, operation_name)


def _may_change(connection: HTTPConnection) -> bool:
    return bool(connection.scope.get(MAY_CHANGE, False))


def _operations(query: str) -> set[OperationType]:
    """The kinds of operations of a document; none if it cannot be read, and is not run either."""
    try:
        definitions = parse(query, no_location=True).definitions
    except GraphQLError:
        return set()
    return {one.operation for one in definitions if isinstance(one, OperationDefinitionNode)}


def _refused(status: HTTPStatus, text: str) -> JSONResponse:
    code = "FORBIDDEN" if status == HTTPStatus.FORBIDDEN else "BAD_REQUEST"
    return JSONResponse({"errors": [{"message": text, "extensions": {"code": code}}]}, status)
