"""Queries of BigQuery as jobs: inserted, looked at, their answers read page by page, in the JSON of its REST reference.

A job runs in an instant. Its answer follows the statement's own text (`sql_answers`) over rows that the caller gives; what is billed is
made from the number of rows its conditions choose, 10 MB at least.
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
"""Stands for the number of a line item that is made when its page is asked for."""
_SMALLEST_BILL: Final = 10 * 2**20
_KEPT: Final = 20
_JSON: Final = {"Content-Type": "application/json"}

_Cells = tuple[list[list[str | None]], bytes, int]
"""Of an answer: its rows, one that stands for the extra ones, and how many these are."""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """What a statement is about.

    Attributes:
        table: ``project.dataset.table``.
        paths: of its columns.
        rows: all there are.
        extra: rows that stand for `extras` line items each, which differ in the number that `MARK` stands for.
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
        bytes_billed: for all of them.
    """

    project: str
    bytes_billed: int = 0
    _jobs: OrderedDict[str, _Job] = field(default_factory=OrderedDict)
    _selects: dict[tuple[str, frozenset[str]], AggregateQuery] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def insert(self, asked: Mapping[str, Any], source: QuerySource) -> SimulatedResponse:
        """Run a statement, or only say what it would cost."""
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
        """The state of a job."""
        return SimulatedResponse.of(self._told(name))

    def results(self, name: str, query: Mapping[str, str], most: int, *, repeats: bool) -> SimulatedResponse:
        """A page of an answer; `most` rows at most, the first page again if `repeats`."""
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
    """An error, in the words of Google's services."""
    first = {"reason": reason, "message": said, "domain": "global"}
    return SimulatedResponse.of(
        {"error": {"code": status, "message": said, "errors": [first], "status": reason}}, status=status
    )


def schema_field(name: str, kind: Any) -> dict[str, Any]:
    """A column of a schema: a type, the columns of a record, or a list of them for a repeated one."""
    if isinstance(kind, str):
        return {"name": name, "type": kind, "mode": "NULLABLE"}
    mode, within = ("REPEATED", kind[0]) if isinstance(kind, list) else ("NULLABLE", kind)
    fields = [schema_field(inner, one) for inner, one in within.items()]
    return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}


def paths(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Of all columns, those within records too, as ``credits[].name`` where these are repeated."""
    for name, kind in schema.items():
        yield f"{above}{name}"
        if isinstance(kind, list):
            yield from paths(kind[0], f"{above}{name}[].")
        elif isinstance(kind, Mapping):
            yield from paths(kind, f"{above}{name}.")


def _answered(select: AggregateQuery, rows: list[Row], extra: list[Row], extras: int) -> _Cells:
    """Cells; extra line items stay apart where each is a row of its own."""
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
