"""Removes quotes of the request from the errors of operations that carry secrets.

GraphQL quotes the document or variable in its errors. If that may contain a secret, the answer must not quote it: clients log answers and
show them in their error reports.
"""

from __future__ import annotations

import re
from typing import Any, Final

CARRIES_SECRETS: Final = re.compile(r"(add|rotate|update)Credential|(Credential|Secrets)Input")

_QUOTES: Final = (
    # The quoted value of a variable, up to the path in it that does not fit, which begins with the variable's name; or up to the reason.
    (
        re.compile(r"('\$(\w+)') got invalid value .*( at '\2[.\[][^']*'; )", re.DOTALL),
        r"\1 got an invalid value\3",
    ),
    (re.compile(r"got invalid value .*; ", re.DOTALL), "got an invalid value; "),
    # A quoted value or word of the document, up to the end of the message.
    (
        re.compile(r"(, found|value:|Unexpected|the unexpected character) .*", re.DOTALL),
        r"\1 something not shown here.",
    ),
)


def redact_quotes(document: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to an operation. If the document may carry a secret, errors about the request itself lose their quotes.

    Errors of fields have a path; we write them, and they quote no secret.
    """
    if "errors" not in body or not CARRIES_SECRETS.search(document):
        return body
    return {**body, "errors": [error if "path" in error else _unquoted(error) for error in body["errors"]]}


def _unquoted(error: dict[str, Any]) -> dict[str, Any]:
    message = str(error["message"])
    for quote, instead in _QUOTES:
        message = quote.sub(instead, message)
    return {**error, "message": message}
