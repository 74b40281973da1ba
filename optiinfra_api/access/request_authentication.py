"""Who sends an HTTP request, and from where."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request

from optiinfra_api.access.authentication import NotAuthenticated, TooManyAttempts
from optiinfra_api.access.services import Services
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import current_request
from optiinfra_assets.metadata.tokens import Principal


def address(request: Request) -> str:
    """Where a request comes from, as far as uvicorn knows: behind a proxy see its ``FORWARDED_ALLOW_IPS``."""
    return request.client.host if request.client else "unknown"


async def authenticated(request: Request, services: Services) -> Principal:
    """Who asks.

    Raises:
        Refused: no token that is good, which is all that is said; or the address has failed too often to be heard.
    """
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
        raise HttpError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "TOO_MANY_FAILURES",
            "too many failed attempts to authenticate: wait as long as the header `Retry-After` says",
            {"Retry-After": str(failures.seconds)},
        ) from None
    current_request().token_id = principal.token_id
    return principal
