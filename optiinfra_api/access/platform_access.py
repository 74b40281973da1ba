"""Admits callers to what tells of the whole platform: by a token for all customers, or by the token for scrapers.

The scrapers' token needs no database, so that the figures are there while PostgreSQL is not. No caller is trusted for where he asks from.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

from starlette.requests import Request

from optiinfra_api.access.request_authentication import authenticated
from optiinfra_api.access.services import Services
from optiinfra_api.http.http_errors import HttpError


async def admit_to_platform(request: Request, services: Services) -> None:
    """Let a request pass whose token is for all customers or for scrapers.

    Raises:
        HttpError: 401 without a valid token, 403 with the token of one customer, 429 if the address has failed too often.
        MetadataUnavailable: PostgreSQL does not answer, and the token is not that for scrapers.
    """
    if services.metrics_token and _is_bearer(request, services.metrics_token):
        return
    if (await authenticated(request, services)).customer_id is not None:
        raise HttpError(HTTPStatus.FORBIDDEN, "FORBIDDEN", "this is for tokens of all customers, and for scrapers")


def _is_bearer(request: Request, token: str) -> bool:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode())
