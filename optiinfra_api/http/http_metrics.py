"""Counters of this service for Prometheus, in their own registry.

With several worker processes, ``PROMETHEUS_MULTIPROC_DIR`` (set by ``python -m optiinfra_api --workers``) names a folder that they
share, so that any worker answers for all of them. No label contains a customer's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._requests = Counter(
            "optiinfra_api_requests",
            "Fields of operations and exports that were asked for, by how they ended.",
            ["field", "outcome"],
            registry=self._own,
        )
        self._errors = Counter(
            "optiinfra_api_errors", "Errors that were answered, by code.", ["code"], registry=self._own
        )
        self._statements = Counter(
            "optiinfra_api_statements",
            "Statements by what answered them: ClickHouse, or memory, with what ClickHouse had answered before.",
            ["source"],
            registry=self._own,
        )
        self._seconds = Histogram(
            "optiinfra_api_request_seconds",
            "From the first byte asked to the last byte answered.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self._own,
        )
        self._under_way = Gauge(
            "optiinfra_api_requests_under_way",
            "Requests that are being answered.",
            ["endpoint"],
            multiprocess_mode="livesum",
            registry=self._own,
        )

    def registry(self) -> CollectorRegistry:
        """The registry to show: the counters of this process, or of all workers together."""
        if SHARED_FOLDER not in os.environ:
            return self._own
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry

    @contextmanager
    def under_way(self, endpoint: str) -> Iterator[None]:
        """Count a request as under way."""
        with self._under_way.labels(endpoint).track_inprogress():
            yield

    def count(
        self,
        endpoint: str,
        seconds: float,
        outcomes: Mapping[str, str],
        codes: Iterable[str],
        statements: Mapping[str, int],
    ) -> None:
        """Count an answered request: its `outcomes` by field, the `codes` of its errors, and its `statements` by source."""
        self._seconds.labels(endpoint).observe(seconds)
        for field, outcome in outcomes.items():
            self._requests.labels(field, outcome).inc()
        for code in codes:
            self._errors.labels(code).inc()
        for source, count in statements.items():
            self._statements.labels(source).inc(count)
