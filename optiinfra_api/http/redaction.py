"""Errors of operations that carry secrets quote nothing of what was sent.

GraphQL says what is wrong with a document or a variable by quoting it. Where a secret may stand in it, the answer must not: answers are
logged by clients and shown in their error reports.
"""

from __future__ import annotations

import re
from typing import Any, Final

CARRIES_SECRETS: Final = re.compile(r"(add|rotate|update)Credential|(Credential|Secrets)Input")

_QUOTES: Final = (
    # The value of a variable, up to the place in it where it does not fit, which begins with the variable's name; or to what is wrong.
    (
        re.compile(r"('\$(\w+)') got invalid value .*( at '\2[.\[][^']*'; )", re.DOTALL),
        r"\1 got an invalid value\3",
    ),
    (re.compile(r"got invalid value .*; ", re.DOTALL), "got an invalid value; "),
    # A value or a word of the document, to the end.
    (
        re.compile(r"(, found|value:|Unexpected|the unexpected character) .*", re.DOTALL),
        r"\1 something not shown here.",
    ),
)


def redact_quotes(document: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to an operation, without quotes of it in errors on the request itself if it may carry a secret.

    Errors of fields are ours, and quote no secret.
    """
    if "errors" not in body or not CARRIES_SECRETS.search(document):
        return body
    return {**body, "errors": [error if "path" in error else _unquoted(error) for error in body["errors"]]}


def _unquoted(error: dict[str, Any]) -> dict[str, Any]:
    message = str(error["message"])
    for quote, instead in _QUOTES:
        message = quote.sub(instead, message)
    return {**error, "message": message}
