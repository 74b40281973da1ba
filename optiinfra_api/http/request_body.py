"""Reads the body of a request, of a bounded size."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request

from optiinfra_api.http.http_errors import bad_request

MAX_BODY_BYTES: Final = 256 * 1024


async def read_body(
    request: Request, most: int = MAX_BODY_BYTES, refusal: str = f"the body is longer than {MAX_BODY_BYTES} bytes"
) -> bytes:
    """Read the body; raise HttpError (413) with the text `refusal` as soon as it is longer than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise bad_request(refusal, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)
