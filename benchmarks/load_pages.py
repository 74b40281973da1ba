"""Measures whether deeper pages of costMetrics take longer: the first, the second and the hundredth of 100 line items each."""

from __future__ import annotations

import json
from typing import Any

import httpx

from benchmarks.load_client import Ask, Load, percentiles, run

DEPTHS = (1, 2, 100)
ROUNDS = 4
REQUESTS = 40
_SIZE = 100
_DOCUMENT = """
query Page($first: Int!, $after: String) {
  costMetrics(period: {start: "2025-12-01", end: "2026-12-01"}, first: $first, after: $after) {
    nodes { generation lineNumber chargePeriodStart billedCost { amount currency } serviceName resourceId tags }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def measure(url: str, tokens: dict[str, str]) -> None:
    """Print a row for each customer and page; `tokens` by customer. For a customer with fewer pages the last page is the deepest."""
    print("| costMetrics of 365 days | page | p50 / p95 / p99 ms |")
    print("|---|---|---|")
    for customer_id, token in tokens.items():
        pages = _walk(url, token, max(DEPTHS))
        times: dict[int, list[float]] = {min(depth, len(pages)): [] for depth in DEPTHS}
        for _ in range(ROUNDS):
            # Alternate, because the load of the machine changes.
            for depth, measured in times.items():
                measured += run(Load([[pages[depth - 1]]], 1, REQUESTS, 60)).times
        for depth, measured in times.items():
            print(f"| {customer_id} | {depth} | {percentiles(measured)} |", flush=True)


def _walk(url: str, token: str, most: int) -> list[Ask]:
    """Return the requests of the first `most` pages; no line item occurs twice."""
    found: list[Ask] = []
    seen: set[tuple[int, int]] = set()
    after = None
    while len(found) < most:
        ask, page = _page(url, token, after)
        seen |= {(node["generation"], node["lineNumber"]) for node in page["nodes"]}
        found.append(ask)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(seen) == _SIZE * len(found), "a line item came twice"
    return found


def _page(url: str, token: str, after: str | None) -> tuple[Ask, dict[str, Any]]:
    body = json.dumps({"query": _DOCUMENT, "variables": {"first": _SIZE, "after": after}})
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    answer = httpx.post(f"{url}/graphql", content=body, headers=headers).raise_for_status().text
    said = json.loads(answer)
    assert "errors" not in said, said["errors"]
    return Ask(f"{url}/graphql", headers, body, answer), said["data"]["costMetrics"]
