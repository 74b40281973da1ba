"""Simulates BigQuery's query jobs: insert a job, read its state, read its result page by page, in the JSON of the REST reference.

A job finishes at once. `sql_answers` computes its result from the statement's text and the rows that the caller passes. The billed bytes
follow from the number of rows that its conditions select, and are at least 10 MB.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from optiinfra_assets.simulators.gcp.sql_answers import AggregateQuery, Row, UnsupportedQuery
from optiinfra_assets.simulators.server.server import SimulatedResponse

MARK: Final = "extra-000000000"
"""Placeholder for the number of a line item that is made when its page is requested."""
_SMALLEST_BILL: Final = 10 * 2**20
_KEPT: Final = 20
_JSON: Final = {"Content-Type": "application/json"}

_Cells = tuple[list[list[str | None]], bytes, int]
"""A result: its rows, one row that represents the extra rows, and the number of extra rows."""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """The table that a statement reads.

    Attributes:
        table: ``project.dataset.table``.
        paths: paths of its columns.
        rows: all of its rows.
        extra: rows that represent `extras` line items each, which differ in the number in place of `MARK`.
    """

    table: str
    paths: frozenset[str]
    rows: Iterable[Row]
    extra: Iterable[Row]
    extras: int


@dataclass(frozen=True, slots=True)
class _Job:
    statement: str
    select: AggregateQuery
    size: int
    rows: list[list[str | None]]
    extra: bytes
    extras: int
    error: Mapping[str, str] | None


@dataclass(slots=True)
class QueryJobs:
    """The jobs of a project.

    Attributes:
        bytes_billed: billed bytes of all jobs.
    """

    project: str
    bytes_billed: int = 0
    _jobs: OrderedDict[str, _Job] = field(default_factory=OrderedDict)
    _selects: dict[tuple[str, frozenset[str]], AggregateQuery] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def insert(self, asked: Mapping[str, Any], source: QuerySource) -> SimulatedResponse:
        """Run a statement; with ``dryRun``, only return the bytes that it would process."""
        configuration, reference = asked["configuration"], asked["jobReference"]
        query, name = configuration["query"], reference["jobId"]
        if name in self._jobs:
            return refused(409, "duplicate", f"Already Exists: Job {name}")
        parameters = {one["name"]: _parameter(one) for one in query.get("queryParameters", ())}
        try:
            select = self._select(query["query"], source)
        except UnsupportedQuery as error:
            return refused(400, "invalidQuery", f"{error} at [1:1]")
        chosen = [row for row in source.rows if select.chooses(row, parameters)]
        size = 24 * len(select.columns) * len(chosen)
        if configuration.get("dryRun"):
            state = {"status": {"state": "DONE"}, "statistics": _statistics(size)}
            return SimulatedResponse.of({"configuration": configuration, "jobReference": reference, **state})
        most = query.get("maximumBytesBilled")
        answer: _Cells = ([], b"", 0)
        failure = None
        if most is not None and _billed(size) > int(most):
            said = f"Query exceeded limit for bytes billed: {most}. {_billed(size)} or higher required."
            failure = {"reason": "bytesBilledLimitExceeded", "message": said}
        else:
            self.bytes_billed += _billed(size)
            more = [row for row in source.extra if select.chooses(row, parameters)]
            answer = _answered(select, chosen, more, source.extras)
        self._jobs[name] = _Job(query["query"], select, size, *answer, failure)
        while len(self._jobs) > _KEPT:
            self._jobs.popitem(last=False)
        return SimulatedResponse.of({**self._told(name), "status": {"state": "RUNNING"}})

    def look(self, name: str) -> SimulatedResponse:
        """Return the state of a job."""
        return SimulatedResponse.of(self._told(name))

    def results(self, name: str, query: Mapping[str, str], most: int, *, repeats: bool) -> SimulatedResponse:
        """Return a page of a result with at most `most` rows; if `repeats`, always the first page."""
        job = self._jobs[name]
        total = len(job.rows) + job.extras
        begin = 0 if repeats else int(query.get("pageToken") or 0)
        end = begin + min(int(query.get("maxResults") or most), most)
        rows = [_cells(row) for row in job.rows[begin:end]]
        numbers = range(max(begin - len(job.rows), 0), min(end, total) - len(job.rows))
        rows += [job.extra.replace(MARK.encode(), f"extra-{number:09d}".encode()) for number in numbers]
        head = {
            "kind": "bigquery#getQueryResultsResponse",
            "schema": {"fields": [schema_field(column, kind) for column, kind in job.select.columns.items()]},
            "jobReference": {"projectId": self.project, "jobId": name, "location": "US"},
            "totalRows": str(total),
            "jobComplete": True,
            **({"pageToken": str(end)} if end < total else {}),
        }
        listed = b',"rows":[' + b",".join(rows) + b"]}" if rows else b"}"
        return SimulatedResponse(200, json.dumps(head, separators=(",", ":")).encode()[:-1] + listed, _JSON)

    def _select(self, statement: str, source: QuerySource) -> AggregateQuery:
        key = (statement, source.paths)
        if key not in self._selects:
            self._selects[key] = AggregateQuery.parse(statement, source.paths)
        select = self._selects[key]
        if select.table != source.table:
            raise UnsupportedQuery(f"Not found: Table {select.table}")
        return select

    def _told(self, name: str) -> dict[str, Any]:
        job = self._jobs[name]
        failed = {"errorResult": job.error, "errors": [job.error]} if job.error else {}
        return {
            "kind": "bigquery#job",
            "id": f"{self.project}:US.{name}",
            "jobReference": {"projectId": self.project, "jobId": name, "location": "US"},
            "configuration": {"jobType": "QUERY", "query": {"query": job.statement, "useLegacySql": False}},
            "status": {"state": "DONE", **failed},
            "statistics": _statistics(job.size),
        }


def refused(status: int, reason: str, said: str) -> SimulatedResponse:
    """Return an error in the format of Google's services."""
    first = {"reason": reason, "message": said, "domain": "global"}
    return SimulatedResponse.of(
        {"error": {"code": status, "message": said, "errors": [first], "status": reason}}, status=status
    )


