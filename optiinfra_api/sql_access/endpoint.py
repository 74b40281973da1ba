"""``GET`` and ``POST /sql``: one SELECT over the views of what is current, as Arrow, CSV or JSON, with the tokens of `/graphql`.

Data in: ``query``, ``format`` and ``customerId``, as parameters or as JSON, or the statement itself as the body. Data out: the rows,
streamed as ClickHouse writes them. `reading.view_reader` keeps statements to the views and to the rows of the caller's customer.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.request_authentication import admitted
from optiinfra_api.access.signed_links import unsigned
from optiinfra_api.export.spreadsheet import marked
from optiinfra_api.export.streamed_endpoint import StreamedEndpoint, freshness_headers
from optiinfra_api.http.request_log import current_request
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.view_reader import SqlFormat
from optiinfra_api.sql_access.arguments import MEDIA_TYPES, SqlQuery, read_statement

_EVERYTHING: Final = CostQuery(None, None, None)
"""What the freshness of an answer is told of: the statement may read any of it."""


class SqlEndpoint(StreamedEndpoint):
    """One request to ``/sql``."""

    _body = b""

    async def prepare(self) -> None:
        """Read the body."""
        self._body = await read_statement(self.request)

    async def run(self) -> None:
        """Answer the rows."""
        services = self.services
        principal = await admitted(self.request, services)
        record = current_request()
        record.outcomes = {"sql": "ok"}
        record.rows = None
        asked = self._asked()
        record.outcomes = {f"sql.{asked.form.value}": "ok"}
        context = RequestContext(principal, services, record.correlation_id)
        with services.requests.passing(principal), services.exports.passing(principal):
            data = await context.data_of(asked.customer_id)
            headers = freshness_headers(await data.resolve(_EVERYTHING)) | {
                "Content-Type": MEDIA_TYPES[asked.form],
                "Cache-Control": "private, no-cache",
                "Content-Disposition": f'attachment; filename="sql-{data.customer_id}.{asked.form.value}"',
                "Vary": "Accept, Authorization, Cookie",
            }
            if self.request.method == "HEAD":
                await data.check_sql(asked.statement)
                await self.send_nothing(HTTPStatus.OK, headers)
                return
            async with data.sql(asked.statement, asked.form) as chunks:
                await self.send_chunks(headers, marked(_readable(chunks)) if asked.form is SqlFormat.CSV else chunks)

    def _asked(self) -> SqlQuery:
        headers, given = self.request.headers, unsigned(self.request.query_params)
        accept = headers.get("accept", "")
        if self.request.method == "POST":
            return SqlQuery.of_body(given, headers.get("content-type", ""), self._body, accept)
        return SqlQuery.of_url(given, accept)


async def _readable(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """CSV that is UTF-8 as its header says, also where a function of the statement cut a text within a character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
