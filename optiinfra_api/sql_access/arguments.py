"""What a request to ``/sql`` asks: from parameters, from a JSON object, or from a body that is the statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request

from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.http.http_errors import bad_request
from optiinfra_api.http.request_body import read_body
from optiinfra_api.reading.view_reader import LONGEST, SqlFormat

_MOST_BYTES: Final = 2 * LONGEST
_PARAMETERS: Final = ("query", "format", "customerId")
MEDIA_TYPES: Final = {
    SqlFormat.ARROW: "application/vnd.apache.arrow.stream",
    SqlFormat.CSV: "text/csv; charset=utf-8; header=present",
    SqlFormat.JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """What is asked: the statement, the format of the answer, and for an administrator of all customers, whose rows."""

    statement: str
    form: SqlFormat
    customer_id: str | None

    @classmethod
    def of(cls, values: Mapping[str, Any], accept: str) -> Self:
        """Make one from parameters, and from the header ``Accept`` if they name no format.

        Raises:
            InvalidArgument: a parameter is missing or not accepted.
        """
        for name, value in values.items():
            if name not in _PARAMETERS:
                raise InvalidArgument(f"{name}: not a parameter of /sql", f"Use {', '.join(_PARAMETERS)}.")
            if not isinstance(value, str):
                raise InvalidArgument(f"{name}: a text is needed", "Give it once, as a text.")
        statement = values.get("query", "").strip().rstrip(";").rstrip()
        if not statement:
            raise InvalidArgument("query: needed", "Give one SELECT over the views that docs/bi.md describes.")
        return cls(statement, _format(values.get("format"), accept), values.get("customerId"))

    @classmethod
    def of_url(cls, given: QueryParams, accept: str) -> Self:
        """Make one from the parameters of an address; see `of`."""
        return cls.of(_of_url(given), accept)

    @classmethod
    def of_body(cls, given: QueryParams, kind: str, body: bytes, accept: str) -> Self:
        """Make one from a body of the media type `kind`: a JSON object, or the statement itself beside the parameters of the address.

        Raises:
            HttpError: the body is neither.
            InvalidArgument: as `of`.
        """
        kind = kind.partition(";")[0].strip().lower()
        try:
            if kind == "application/json":
                values = orjson.loads(body)
                if not isinstance(values, dict):
                    raise bad_request('the body is no JSON object: send {"query": "SELECT ..."}')
                return cls.of(values, accept)
            if kind in ("", "text/plain", "application/sql"):
                return cls.of({**_of_url(given), "query": body.decode()}, accept)
        except ValueError:
            raise bad_request("the body cannot be read: send JSON, or a statement in UTF-8") from None
        raise bad_request(
            "the body is neither application/json nor text/plain nor application/sql",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )


def _format(named: str | None, accept: str) -> SqlFormat:
    accepted = ", ".join(form.value for form in SqlFormat)
    if named is not None:
        if named not in {form.value for form in SqlFormat}:
            raise InvalidArgument(f"format: {named!r} is not accepted", f"Use {accepted}.")
        return SqlFormat(named)
    wanted = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    types = {media.partition(";")[0]: form for form, media in MEDIA_TYPES.items()}
    return next((types[one] for one in wanted if one in types), SqlFormat.JSON)


def _of_url(given: QueryParams) -> Mapping[str, Any]:
    for name in given:
        if len(given.getlist(name)) > 1:
            raise InvalidArgument(f"{name}: given {len(given.getlist(name))} times", "Give it once.")
    return dict(given)


async def read_statement(request: Request) -> bytes:
    """Read the body of a request; raise HttpError (413) as soon as it is longer than a statement may be."""
    return await read_body(request, _MOST_BYTES, f"the body is too large: a statement has at most {LONGEST} bytes")
