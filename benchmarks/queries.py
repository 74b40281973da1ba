"""How long each GraphQL query takes over HTTP, beside DuckDB over the same tables and the engine's own time, on a large warehouse.

``python -m benchmarks.queries --rows 50000000`` fills ``benchmarks/data/<rows>`` once (see `benchmarks.dataset`), starts the embedded
engines and three services on loopback, and asks each in turn over a connection that is kept alive, so that all suffer the same neighbours:

- *cold*: a service that holds nothing of ClickHouse in memory, so that each question is a statement;
- *first*: one that holds small tables, as by default, and no answer: every question is asked for the first time;
- *again*: one as by default, that was asked before;
- *DuckDB*: see `benchmarks.peer`, with ``--peer``;
- *SQL*: the statements of the question one after another, straight over HTTP, and *engine*, ClickHouse's own part of that.

Times are milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from clickhouse_connect.driver.client import Client

from benchmarks import dataset, peer
from benchmarks.serving import duckdb, engines, serving
from optiinfra_api.access.context import RequestContext
from optiinfra_api.reading import clickhouse_reader as api_engine
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_api.schema import schema
from optiinfra_api.services import ApiServices
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.tenant_filter import tenant_settings
from optiinfra_assets.warehouse.warehouse import Warehouse, connect_reader

LARGEST, MEDIAN = "customer-000", f"customer-{dataset.CUSTOMERS // 2:03d}"
END = date(2026, 12, 1)
SETTINGS = api_engine.FORMATS | QueryLimits.of_queries(Settings()).settings()
REQUESTS = 60
WARM_UP = 5

SUM = "cost { amount currency } lineItems"
REACH = "dataThrough isComplete publishedAt"
PERIOD = 'period: {start: "%s", end: "%s"}'


def _last(days: int) -> str:
    return PERIOD % (END - timedelta(days=days), END)


def _trends(days: int, arguments: str = "", names: str = "") -> str:
    return f"{{ costTrends({_last(days)}{arguments}) {{ series {{ {names} dates amounts {SUM} }} {REACH} }} }}"


def _resources(days: int) -> str:
    node = f"resourceId name type services {SUM}"
    return f"{{ costsByResource({_last(days)}, first: 100) {{ nodes {{ {node} }} pageInfo {{ endCursor }} {REACH} }} }}"


def _line_items(first: int, more: str = "") -> str:
    node = f"chargePeriodStart billedCost {{ amount currency }} serviceName resourceId tags {more}"
    return f"{{ costMetrics({_last(30)}, first: {first}) {{ nodes {{ {node} }} pageInfo {{ endCursor }} {REACH} }} }}"


QUERIES = {
    "totalCost, 30 days": f"{{ totalCost({_last(30)}) {{ totals {{ {SUM} }} {REACH} }} }}",
    "totalCost, 365 days": f"{{ totalCost({_last(365)}) {{ totals {{ {SUM} }} {REACH} }} }}",
    "costTrends, 30 days": _trends(30),
    "costTrends, 365 days": _trends(365),
    "costTrends, 30 days by service": _trends(30, ", groupBy: [SERVICE]", "service"),
    "costTrends, 365 days by service": _trends(365, ", groupBy: [SERVICE]", "service"),
    "costTrends, 365 days by region": _trends(365, ", groupBy: [REGION]", "region"),
    "costTrends, 12 months by sub account": _trends(
        365, ", groupBy: [SUB_ACCOUNT], granularity: MONTHLY", "subAccount"
    ),
    "costTrends, 30 days by a tag": _trends(30, ', groupByTag: "team"', "tag"),
    "costsByResource, top 100 of 30 days": _resources(30),
    "costsByResource, top 100 of 365 days": _resources(365),
    "costsByResource, top 100 of 350 days": _resources(350),
    "costsByType, 365 days": f"{{ costsByType({_last(365)}) {{ types {{ chargeCategory {SUM} }} {REACH} }} }}",
    "latestCosts": f"{{ latestCosts {{ accounts {{ account dates amounts {SUM} }} {REACH} }} }}",
    "costMetrics, newest 100 of 30 days": _line_items(100),
    "costMetrics, newest 100, all columns": _line_items(100, "invoiceIssuerName"),
    "costMetrics, newest 1000 of 30 days": _line_items(1000),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that a query ran: its text and its bound values."""

    text: str
    bound: dict[str, Any]


