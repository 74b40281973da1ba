"""The web pages: time on the server beside their own GraphQL operations, bytes, and what a browser shows when.

``python -m benchmarks.web_pages --rows 20000000`` uses the warehouse of `benchmarks.queries` (filled once), starts the embedded engines and
the service, which asks ClickHouse anew each time, and prints tables in Markdown: for each page the median of its time and of the same
operations sent to /graphql one after another, in turns; the bytes of a first visit and of each page after it, compressed; and how long
Debian's Chromium takes to the first contentful paint and to the drawn chart. The budget: a page takes at most twice its operations and
10 ms; 400 KB for the first visit, 30 KB for a page; 0.5 s and 1.5 s on an idle machine.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import uvicorn
from playwright.sync_api import sync_playwright

from benchmarks import dataset
from benchmarks.queries import LARGEST
from benchmarks.serving import engines, serving
from optiinfra_api.app import create_app
from optiinfra_api.server.config import server_config
from optiinfra_api.server.limits import ConnectionLimits
from optiinfra_api.web.visit import Visit
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings

TURNS = 15
VISITS = 5
BUDGET = {"first": 400 * 1024, "page": 30 * 1024, "fcp": 0.5, "chart": 1.5}
RESOURCE = """{ costsByResource(period: {start: "2026-11-01", end: "2026-12-01"}, first: 100) { nodes { account resourceId } } }"""
Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians in milliseconds of a page and of its operations, and how many those are."""

    path: str
    page: float
    graphql: float
    operations: int

    @property
    def is_within(self) -> bool:
        """Whether it is in the budget."""
        return self.page <= 2 * self.graphql + 10


def paths(url: str, token: str) -> list[str]:
    """The pages that are measured, with a resource that exists."""
    answer = httpx.post(
        f"{url}/graphql", json={"query": RESOURCE}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    # Charges of no resource are a row of their own, which has no page.
    one = next(one for one in answer.json()["data"]["costsByResource"]["nodes"] if one["resourceId"])
    resource = f"account={quote(one['account'])}&resource={quote(one['resourceId'])}"
    return [
        "/",
        "/explore",
        "/explore?period=12-months&compare=1",
        "/explore?group=REGION&group=SERVICE",
        "/resources",
        f"/resources/resource?{resource}",
        "/accounts",
        "/settings",
    ]


@contextmanager
def in_this_process(settings: Settings) -> Iterator[str]:
    """The service in a thread, so that what its pages ask can be seen."""
    server = uvicorn.Server(server_config(create_app(settings), ConnectionLimits(), host="127.0.0.1", port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def browsing(url: str, token: str) -> Iterator[httpx.Client]:
    """A client that is signed in as a browser's page is."""
    headers = {"Origin": url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
    with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
        assert client.post("/sign-in", data={"token": token}).status_code == 303
        yield client


def operations(url: str, token: str) -> dict[str, list[Operation]]:
    """The GraphQL operations of each page, in their order."""
    found: dict[str, list[Operation]] = {}
    asked: list[Operation] = []
    ask = Visit.ask

    async def noted(visit: Visit, document: str, **variables: Any) -> dict[str, Any]:
        asked.append({"query": document, "variables": variables})
        return await ask(visit, document, **variables)

    Visit.ask = noted  # type: ignore[method-assign]
    with browsing(url, token) as browser:
        for path in paths(url, token):
            asked.clear()
            assert browser.get(path).status_code == 200, path
            found[path] = list(asked)
    Visit.ask = ask  # type: ignore[method-assign]
    return found


def timed(browser: httpx.Client, asked: dict[str, list[Operation]]) -> list[Measured]:
    """The time of each page beside its operations, in turns, after one of each that does not count."""
    found = []
    for path, ones in asked.items():
        pages, graphql = [], []
        for turn in range(TURNS + 1):
            begin = time.perf_counter()
            assert browser.get(path).status_code == 200
            middle = time.perf_counter()
            for one in ones:
                assert "data" in browser.post("/graphql", json=one).json()
            if turn:
                pages.append((middle - begin) * 1000)
                graphql.append((time.perf_counter() - middle) * 1000)
        found.append(Measured(path, statistics.median(pages), statistics.median(graphql), len(ones)))
    return found


def seen(url: str, token: str, wanted: list[str]) -> list[tuple[str, int, float, float]]:
    """Path, bytes, seconds to the first contentful paint and to the chart: of the first visit, and of each page after it."""
    found = []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page()
        sizes: list[int] = []
        page.on(
            "requestfinished", lambda done: sizes.append(max(0, done.sizes()["responseBodySize"]))
        )  # cached: below 0
        page.goto(f"{url}/sign-in")
        page.fill("#token", token)
        page.press("#token", "Enter")
        page.wait_for_selector("html[data-chart=drawn]")
        page.wait_for_load_state("networkidle")
        found.append(("first visit", sum(sizes), _paint(page), _drawn(page)))
        for path in wanted:
            paints, charts, counts = [], [], []
            for _ in range(VISITS):
                sizes.clear()
                page.goto(f"{url}{path}")
                page.wait_for_load_state("networkidle")
                paints.append(_paint(page))
                charts.append(_drawn(page))
                counts.append(sum(sizes))
            found.append((path, max(counts), statistics.median(paints), statistics.median(charts)))
        chromium.close()
    return found


def _paint(page: Any) -> float:
    """Seconds from the beginning of the navigation to the first contentful paint."""
    paint: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    return paint / 1000


def _drawn(page: Any) -> float:
    """Seconds to the chart; 0 if the page has none."""
    mark: float = page.evaluate("performance.getEntriesByName('chart drawn')[0]?.startTime ?? 0")
    return mark / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="line items of the warehouse")
    rows = parser.parse_args().rows
    folder = dataset.DATA / str(rows)
    if not folder.exists():
        dataset.make(rows)
    with engines(folder) as (settings, _):
        metadata = Metadata.connect(settings)
        metadata.migrate()
        metadata.customers.add(LARGEST)
        token = metadata.tokens.issue("benchmark", LARGEST, "viewer").plaintext
        metadata.close()
        with in_this_process(settings) as url:
            asked = operations(url, token)
        with serving("optiinfra_api", settings) as (url, _), browsing(url, token) as browser:
            _print_times(timed(browser, asked))
            _print_seen(seen(url, token, list(asked)))


def _print_times(found: list[Measured]) -> None:
    print(
        "\n| page | operations | page, ms (p50) | its operations, ms (p50) | within 2 x + 10 ms |\n|---|---|---|---|---|"
    )
    for one in found:
        shown = one.path.partition("&resource=")[0]
        print(
            f"| `{shown}` | {one.operations} | {one.page:.1f} | {one.graphql:.1f} | {'yes' if one.is_within else 'NO'} |"
        )


def _print_seen(found: list[tuple[str, int, float, float]]) -> None:
    print("\n| visit | bytes | first contentful paint, s | chart, s | within |\n|---|---|---|---|---|")
    for path, size, paint, chart in found:
        most = BUDGET["first" if path == "first visit" else "page"]
        is_within = size <= most and paint <= BUDGET["fcp"] and chart <= BUDGET["chart"]
        shown = path.partition("&resource=")[0]
        print(
            f"| `{shown}` | {size:,} | {paint:.2f} | {f'{chart:.2f}' if chart else '-'} | {'yes' if is_within else 'NO'} |"
        )


if __name__ == "__main__":
    main()
