"""The service under load: requests per second and times of its five main queries, for 1, 8 and 32 clients, on a large warehouse.

``python -m benchmarks.load --rows 50000000`` uses the warehouse of `benchmarks.queries` (filled once), starts the embedded engines, and
prints tables in Markdown. Each query is asked of the service with one worker and with two, of one that keeps answers (the others ask
ClickHouse anew each time), of a bare ASGI endpoint that returns the same bytes, and of ClickHouse itself: the same statements one after
another, straight over HTTP. Then the first and the hundredth page of costMetrics. ``--profile`` instead runs the service under cProfile
and prints what the query that costs it most spends its time on.
An answer that differs from the right one ends it all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import httpx
import psutil
from clickhouse_connect.driver.binding import bind_query

from benchmarks import dataset, load_pages, load_profile
from benchmarks.load_client import WARM_UP, Ask, Load, percentiles, run
from benchmarks.queries import LARGEST, MEDIAN, QUERIES, SETTINGS, Statement, recorded
from benchmarks.serving import engines, serving
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.tenant_filter import tenant_settings

MAIN = (
    "totalCost, 30 days",
    "costTrends, 30 days by service",
    "costsByResource, top 100 of 30 days",
    "costsByType, 365 days",
    "costMetrics, newest 100 of 30 days",
)
CLIENTS = (1, 8, 32)
PEOPLE = 8
"""Tokens that the clients share, so that no token exceeds its limit of requests under way."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its customer and tokens, its document, its right response, and the statements that it runs."""

    name: str
    customer_id: str
    tokens: list[str]
    document: str
    answer: str
    statements: list[Statement]

    def of_service(self, url: str) -> list[list[Ask]]:
        """The requests of each person to the service."""
        return [[graphql(url, token, self.document, self.answer)] for token in self.tokens]

    def of_bare(self, url: str, number: int) -> list[list[Ask]]:
        """The same requests to the bare endpoint, where the response has a number."""
        return [[replace(ask, url=f"{url}/{number}") for ask in asks] for asks in self.of_service(url)]

    def of_clickhouse(self, url: str) -> list[list[Ask]]:
        """The same statements, sent to ClickHouse as the service sends them."""
        settings = SETTINGS | tenant_settings(self.customer_id, has_policies=False)
        asks = []
        for statement in self.statements:
            text, bound = bind_query(statement.text, statement.bound)
            address = f"{url}/?{urlencode({'database': 'default', **settings, **bound})}"
            body = f"{text}\n FORMAT JSONEachRow"
            asks.append(Ask(address, {}, body, httpx.post(address, content=body).raise_for_status().text))
        return [asks]


def graphql(url: str, token: str, document: str, answer: str) -> Ask:
    """A GraphQL request."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    return Ask(f"{url}/graphql", headers, json.dumps({"query": document}), answer)


def tokens(settings: Settings, customer_id: str) -> list[str]:
    """Create new tokens of a customer, one for each person."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    metadata.customers.add(customer_id)
    found = [metadata.tokens.issue("benchmark", customer_id, "viewer").plaintext for _ in range(PEOPLE)]
    metadata.close()
    return found


def main_queries(url: str, settings: Settings, customer_id: str) -> list[Query]:
    """The main queries of a customer; compares their responses with ClickHouse's results."""
    asking = tokens(settings, customer_id)
    found = []
    for name in MAIN:
        document = QUERIES[name]
        ask = graphql(url, asking[0], document, "")
        answer = httpx.post(ask.url, content=ask.body, headers=ask.headers).raise_for_status().text
        statements = asyncio.run(recorded(settings, customer_id, document))
        query = Query(name, customer_id, asking, document, answer, statements)
        _check(query, str(settings.clickhouse_url))
        found.append(query)
    return found


def _check(query: Query, clickhouse_url: str) -> None:
    """Check that every amount of the response is ClickHouse's, in the same order."""
    said = json.loads(query.answer)
    assert "errors" not in said, said["errors"]
    (asks,) = query.of_clickhouse(clickhouse_url.removesuffix("/default"))
    rows = [json.loads(line) for ask in asks for line in ask.answer.splitlines()]
    amounts = [row.get("total", row.get("billed_cost")) for row in rows]
    shown = list(_amounts(said))
    assert shown, f"{query.name}: no amount in the answer: fill a larger warehouse"
    assert shown == [amount for amount in amounts if amount is not None][: len(shown)], query.name


def _amounts(said: Any) -> Iterator[str]:
    """Yield the amount of each `Money` in a response."""
    if isinstance(said, dict):
        if isinstance(said.get("amount"), str):
            yield said["amount"]
        for value in said.values():
            yield from _amounts(value)
    elif isinstance(said, list):
        for value in said:
            yield from _amounts(value)


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


