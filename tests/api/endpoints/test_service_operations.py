"""What those who run the service see of it: readiness, metrics; and what browsers may do with it."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import clickhouse_connect
import documents
import httpx
import psycopg
from api_server import SCRAPER, serving
from charges import Charge, slice_of
from exporting import ask, counted
from prometheus_client.parser import text_string_to_metric_families
from world import World

from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.failures import AFTER_PERMANENT, Fault
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}


def _samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Value by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _metrics(url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    response = httpx.get(f"{url}/metrics", headers=SCRAPER)
    assert response.status_code == 200, response.text
    return _samples(response.text)


def test_metrics_count_what_was_asked_and_how_it_ended(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        customer = world.customer()
        customer.publish(
            slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)),
            [Charge(date(2026, 10, 5), Decimal(7))],
        )
        two = "query($period: Period!) { a: totalCost(period: $period) { isComplete } latestCosts(days: 0) { isComplete } }"
        world.answer(two, customer.token, period=PERIOD)
        customer.data(documents.TOTAL, period=PERIOD)
        ask(world, customer.token, "total.csv")
        ask(world, customer.token, "total.csv", [("start", "x")])
        world.post({"query": "{ __typename }"}, None)
        counted(world, 'optiinfra_api_request_seconds_count{endpoint="export"} 2.0')
        found = _metrics(url)
        text = httpx.get(f"{url}/metrics", headers=SCRAPER).text
        world.http.close()
    assert found["optiinfra_api_requests_total", ("totalCost", "ok")] == 2
    assert found["optiinfra_api_requests_total", ("latestCosts", "INVALID_ARGUMENT")] == 1
    assert found["optiinfra_api_requests_total", ("export/total.csv", "ok")] == 1
    assert found["optiinfra_api_requests_total", ("export/total.csv", "INVALID_ARGUMENT")] == 1
    assert found["optiinfra_api_errors_total", ("INVALID_ARGUMENT",)] == 2
    assert found["optiinfra_api_errors_total", ("UNAUTHENTICATED",)] == 1
    assert found["optiinfra_api_request_seconds_count", ("graphql",)] == 3
    assert found["optiinfra_api_request_seconds_count", ("export",)] == 2
    assert found["optiinfra_api_requests_under_way", ("metrics",)] == 1
    assert customer.customer_id not in text


def test_metrics_show_how_the_platform_does(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    _history(metadata)
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        customer = world.customer()
        through = datetime(2026, 11, 3, tzinfo=UTC)
        slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10), "aws")
        for _ in range(2):
            customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))], data_through=through)
        found = _metrics(url)
        world.http.close()
    assert found["optiinfra_up", ("clickhouse",)] == found["optiinfra_up", ("postgresql",)] == 1
    assert found["optiinfra_accounts", ("aws",)] == 2
    assert found["optiinfra_accounts_failing", ("aws",)] == 1
    assert found["optiinfra_slices_due", ("aws",)] == 1
    assert found["optiinfra_slices_failing", ("source", "aws")] == 1
    assert 7200 <= found["optiinfra_failure_age_seconds", ("source", "aws")] < 7260
    assert 0 < found["optiinfra_collection_lag_seconds", ("aws",)] < 60
    assert 0 < found["optiinfra_probe_age_seconds", ("aws",)] < 60
    assert found["optiinfra_collections_open", ("aws", "running")] == 1
    assert found["optiinfra_collections_total", ("aws", "succeeded")] == 1
    assert found["optiinfra_provider_requests_total", ("aws",)] == 7
    assert found["optiinfra_provider_request_cost_usd_total", ("aws",)] == 0.07
    assert found["optiinfra_generations", ("loading",)] == 1
    assert found["optiinfra_alert_messages", ("dead",)] == 0
    assert found["optiinfra_publications_total", ("aws",)] == 2
    lag = found["optiinfra_data_lag_seconds", ("aws",)]
    assert abs(lag - (datetime.now(UTC) - through).total_seconds()) < 60


def _history(metadata: Metadata) -> None:
    """Two accounts: one with a change to collect and a history, one whose probe failed."""
    metadata.customers.add("secretive")
    for name in ("good", "bad"):
        metadata.accounts.add(Account(f"secretive.{name}", "secretive", "aws"))
    month = BillingPeriod(2026, 10)
    slice_ = Slice("secretive", "aws", "secretive.good", month)
    metadata.slices.record_probe("secretive.good", {month: "token-1"}, datetime.now(UTC))
    rejected = {"secretive.bad": ("credential rejected", Fault.CREDENTIAL)}
    metadata.work_queue.record_probe_errors(rejected, datetime.now(UTC))
    late = datetime.now(UTC) - timedelta(hours=2)
    metadata.failures.record(slice_, "row 1: not accepted", Fault.SOURCE, late, AFTER_PERMANENT)
    done = metadata.collections.start("task-1", "cli", slice_, "run-1")
    metadata.collections.finish(done, "succeeded", generation=1, rows=4, requests=7, request_cost=Decimal("0.07"))
    metadata.collections.start("task-2", "cli", slice_, "run-2")
    metadata.slices.start_generation(slice_, "run-2")


def test_metrics_are_shown_without_a_database(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    with serving(settings) as url:
        warehouse.client.command("RENAME TABLE publications TO hidden_table")
        found = _metrics(url)
        kept = _metrics(url)
    assert found["optiinfra_up", ("clickhouse",)] == kept["optiinfra_up", ("clickhouse",)] == 0
    assert found["optiinfra_up", ("postgresql",)] == 1
    assert not any(name == "optiinfra_publications_total" for name, _ in found)


def test_ready_says_which_part_is_not(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    def ready() -> tuple[int, Any]:
        with serving(settings) as url:
            response = httpx.get(f"{url}/readyz", headers=SCRAPER)
        content = response.json()
        assert content.pop("automation") == "unknown: Dagster does not answer", (
            "it is said, and is no part that must answer"
        )
        return response.status_code, content

    assert ready() == (200, {"ready": True, "parts": {"clickhouse": "ok", "postgresql": "ok"}})
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        connection.execute("DELETE FROM optiinfra.schema_migrations WHERE number = 3")
        behind = "1 migrations have not run: `optiinfra migrate`"
        assert ready() == (503, {"ready": False, "parts": {"clickhouse": "ok", "postgresql": behind}})
        connection.execute(
            "INSERT INTO optiinfra.schema_migrations (number, name, checksum) VALUES (9999, 'later', 'x')"
        )
        newer = "its migrations are not those of this version"
        assert ready() == (503, {"ready": False, "parts": {"clickhouse": "ok", "postgresql": newer}})
    database = warehouse.client.database
    dsn = str(settings.clickhouse_url)
    with (
        serving(settings) as url,
        clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False) as client,
    ):
        client.command(f"DROP TABLE {database}.schema_migrations SYNC")
        parts = httpx.get(f"{url}/readyz", headers=SCRAPER).json()["parts"]
    count = len(sql_files.names("clickhouse", "migrations"))
    assert parts["clickhouse"] == f"{count} migrations have not run: `optiinfra migrate`"


def test_answers_are_compressed_from_a_packet_on(world: World) -> None:
    token = world.customer().token
    long = world.post({"query": "{ __schema { types { name description } } }"}, token, **{"Accept-Encoding": "gzip"})
    assert (long.status_code, long.headers["content-encoding"], long.headers["vary"]) == (
        200,
        "gzip",
        "Accept-Encoding",
    )
    assert "content-encoding" not in world.post({"query": "{ __typename }"}, token).headers


def test_no_page_may_ask_unless_its_origin_is_allowed(world: World) -> None:
    origin = {"Origin": "https://finops.example"}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    assert "access-control-allow-origin" not in world.http.options(f"{world.url}/graphql", headers=preflight).headers
    allowed = world.settings.model_copy(update={"api_cors_origins": "https://finops.example, https://other.example"})
    with serving(allowed) as url:
        answer = httpx.options(f"{url}/graphql", headers=preflight)
        refused = httpx.options(f"{url}/graphql", headers={**preflight, "Origin": "https://evil.example"})
        token = world.customer().token
        asked = httpx.post(
            f"{url}/graphql",
            json={"query": "{ __typename }"},
            headers={**origin, "Authorization": f"Bearer {token}"},
        )
    assert answer.headers["access-control-allow-origin"] == "https://finops.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-origin" not in refused.headers
    assert asked.headers["access-control-allow-origin"] == "https://finops.example"
    assert "X-Correlation-Id" in asked.headers["access-control-expose-headers"]


def test_no_label_can_be_chosen_by_who_asks(world: World) -> None:
    token = world.customer().token
    for path in ("/chosen-by-me", "/export/chosen-by-me.csv", "/graphql/chosen-by-me"):
        world.http.get(f"{world.url}{path}", headers={"Authorization": f"Bearer {token}"})
    world.post({"query": "query ChosenByMe { chosenByMe: __typename }"}, token)
    text = world.http.get(f"{world.url}/metrics", headers=SCRAPER).text
    assert "chosen" not in text.lower()
    assert os.environ.get("PROMETHEUS_MULTIPROC_DIR") is None
