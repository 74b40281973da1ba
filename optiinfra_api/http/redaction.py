"""Removes quotes of the request from the errors of operations that carry secrets.

GraphQL quotes the document or variable in its errors. If that may contain a secret, the answer must not quote it: clients log answers and
show them in their error reports.
"""

from __future__ import annotations

import re
from typing import Any, Final

CARRIES_SECRETS: Final = re.compile(r"(add|rotate|update)Credential|(Credential|Secrets)Input")

_INVALID: Final = "got invalid value "
_VARIABLE: Final = re.compile(r"'\$(\w+)' \Z")
# What comes before a quoted value or word of the document, which ends with the message.
_BEFORE_QUOTE: Final = re.compile(r"(?:, found|value:|Unexpected|the unexpected character) ")


def redact_quotes(document: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to an operation. If the document may carry a secret, errors about the request itself lose their quotes.

    Errors of fields have a path; we write them, and they quote no secret.
    """
    if "errors" not in body or not CARRIES_SECRETS.search(document):
        return body
    return {**body, "errors": [error if "path" in error else _unquoted(error) for error in body["errors"]]}


def _unquoted(error: dict[str, Any]) -> dict[str, Any]:
    message = str(error["message"])
    head, is_value, rest = message.partition(_INVALID)
    if is_value:
        variable = _VARIABLE.search(head)
        where = _path_of(variable[1], rest) if variable else ""
        message = f"{head}got an invalid value{where}; {rest.rpartition('; ')[2] if '; ' in rest else ''}"
    if quote := _BEFORE_QUOTE.search(message):
        message = f"{message[: quote.end()]}something not shown here."
    return {**error, "message": message}


def _path_of(variable: str, rest: str) -> str:
    """The path in a variable that does not fit, which follows its quoted value and begins with its name; '' if there is none.

    The value may look like such a path too, so this takes the last one. Each search goes through the text once: a regular expression
    would begin again at each place in a value that looks like the beginning of an error.
    """
    begin = max(rest.rfind(f" at '{variable}{sign}") for sign in ".[")
    end = rest.find("'", begin + len(" at '"))
    return rest[begin : end + 1] if begin >= 0 and rest.startswith("'; ", end) else ""