def schema_field(name: str, kind: Any) -> dict[str, Any]:
    """Return a column of a schema; `kind` is a type, a mapping for a record, or a list with a mapping for a repeated record."""
    if isinstance(kind, str):
        return {"name": name, "type": kind, "mode": "NULLABLE"}
    mode, within = ("REPEATED", kind[0]) if isinstance(kind, list) else ("NULLABLE", kind)
    fields = [schema_field(inner, one) for inner, one in within.items()]
    return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}


def paths(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the paths of all columns, nested ones included, as ``credits[].name`` in repeated records."""
    for name, kind in schema.items():
        yield f"{above}{name}"
        if isinstance(kind, list):
            yield from paths(kind[0], f"{above}{name}[].")
        elif isinstance(kind, Mapping):
            yield from paths(kind, f"{above}{name}.")


def _answered(select: AggregateQuery, rows: list[Row], extra: list[Row], extras: int) -> _Cells:
    """Cells of a result; extra line items stay separate if each is a row of its own."""
    if "SkuId" not in select.keys:
        return select.answer([*((row, 1) for row in rows), *((row, extras) for row in extra)]), b"", 0
    made = [_cells(cells) for cells in select.answer((row, 1) for row in extra)]
    return select.answer((row, 1) for row in rows), made[0] if made else b"", extras if made else 0


def _parameter(asked: Mapping[str, Any]) -> str | datetime:
    value = str(asked["parameterValue"]["value"])
    return datetime.fromisoformat(value).astimezone(UTC) if asked["parameterType"]["type"] == "TIMESTAMP" else value


def _cells(row: list[str | None]) -> bytes:
    return json.dumps({"f": [{"v": cell} for cell in row]}, separators=(",", ":")).encode()


def _billed(size: int) -> int:
    return max(_SMALLEST_BILL, -(-size // 2**20) * 2**20)


def _statistics(size: int) -> dict[str, Any]:
    billed = {
        "totalBytesProcessed": str(size),
        "totalBytesBilled": str(_billed(size)),
        "statementType": "SELECT",
    }
    return {"totalBytesProcessed": str(size), "query": billed}
