"""``GET /export/<what>.<csv|parquet>``, and ``/export/focus``: the rows of a cost query as a file.

Tokens and `access.context` are those of every query. Data in: parameters of `export.arguments`. Data out: ClickHouse's own CSV or
Parquet, streamed in constant memory. Answers have a weak ETag of the query and of the generations that answer it; with If-None-Match,
nothing is read while these are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.datastructures import QueryParams

from optiinfra_api.access.context import CustomerData, RequestContext
from optiinfra_api.access.request_authentication import admitted
from optiinfra_api.access.signed_links import unsigned
from optiinfra_api.export.anomalies import anomaly_etag, anomaly_file, anomaly_rows, cause_file
from optiinfra_api.export.arguments import ACCEPTED, OF_ANOMALIES, ExportQuery, named
from optiinfra_api.export.conversion import RATES, bound_rates, unconverted
from optiinfra_api.export.forecast import forecast_etag, forecast_file, forecast_rows
from optiinfra_api.export.plan import plan
from optiinfra_api.export.spreadsheet import marked
from optiinfra_api.export.streamed_endpoint import StreamedEndpoint, freshness_headers
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import current_request
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.scan_budget import ScanBudget
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.anomalies import AnomalyRefresh
from optiinfra_assets.metadata.forecasts import MadeForecast
from optiinfra_assets.warehouse.focus_files import MOST_X_COLUMNS

_MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


class ExportEndpoint(StreamedEndpoint):
    """One export, as an ASGI endpoint."""

    async def run(self) -> None:
        """Answer the export."""
        services = self.services
        principal = await admitted(self.request, services)
        given = unsigned(self.request.query_params)
        what, form = _named(self.request.path_params["name"], given)
        record = current_request()
        record.outcomes = {f"export/{what}.{form.value}": "ok"}
        record.rows = None
        asked = ExportQuery.of(what, given)
        context = RequestContext(principal, services, record.correlation_id)
        context.budget = ScanBudget(services.settings.api_export_max_rows, "OPTIINFRA_API_EXPORT_MAX_ROWS")
        with services.requests.passing(principal), services.exports.passing(principal):
            data = await context.data_of(asked.customer_id)
            if what == "forecast":
                await self._write_forecast(data, asked, form)
                return
            if what in OF_ANOMALIES:
                await self._write_anomalies(data, asked, form)
                return
            resolved = await data.resolve(asked.question)
            await self._write(data, asked, form, resolved)

    async def _write(
        self, data: CustomerData, asked: ExportQuery, form: ExportFormat, resolved: ResolvedGenerations
    ) -> None:
        x_names = await _x_names(data, asked.question, resolved) if asked.has_x_columns else ()
        statement, values = plan(asked, resolved, x_names)
        if asked.display_currency is None:
            statement = unconverted(statement)
        else:
            cost = "amount" if asked.what == "by-resource" else values["cost"]
            values |= await bound_rates(data, asked, resolved, cost)
        headers = _headers(data.customer_id, asked, form, resolved, statement, values)
        if _is_known(self.request.headers.get("if-none-match"), headers["ETag"]):
            await self.send_nothing(HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Type"] = _MEDIA_TYPES[form]
        if self.request.method == "HEAD":
            await self.send_nothing(HTTPStatus.OK, headers)
            return
        async with data.export(statement, form, asked.question, resolved, **values) as chunks:
            await self.send_chunks(headers, marked(chunks) if _is_for_people(asked, form) else chunks)

    async def _write_forecast(self, data: CustomerData, asked: ExportQuery, form: ExportFormat) -> None:
        answer, question = await forecast_rows(data, asked)
        etag = forecast_etag(data, asked, answer, form)
        await self._write_made(
            data,
            asked,
            form,
            etag,
            answer.made,
            lambda: data.services.run(forecast_file, answer, question, asked.days, form),
        )

    async def _write_anomalies(self, data: CustomerData, asked: ExportQuery, form: ExportFormat) -> None:
        found = await anomaly_rows(data, asked)
        made = await data.read(data.services.metadata.anomalies.refreshed, asked.question.as_of)
        etag = anomaly_etag(data, asked, found, form)

        async def make() -> bytes:
            if asked.what == "anomaly-causes":
                return await cause_file(data, asked, found, form)
            return await data.services.run(anomaly_file, found, form)

        await self._write_made(data, asked, form, etag, made, make)

    async def _write_made(
        self,
        data: CustomerData,
        asked: ExportQuery,
        form: ExportFormat,
        etag: str,
        made: MadeForecast | AnomalyRefresh | None,
        make: Callable[[], Awaitable[bytes]],
    ) -> None:
        """Answer a file that `make` returns, of what was `made` of costs."""
        through, published = (made.data_through, made.published_at) if made else (None, None)
        headers = {
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'attachment; filename="{asked.what}-{data.customer_id}.{form.value}"',
            "X-Data-Through": through.isoformat() if through else "",
            "X-Is-Complete": "false",
            "X-Published-At": published.isoformat() if published else "",
            "X-Is-Simulated": str(bool(made and made.is_simulated)).lower(),
        }
        if _is_known(self.request.headers.get("if-none-match"), headers["ETag"]):
            await self.send_nothing(HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Type"] = _MEDIA_TYPES[form]
        if self.request.method == "HEAD":
            await self.send_nothing(HTTPStatus.OK, headers)
            return
        chunks = _once(await make())
        await self.send_chunks(headers, marked(chunks) if form is ExportFormat.CSV else chunks)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _x_names(data: CustomerData, question: CostQuery, resolved: ResolvedGenerations) -> list[str]:
    rows = await data.rows("x_column_names", question, resolved, most=MOST_X_COLUMNS + 1)
    if len(rows) > MOST_X_COLUMNS:
        raise TooExpensive(
            f"xColumns: these line items have more than {MOST_X_COLUMNS} columns beyond FOCUS",
            "Ask for fewer accounts, or leave xColumns out.",
        )
    return [row["name"] for row in rows]


def _named(name: str, given: QueryParams) -> tuple[str, ExportFormat]:
    found = named(name, given)
    if found is None:
        raise HttpError(
            HTTPStatus.NOT_FOUND,
            "NOT_FOUND",
            f"there is no such export: use {', '.join(sorted(ACCEPTED))}, with .csv or .parquet",
        )
    return found


def _is_for_people(asked: ExportQuery, form: ExportFormat) -> bool:
    """Whether a spreadsheet may open the file: a FOCUS file is for programs, and its text is what FOCUS says."""
    return form is ExportFormat.CSV and asked.focus is None


def _headers(
    customer_id: str,
    asked: ExportQuery,
    form: ExportFormat,
    resolved: ResolvedGenerations,
    statement: str,
    values: Mapping[str, Any],
) -> dict[str, str]:
    """The headers of an answer: its ETag, its file name, and its freshness, as in every answer about costs."""
    end = f"-{asked.period.start}-{asked.period.end}" if asked.period else ""
    return {
        "ETag": _etag(customer_id, asked, form, resolved, statement, values),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{asked.what}-{customer_id}{end}.{form.value}"',
        **freshness_headers(resolved),
    }


def _etag(
    customer_id: str,
    asked: ExportQuery,
    form: ExportFormat,
    resolved: ResolvedGenerations,
    statement: str,
    values: Mapping[str, Any],
) -> str:
    """A weak ETag of the query, of the generations that answer it, and of its rates.

    `asOf` counts only through the generations that it leads to."""
    question = replace(asked, question=replace(asked.question, as_of=None), group_by=frozenset())
    rates = [values[name] for name in RATES] if asked.display_currency else []
    shown = (form, _is_for_people(asked, form))
    parts = (customer_id, question, sorted(asked.group_by), shown, resolved.generations, statement, *rates)
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()}"'


def _is_known(if_none_match: str | None, etag: str) -> bool:
    given = {one.strip() for one in (if_none_match or "").split(",")}
    return "*" in given or etag in given or etag.removeprefix("W/") in given
