"""Authenticates HTTP requests and finds their client addresses."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection, Request

from optiinfra_api.access.authentication import NotAuthenticated, TooManyAttempts
from optiinfra_api.access.services import Services
from optiinfra_api.access.signed_links import SIGNATURE
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import current_request
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.metadata.web_sessions import WebSession

ORIGIN: Final = "optiinfra.origin"
"""Key of an ASGI scope: the origin by which the browser sees the request's address, such as ``https://costs.example.com``.

It is there if the request was found to come from no page of another origin (`web.origins`). A cookie counts only then."""


def address(request: HTTPConnection) -> str:
    """The client address of a request, as far as uvicorn knows it: behind a proxy, see uvicorn's ``FORWARDED_ALLOW_IPS``."""
    return request.client.host if request.client else "unknown"


async def authenticated(request: Request, services: Services) -> Principal:
    """Return the principal of a request: of its token, or without one of the session that its cookie names.

    A cookie counts only in a request that was found to come from our own pages (`ORIGIN`), and then as `acting` says.

    Raises:
        HttpError: 401 without a valid token, with no other detail; 429 if the address has failed too often.
        MetadataUnavailable: PostgreSQL does not answer.
    """
    header = request.headers.get("authorization")
    if header is None and ORIGIN in request.scope:
        session = await services.sessions.of(request)
        if session is not None:
            current_request().token_id = session.principal.token_id
            return acting(session)
    return await authenticated_by_token(request, services)


async def authenticated_by_token(request: Request, services: Services) -> Principal:
    """As `authenticated`, of the request's token alone: its cookies count for nothing."""
    header = request.headers.get("authorization")
    try:
        principal = await services.authenticator.admit(header, address(request), services.run)
    except NotAuthenticated:
        raise HttpError(
            HTTPStatus.UNAUTHORIZED,
            "UNAUTHENTICATED",
            "a valid token is needed: send the header `Authorization: Bearer oi_...`",
            {"WWW-Authenticate": "Bearer"},
        ) from None
    except TooManyAttempts as failures:
        raise _too_many(failures) from None
    current_request().token_id = principal.token_id
    return principal


async def admitted(request: Request, services: Services) -> Principal:
    """Return the principal of a request that may be made by a signed link; else as `authenticated`.

    A link counts in requests without a body only, which its signature would not cover.

    Raises:
        HttpError: 401 for a link that was changed, has expired, or whose token is not accepted any more; 429 after too many of these.
        MetadataUnavailable: PostgreSQL does not answer.
    """
    if SIGNATURE not in request.query_params or request.method not in ("GET", "HEAD"):
        return await authenticated(request, services)

    async def check() -> Principal | None:
        token_id = services.links.token_id(request.url.path, request.query_params)
        return None if token_id is None else await services.run(services.metadata.tokens.principal, token_id)

    try:
        principal = await services.authenticator.attempt(address(request), check)
    except NotAuthenticated:
        raise HttpError(
            HTTPStatus.UNAUTHORIZED,
            "UNAUTHENTICATED",
            "the link is not accepted: it has expired, was changed, or its token was revoked: make a new one",
        ) from None
    except TooManyAttempts as failures:
        raise _too_many(failures) from None
    current_request().token_id = principal.token_id
    return replace(principal, role="viewer")


def _too_many(failures: TooManyAttempts) -> HttpError:
    """The answer to an address that has failed too often."""
    return HttpError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "TOO_MANY_FAILURES",
        "too many failed attempts to authenticate: wait as long as the header `Retry-After` says",
        {"Retry-After": str(failures.seconds)},
    )


def acting(session: WebSession) -> Principal:
    """Who a session acts as: its token, or a viewer of the same data if the session may change nothing."""
    return replace(session.principal, role="viewer", is_read_only=True) if session.is_read_only else session.principal
