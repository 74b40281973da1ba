"""Errors for requests that are answered without being run."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class HttpError(Exception):
    """The request is not run.

    Attributes:
        status: the HTTP status.
        code: a stable code for programs.
        headers: of the answer, in addition to those of every answer.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        return {"errors": [{"message": str(self), "extensions": {"code": self.code}}]}


def bad_request(message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> HttpError:
    """The error for a malformed request."""
    return HttpError(status, "BAD_REQUEST", message)
