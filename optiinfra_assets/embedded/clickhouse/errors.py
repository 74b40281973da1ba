"""ClickHouse's errors as the HTTP interface returns them: number, text and HTTP status."""

from __future__ import annotations

import re

_CODE = re.compile(r"Code: (\d+)\.")
_REPEATED = re.compile(r"^(?:Code: \d+\. DB::Exception: )+(?=Code: \d+\. DB::Exception: )")

# From ClickHouse's own table: src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
_BAD_REQUEST = {6, 8, 15, 25, 26, 27, 36, 38, 41, 43, 44, 53, 56, 62, 72, 117, 168, 321, 376, 427, 441, 675, 676}  # fmt: skip
_NOT_FOUND = {46, 47, 50, 60, 63, 73, 78, 81, 110, 115, 336, 372, 511}
_FORBIDDEN = {192, 193, 497, 512, 516}
_OTHER = {48: 501, 76: 503, 159: 408, 194: 401, 209: 503, 373: 423, 381: 411, 439: 503}
STATUSES = dict.fromkeys(_BAD_REQUEST, 400) | dict.fromkeys(_NOT_FOUND, 404) | dict.fromkeys(_FORBIDDEN, 403) | _OTHER


class ClickHouseError(Exception):
    """A ClickHouse exception.

    Attributes:
        code: ClickHouse's error number.
        text: ``Code: N. DB::Exception: ...`` in one string, as the server writes it.
        status: HTTP status of the response.
    """

    def __init__(self, code: int, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status or STATUSES.get(code, 500)

    @classmethod
    def of(cls, error: BaseException) -> ClickHouseError:
        """Translate an exception of chDB; chDB adds its own words before ClickHouse's text and repeats the number."""
        message = str(error)
        found = _CODE.search(message)
        if not found:
            return cls.make(1001, message or type(error).__name__, "STD_EXCEPTION")
        return cls(int(found[1]), _REPEATED.sub("", message[found.start() :].strip()))

    @classmethod
    def make(cls, code: int, message: str, name: str, status: int | None = None) -> ClickHouseError:
        """Make an error that this server detects itself, in the format of a ClickHouse server."""
        return cls(code, f"Code: {code}. DB::Exception: {message} ({name})", status)