@dataclass(frozen=True, slots=True)
class Measuring:
    """Loads of one size, and the CPU time that they cost.

    Attributes:
        clickhouse: process id of ClickHouse.
        requests: most requests of each load.
        seconds: longest duration of each load.
    """

    clickhouse: int
    requests: int
    seconds: float

    def head(self) -> None:
        """Print the head of the table."""
        columns = "".join(f" {clients}: requests/s | p50 / p95 / p99 ms |" for clients in CLIENTS)
        print(f"| query | asked |{columns} CPU ms: asked | ClickHouse | clients |")
        print("|---|---|" + "---|" * (2 * len(CLIENTS) + 3), flush=True)

    def row(self, name: str, who: str, pid: int, people: list[list[Ask]]) -> None:
        """Print the row of one query and one server, whose process id is `pid`; CPU time is that of one request."""
        before, runs = (cpu(pid), cpu(self.clickhouse)), []
        for clients in CLIENTS:
            runs.append(run(Load(people, clients, self.requests, self.seconds)))
        # The warm-up is part of the measured CPU time, too.
        requests = sum(len(one.times) for one in runs) + WARM_UP * sum(CLIENTS)
        spent = [cpu(pid) - before[0], cpu(self.clickhouse) - before[1]]
        costs = [f"{seconds / requests * 1000:.2f}" for seconds in spent]
        if pid == self.clickhouse:
            costs[0] = ""
        own = sum(one.cpu for one in runs) / sum(len(one.times) for one in runs)
        cells = [f"{one.rate:,.0f} | {percentiles(one.times)}" for one in runs]
        print(f"| {name} | {who} | " + " | ".join([*cells, *costs, f"{own * 1000:.2f}"]) + " |", flush=True)


def measure(settings: Settings, customer_id: str, measuring: Measuring, log: IO[bytes]) -> None:
    """Print the table of the main queries, and that of pages."""
    with ExitStack() as stack:
        one, one_process = stack.enter_context(serving("optiinfra_api", settings, log=log))
        two, two_process = stack.enter_context(serving("optiinfra_api", settings, "--workers", "2", log=log))
        keeping, keeping_process = stack.enter_context(serving("optiinfra_api", settings, log=log, keeps=True))
        queries = main_queries(one, settings, customer_id)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optiinfra-load-")))
        for number, query in enumerate(queries):
            (folder / str(number)).write_text(query.answer)
        bare = serving("benchmarks.load_bare", settings, "--answers", str(folder))
        bare_url, bare_process = stack.enter_context(bare)
        print(f"load average {os.getloadavg()[0]:.1f} before\n")
        measuring.head()
        clickhouse = str(settings.clickhouse_url).removesuffix("/default")
        for number, query in enumerate(queries):
            measuring.row(query.name, "bare endpoint", bare_process.pid, query.of_bare(bare_url, number))
            measuring.row(query.name, "ClickHouse", measuring.clickhouse, query.of_clickhouse(clickhouse))
            measuring.row(query.name, "service, 1 worker", one_process.pid, query.of_service(one))
            measuring.row(query.name, "service, 2 workers", two_process.pid, query.of_service(two))
            kept = "service, 1 worker, asked before"
            measuring.row(query.name, kept, keeping_process.pid, query.of_service(keeping))
        print()
        load_pages.measure(one, {MEDIAN: tokens(settings, MEDIAN)[0], LARGEST: tokens(settings, LARGEST)[0]})
        print(f"\nload average {os.getloadavg()[0]:.1f} after")


def profile(settings: Settings, customer_id: str, load: tuple[int, float], log: IO[bytes]) -> None:
    """Print where the query that costs the service most CPU time spends it."""
    requests, seconds = load
    with serving("optiinfra_api", settings, log=log) as (url, process):
        queries = main_queries(url, settings, customer_id)
        spent = {}
        for query in queries:
            before = cpu(process.pid)
            figures = run(Load(query.of_service(url), 8, requests, seconds))
            spent[query.name] = (cpu(process.pid) - before) / len(figures.times)
            print(f"{query.name:<40} {spent[query.name] * 1000:6.2f} ms CPU a request")
    dearest = max(queries, key=lambda query: spent[query.name])
    with tempfile.TemporaryDirectory(prefix="optiinfra-load-") as folder:
        found = Path(folder) / "profile"
        arguments = ("--write", str(found))
        with serving("benchmarks.load_profile", settings, *arguments, log=log) as (url, process):
            people = dearest.of_service(url)
            run(Load(people, 8, requests, 1))
            process.send_signal(load_profile.BEGIN)
            figures = run(Load(people, 8, requests, seconds))
            process.send_signal(load_profile.END)
            load_profile.show(found, dearest.name, len(figures.times) + 8 * WARM_UP)


def main() -> None:
    """Fill the warehouse if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="line items (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=3000, help="of one load at most (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of one load at most (default: %(default)s)")
    parser.add_argument("--customer", default=MEDIAN, help="whose data (default: %(default)s, the median one)")
    parser.add_argument("--profile", action="store_true", help="show what the dearest query spends its time on")
    options = parser.parse_args()
    dataset.make(options.rows)
    folder = dataset.DATA / str(options.rows)
    with (folder / "service.log").open("wb") as log, engines(folder) as (settings, clickhouse):
        if options.profile:
            profile(settings, options.customer, (options.requests, options.seconds), log)
        else:
            measure(settings, options.customer, Measuring(clickhouse, options.requests, options.seconds), log)


if __name__ == "__main__":
    main()
