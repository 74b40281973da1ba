"""The page ``/metrics``, and figures on the whole platform for Prometheus, read from both databases and Dagster, and cached for a while.

Scrapers see it with their token, and others with a token for all customers. It never fails: a part that does not answer is
``optiinfra_up 0``, and its figures are left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from optiinfra_api.access.platform_access import admit_to_platform
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG, format_unexpected
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.http_metrics import Metrics
from optiinfra_assets.domain.automation import Automation
from optiinfra_assets.metadata.platform_figures import PlatformStatistics

KEPT_SECONDS = 15
READING_PART = 20
"""Figures are cached for at least this many times as long as reading them took, so that reading takes at most 5 % of a database's time."""

_PATIENCE = 5
_OPEN = frozenset({"queued", "running", "retrying"})


class MetricsEndpoint:
    """``/metrics``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kept: list[Metric] = []
        self._until = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer the page, or the error why it is not shown."""
        services: Services = request.app.state.services
        try:
            await admit_to_platform(request, services)
        except HttpError as refused:
            return Response(orjson.dumps(refused.body()), refused.status, refused.headers, "application/json")
        except Exception as error:  # noqa: BLE001 - what is raised here must not reach the caller
            body, status = format_unexpected(error)
            return Response(orjson.dumps(body), status, media_type="application/json")
        await self._refresh(services)
        registry = CollectorRegistry()
        registry.register(_Collected([*self._metrics.registry().collect(), *self._kept]))
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _refresh(self, services: Services) -> None:
        """Read the figures again if they are too old; wait at most `_PATIENCE` seconds, so that a slow read serves later requests."""
        if time.monotonic() < self._until:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(services))
        await asyncio.wait((self._reading,), timeout=_PATIENCE)

    async def _read(self, services: Services) -> None:
        began = time.monotonic()
        figures, published, automations = await asyncio.gather(
            _or_none("postgresql", services.run(services.metadata.platform_figures.read)),
            _or_none("clickhouse", services.engine.figures("published_by_provider")),
            _or_none("dagster", services.automations()),
        )
        up = GaugeMetricFamily("optiinfra_up", "Whether a part of the platform answers.", labels=["part"])
        up.add_metric(["postgresql"], figures is not None)
        up.add_metric(["clickhouse"], published is not None)
        up.add_metric(["dagster"], automations is not None)
        self._kept = [up, *_of_postgres(figures), *_of_clickhouse(published), *_of_dagster(automations)]
        now = time.monotonic()
        self._until = now + max(KEPT_SECONDS, READING_PART * (now - began))


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics that were collected before."""
        return self._metrics


async def _or_none(name: str, reading: Awaitable[Any]) -> Any:
    try:
        return await reading
    except Exception as error:  # noqa: BLE001 - the page never fails
        LOG.warning("no figures of %s: %s", name, error or type(error).__name__)
        return None


def _of_postgres(figures: PlatformStatistics | None) -> Iterator[Metric]:
    if figures is None:
        return
    now = datetime.now(UTC)
    for name, help_, rows in (
        ("accounts", "Active accounts.", [([one.provider], one.accounts) for one in figures.accounts]),
        (
            "accounts_failing",
            "Active accounts whose last probe failed.",
            [([one.provider], one.failing) for one in figures.accounts],
        ),
        (
            "probe_age_seconds",
            "Since the last answered probe of the active account that waited longest.",
            [([one.provider], _age(now, one.oldest_probe)) for one in figures.accounts],
        ),
        (
            "last_success_age_seconds",
            "Since the newest collection that went well.",
            [([one.provider], _age(now, one.last_success)) for one in figures.slices if one.last_success],
        ),
        (
            "slices_due",
            "Slices seen to have changed and not collected.",
            [([one.provider], one.due) for one in figures.slices],
        ),
        (
            "collection_lag_seconds",
            "Since the first of the slices that are due was seen to have changed; 0 if none is.",
            [([one.provider], _age(now, one.due_since)) for one in figures.slices],
        ),
    ):
        yield _family(GaugeMetricFamily, name, help_, ["provider"], rows)
    for name, help_, rows in (
        (
            "slices_failing",
            "Slices whose last collection failed, by whose fault it is.",
            [([one.provider, one.fault], one.slices) for one in figures.failures],
        ),
        (
            "failure_age_seconds",
            "Since the first of the slices that are failing failed first.",
            [([one.provider, one.fault], _age(now, one.since)) for one in figures.failures],
        ),
    ):
        yield _family(GaugeMetricFamily, name, help_, ["provider", "fault"], rows)
    yield _family(
        GaugeMetricFamily,
        "collections_open",
        "Slices in the queue and under way.",
        ["provider", "status"],
        [([one.provider, one.status], one.collections) for one in figures.collections if one.status in _OPEN],
    )
    yield _family(
        CounterMetricFamily,
        "collections",
        "Slices whose collection ended.",
        ["provider", "status"],
        [([one.provider, one.status], one.collections) for one in figures.collections if one.status not in _OPEN],
    )
    providers = sorted({one.provider for one in figures.collections})
    for name, help_, attribute in (
        ("provider_requests", "Requests made to a provider.", "requests"),
        (
            "provider_request_cost_usd",
            "What a provider charges for them, as a float: for alarms, not for sums.",
            "request_cost",
        ),
    ):
        sums = [
            (
                [provider],
                float(sum(getattr(one, attribute) for one in figures.collections if one.provider == provider)),
            )
            for provider in providers
        ]
        yield _family(CounterMetricFamily, name, help_, ["provider"], sums)
    rows = [([state], count) for state, count in figures.generations.items()]
    yield _family(GaugeMetricFamily, "generations", "Generations begun, by what became of them.", ["state"], rows)
    rows = [([state], figures.alert_messages.get(state, 0)) for state in ("waiting", "sent", "dead")]
    help_ = "Messages of alerts that are kept, by state; dead: given up after a day, until somebody sends them again."
    yield _family(GaugeMetricFamily, "alert_messages", help_, ["state"], rows)


def _of_clickhouse(published: list[dict[str, Any]] | None) -> Iterator[Metric]:
    if published is None:
        return
    now = time.time()
    generations = [([row["provider"]], row["generations"]) for row in published]
    yield _family(CounterMetricFamily, "publications", "Generations published.", ["provider"], generations)
    lags = [([row["provider"]], now - row["behind"]) for row in published if row["behind"] is not None]
    yield _family(
        GaugeMetricFamily,
        "data_lag_seconds",
        "Since the instant that the data of the account furthest behind are complete to.",
        ["provider"],
        lags,
    )


def _of_dagster(automations: list[Automation] | None) -> Iterator[Metric]:
    if automations is None:
        return
    running = [([one.kind, one.name], float(one.is_running)) for one in automations]
    help_ = "Whether a schedule or sensor that the platform needs runs; 0: a person stopped it."
    yield _family(GaugeMetricFamily, "automation_running", help_, ["kind", "name"], running)


def _family(
    kind: type[Any], name: str, help_: str, labels: list[str], rows: Sequence[tuple[list[str], float]]
) -> Metric:
    family: Metric = kind(f"optiinfra_{name}", help_, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)  # type: ignore[attr-defined]
    return family


def _age(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else (now - since).total_seconds()
