"""How long each GraphQL query takes over HTTP, beside the engine's own time for the same statements, on a large warehouse.

``python -m benchmarks.queries --rows 50000000`` fills ``benchmarks/data/<rows>`` once (see `benchmarks.dataset`), starts the embedded
engines and the API on loopback, and prints a table: p50 and p99 of the request over one kept-alive connection to a service that asks
ClickHouse each time, and of its statements run one after another straight over HTTP, with the engine's own part of that; then of the
request to a service that was asked before, as by default it remembers. Times are milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
from clickhouse_connect.driver.client import Client

from benchmarks import dataset
from benchmarks.engines import LOGIN, clickhouse_url
from optiinfra_api.access.context import RequestContext
from optiinfra_api.reading import clickhouse_reader as api_engine
from optiinfra_api.reading.query_limits import QueryLimits
from optiinfra_api.reading.result_cache import ResultCache
from optiinfra_api.schema import schema
from optiinfra_api.services import ApiServices
from optiinfra_assets.database import sql_files
from optiinfra_assets.embedded.postgres import __main__ as postgres
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

    async def rows(
        self, statement: str, values: dict[str, Any], count: Callable[..., None] | None = None
    ) -> list[dict[str, Any]]:
        """Run and record the statement."""
        text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
        bound = {name: values[name] for name in api_engine.parameters(statement)}
        self.statements.append(Statement(text, bound))
        return await super().rows(statement, values, count)


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of repeated runs."""

    runs: list[float]

    @classmethod
    def of(cls, work: Callable[[], float | None]) -> Times:
        """Run `work` often; it returns its own time in milliseconds, or None if this method is to measure it."""
        runs = []
        for _ in range(WARM_UP + REQUESTS):
            begin = time.perf_counter()
            own = work()
            runs.append((time.perf_counter() - begin) * 1000 if own is None else own)
        return cls(sorted(runs[WARM_UP:]))

    def percentile(self, part: float) -> float:
        """The time that `part` (0 to 1) of the runs do not exceed."""
        return self.runs[min(len(self.runs) - 1, round(part * len(self.runs)))]


def requests(url: str, token: str, document: str) -> Times:
    """Times of one GraphQL request after another on one connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"query": document})

    def ask() -> None:
        connection.request("POST", "/graphql", body, headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        assert b'"errors"' not in content, content[:500]

    try:
        return Times.of(ask)
    finally:
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


def straight(client: Client, statements: list[Statement], customer_id: str) -> Times:
    """Times of the statements one after another through the API's own client, bound to the customer as the service binds them."""
    settings = SETTINGS | tenant_settings(customer_id, has_policies=False)

    def ask() -> None:
        for one in statements:
            client.raw_query(one.text, parameters=one.bound, settings=settings, fmt="JSONEachRow")

    return Times.of(ask)


def engine_alone(client: Client, statements: list[Statement], customer_id: str) -> Times:
    """Times that ClickHouse itself reports for the statements."""
    settings = SETTINGS | tenant_settings(customer_id, has_policies=False)

    def ask() -> float:
        found = [client.query(one.text, parameters=one.bound, settings=settings) for one in statements]
        return sum(int(one.summary["elapsed_ns"]) for one in found) / 1e6

    return Times.of(ask)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Settings, int]]:
    """Run the embedded databases over the data set in `folder` and the API, all on loopback; yields the API's address and process id."""
    with engines(folder) as (settings, _), serving("optiinfra_api", settings) as (url, process):
        yield url, settings, process.pid


@contextmanager
def engines(folder: Path) -> Iterator[tuple[Settings, int]]:
    """Run the embedded databases over the data set in `folder`, on loopback; yields their settings and ClickHouse's process id."""
    settings = Settings(
        home=folder,
        clickhouse_url=clickhouse_url(_free_port()),
        postgres_url=postgres.start(folder / "postgres"),
    )
    port = str(urlsplit(str(settings.clickhouse_url)).port)
    command = ("optiinfra_assets.embedded.clickhouse", "--path", str(folder / "clickhouse"), "--port", port)
    try:
        with _process(command, LOGIN, f"http://127.0.0.1:{port}/ping") as process:
            yield settings, process.pid
    finally:
        postgres.stop(folder / "postgres")


@contextmanager
def serving(
    module: str, settings: Settings, *arguments: str, log: IO[bytes] | None = None, keeps: bool = False
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a web server of ours as a module with ``--port`` and `arguments`, over the databases of `settings`; yields its address and pid.

    Args:
        log: its standard error, None: ours.
        keeps: whether it caches ClickHouse's results; otherwise it asks ClickHouse each time, as if it were the first time.
    """
    environment = {
        **({} if keeps else {"OPTIINFRA_API_ANSWERS": "0"}),
        "OPTIINFRA_CLICKHOUSE_URL": str(settings.clickhouse_url),
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
    }
    port = str(_free_port())
    url = f"http://127.0.0.1:{port}"
    command = (module, "--port", port, *arguments)
    with _process(command, environment, f"{url}/healthz", log) as process:
        yield url, process


@contextmanager
def _process(
    module: tuple[str, ...],
    environment: dict[str, str],
    url: str,
    log: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", *module], env={**os.environ, **environment}, stderr=log)
    try:
        for _ in range(1200):
            with suppress(httpx.HTTPError):
                httpx.get(url, timeout=1)
                break
            assert process.poll() is None, f"{module[0]} ended"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(url: str, keeping: str, settings: Settings, chosen: str) -> None:
    """Print the figures of every query whose name contains `chosen`: for a service without a cache, and for one with it."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    warehouse = Warehouse.connect(settings)
    client = warehouse.client
    heads = (
        "query",
        "customer",
        "HTTP p50",
        "HTTP p99",
        "SQL p50",
        "SQL p99",
        "engine p50",
        "again p50",
        "kB",
    )
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, document in QUERIES.items():
        for who, customer_id in (("median", MEDIAN), ("largest", LARGEST)):
            if chosen not in name:
                continue
            metadata.customers.add(customer_id)
            token = metadata.tokens.issue("benchmark", customer_id, "viewer").plaintext
            statements = asyncio.run(recorded(settings, customer_id, document))
            asked, sql_times = requests(url, token, document), straight(client, statements, customer_id)
            own = engine_alone(client, statements, customer_id)
            again = requests(keeping, token, document)
            figures = (
                asked.percentile(0.5),
                asked.percentile(0.99),
                sql_times.percentile(0.5),
                sql_times.percentile(0.99),
                own.percentile(0.5),
                again.percentile(0.5),
                size(url, token, document) / 1000,
            )
            print(f"| {name} | {who} | {' | '.join(f'{figure:.1f}' for figure in figures)} |", flush=True)
    warehouse.close()
    metadata.close()


def size(url: str, token: str, document: str) -> int:
    """Size of a response in bytes."""
    response = httpx.post(f"{url}/graphql", json={"query": document}, headers={"Authorization": f"Bearer {token}"})
    return len(response.content)


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="line items (default: %(default)s)")
    parser.add_argument("--only", default="", help="only queries with this text in their name")
    options = parser.parse_args()
    dataset.make(options.rows)
    folder = dataset.DATA / str(options.rows)
    with (
        (folder / "service.log").open("wb") as log,
        engines(folder) as (settings, _),
        serving("optiinfra_api", settings, log=log) as (url, _),
        serving("optiinfra_api", settings, log=log, keeps=True) as (keeping, _),
    ):
        measure(url, keeping, settings, options.only)


if __name__ == "__main__":
    main()