class Recorder(api_engine.ClickHouseReader):
    """The API's ClickHouse reader, which also records the statements it runs."""

    statements: list[Statement]

    async def _read(
        self, text: str, bound: dict[str, Any], only: dict[str, str], count: Callable[..., None] | None = None
    ) -> list[dict[str, Any]]:
        if len(bound) > 1:  # not the count of publications
            self.statements.append(Statement(text, bound))
        return await super()._read(text, bound, only, count)


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of repeated runs, shortest first."""

    runs: list[float]

    def percentile(self, part: float) -> float:
        """The time that `part` (0 to 1) of the runs do not exceed."""
        return self.runs[min(len(self.runs) - 1, round(part * len(self.runs)))]


def in_turn(askers: Mapping[str, Callable[[], float | None]], rounds: int) -> dict[str, Times]:
    """Run each asker once, then each again, and so on; it returns its own time in milliseconds, or None if this is to measure it."""
    runs: dict[str, list[float]] = {name: [] for name in askers}
    for _ in range(WARM_UP + rounds):
        for name, ask in askers.items():
            begin = time.perf_counter()
            own = ask()
            runs[name].append((time.perf_counter() - begin) * 1000 if own is None else own)
    return {name: Times(sorted(found[WARM_UP:])) for name, found in runs.items()}


@contextmanager
def asking(url: str, path: str, token: str, question: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """A request that can be sent again and again on one connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps(question)

    def ask() -> None:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        assert b'"errors"' not in content, content[:500]

    yield ask
    connection.close()


async def recorded(settings: Settings, customer_id: str, document: str) -> list[Statement]:
    """The statements that `document` runs for a customer that was queried before."""
    services = await ApiServices.open(settings)
    limits = QueryLimits.of_queries(settings)
    reader, warehouse = await connect_reader(settings), Warehouse.connect(settings)
    recorder = Recorder(reader, warehouse, services.run, limits, ResultCache(0))
    services.engine = recorder
    context = RequestContext(Principal("benchmark", "benchmark", customer_id, "viewer"), services, "benchmark")
    for _ in range(2):
        recorder.statements = []
        result = await schema.execute(document, context_value=context)
        assert not result.errors, result.errors
    await reader.close()
    warehouse.close()
    await services.close()
    return recorder.statements


def straight(client: Client, statements: list[Statement], customer_id: str) -> None:
    """Run the statements one after another through the API's own client, bound to the customer as the service binds them."""
    settings = SETTINGS | tenant_settings(customer_id, has_policies=False)
    for one in statements:
        client.raw_query(one.text, parameters=one.bound, settings=settings, fmt="JSONEachRow")


def engine_alone(client: Client, statements: list[Statement], customer_id: str) -> float:
    """The time that ClickHouse itself reports for the statements."""
    settings = SETTINGS | tenant_settings(customer_id, has_policies=False)
    found = [client.query(one.text, parameters=one.bound, settings=settings) for one in statements]
    return sum(int(one.summary["elapsed_ns"]) for one in found) / 1e6


HEADS = (
    "query",
    "customer",
    "cold p50",
    "first p50",
    "first p99",
    "again p50",
    "again p99",
    "DuckDB p50",
    "DuckDB p99",
)
MORE = ("SQL p50", "engine p50", "cold : DuckDB", "first : DuckDB", "again : DuckDB", "first p99 : p50", "kB")


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of the services that are compared; `peer` is None without DuckDB."""

    cold: str
    first: str
    again: str
    peer: str | None


def measure(services: Services, settings: Settings, rows: int, chosen: str, rounds: int) -> None:
    """Print the figures of every query whose name contains `chosen`."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    warehouse = Warehouse.connect(settings)
    client = warehouse.client
    print(f"| {' | '.join((*HEADS, *MORE))} |\n|{'---|' * len((*HEADS, *MORE))}")
    for who, customer_id in (("median", MEDIAN), ("largest", LARGEST)):
        recorded_as_published(metadata, customer_id, rows)
        token = metadata.tokens.issue("benchmark", customer_id, "viewer").plaintext
        for name, document in QUERIES.items():
            if chosen in name:
                statements = asyncio.run(recorded(settings, customer_id, document))
                with ExitStack() as stack:
                    ours = {"query": document}
                    askers: dict[str, Callable[[], float | None]] = {
                        each: stack.enter_context(asking(getattr(services, each), "/graphql", token, ours))
                        for each in ("cold", "first", "again")
                    }
                    if services.peer and name in peer.STATEMENTS:
                        theirs = {"query": name, "customer": customer_id, **asked_days(document)}
                        askers["peer"] = stack.enter_context(asking(services.peer, "/", token, theirs))
                    askers["SQL"] = partial(straight, client, statements, customer_id)
                    askers["engine"] = partial(engine_alone, client, statements, customer_id)
                    for each in ("first", "again"):
                        settle(askers[each])
                    times = in_turn(askers, rounds)
                print(f"| {name} | {who} | {line(times, size(services.first, token, document))} |", flush=True)
    warehouse.close()
    metadata.close()


def settle(ask: Callable[[], float | None]) -> None:
    """Ask until what a service fetches after the first question is there."""
    for _ in range(4):
        ask()
        time.sleep(0.4)


def line(times: Mapping[str, Times], answer_bytes: int) -> str:
    """The figures of one query, as a line of the table."""
    half, most = ({name: found.percentile(part) for name, found in times.items()} for part in (0.5, 0.99))
    ours = [half["cold"], half["first"], most["first"], half["again"], most["again"]]
    theirs = [f"{half['peer']:.1f}", f"{most['peer']:.1f}"] if "peer" in times else ["", ""]
    ratios = (
        [f"{half[name] / half['peer']:.2f}" for name in ("cold", "first", "again")] if "peer" in times else [""] * 3
    )
    rest = [f"{half['SQL']:.1f}", f"{half['engine']:.1f}", *ratios, f"{most['first'] / half['first']:.1f}"]
    return " | ".join([*(f"{one:.1f}" for one in ours), *theirs, *rest, f"{answer_bytes / 1000:.1f}"])


def asked_days(document: str) -> dict[str, str]:
    """The period that a query asks for."""
    start, end = re.findall(r'"(\d{4}-\d{2}-\d{2})"', document)
    return {"start": start, "end": end}


def recorded_as_published(metadata: Metadata, customer_id: str, rows: int) -> None:
    """Let PostgreSQL know what is published of a customer, as collections would have."""
    metadata.customers.add(customer_id)
    newest: dict[str, dataset.BenchSlice] = {}
    for one in dataset.slices(rows):
        if one.customer_id == customer_id:
            newest[one.account_id] = one
    for one in newest.values():
        metadata.accounts.add(Account(one.account_id, customer_id, one.provider, {}))
        slice_ = Slice(customer_id, one.provider, one.account_id, BillingPeriod.of(one.billing_period))
        metadata.slices.record_collection(slice_, "", datetime.now(UTC), generation=one.generation)


def size(url: str, token: str, document: str) -> int:
    """Size of a response in bytes."""
    response = httpx.post(f"{url}/graphql", json={"query": document}, headers={"Authorization": f"Bearer {token}"})
    return len(response.content)


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="line items (default: %(default)s)")
    parser.add_argument("--only", default="", help="only queries with this text in their name")
    parser.add_argument("--rounds", type=int, default=REQUESTS, help="requests to each (default: %(default)s)")
    parser.add_argument(
        "--peer",
        default="",
        help="an interpreter with duckdb, starlette and uvicorn, to compare with; see benchmarks.peer",
    )
    options = parser.parse_args()
    dataset.make(options.rows)
    folder = dataset.DATA / str(options.rows)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "service.log").open("wb"))
        settings, _ = stack.enter_context(engines(folder))
        other = None
        if options.peer:
            client = Warehouse.connect(settings).client
            other = stack.enter_context(duckdb(options.peer, folder, client, log))
        started = [
            stack.enter_context(serving("optiinfra_api", settings, log=log, **kept))[0]
            for kept in ({}, {"holds": True}, {"keeps": True})
        ]
        measure(Services(*started, other), settings, options.rows, options.only, options.rounds)


if __name__ == "__main__":
    main()
