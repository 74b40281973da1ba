"""An export that fails on its way is never a file that looks whole; one that nobody reads any more stops in the engine."""

from __future__ import annotations

import json
import logging
import threading
import time
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from exporting import PERIOD, ask, asking, counted
from relay import relay
from slowly import (
    SECONDS_A_LINE,
    many,
    never_ending,
    running,
    taking_its_time,
    wait_for_statements,
    waiting,
)

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

ROWS = 60_000


def _receive(response: httpx.Response, received: bytearray) -> None:
    for chunk in response.iter_raw():
        received += chunk


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_failure_after_the_first_byte_breaks_the_connection(
    settings: Settings,
    warehouse: Warehouse,
    metadata: Metadata,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    rows = ROWS if form == "csv" else 250_000
    received = bytearray()
    with running(settings, warehouse, metadata) as customer:
        many(warehouse, rows, failing_at=rows - 1)
        with (
            caplog.at_level(logging.ERROR, "optiinfra_api"),
            asking(customer.world, customer.token, f"line-items.{form}") as response,
        ):
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                _receive(response, received)
        broken = f'{{field="export/line-items.{form}",outcome="BROKEN"}}'
        counted(customer.world, f"optiinfra_api_requests_total{broken} 1.0")
    assert len(received) > 100_000
    assert b"planted failure" not in received
    assert b"__exception__" not in received
    assert not received.endswith(b"PAR1")
    (said,) = (one.getMessage() for one in caplog.records if one.name == "optiinfra_api" and one.levelname == "ERROR")
    correlation_id = response.headers["x-correlation-id"]
    assert correlation_id in said
    # The broken connection may reach the service before it has read the failure at the end of what came.
    assert "a planted failure" in said or f"under the query id {correlation_id}." in said


def test_a_connection_to_the_engine_that_breaks_is_logged_with_the_query_id(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(str(settings.clickhouse_url))
    server = str(address.hostname), int(address.port or 8123)
    with relay(*server, b"FORMAT CSV", delivered=True, answered=2_000_000) as between:
        url = str(settings.clickhouse_url).replace(f":{address.port}/", f":{between.port}/")
        through = settings.model_copy(update={"clickhouse_url": url})
        with (
            running(through, warehouse, metadata) as customer,
            caplog.at_level(logging.ERROR, "optiinfra_api"),
        ):
            many(warehouse, ROWS)
            with (
                asking(customer.world, customer.token, "line-items.csv") as response,
                pytest.raises(httpx.RemoteProtocolError),
            ):
                _receive(response, bytearray())
    (said,) = (one.getMessage() for one in caplog.records if one.name == "optiinfra_api" and one.levelname == "ERROR")
    assert f"under the query id {response.headers['x-correlation-id']}." in said


def test_a_packed_file_that_broke_cannot_be_unpacked_to_its_end(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        many(warehouse, ROWS, failing_at=ROWS - 1)
        with pytest.raises(httpx.RemoteProtocolError):
            ask(customer.world, customer.token, "line-items.csv", Accept_Encoding="gzip")


def test_a_failure_before_the_first_byte_is_an_answer(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        many(warehouse, 1, failing_at=1)
        response = ask(customer.world, customer.token, "line-items.csv")
    assert response.status_code == 500
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "planted" not in response.text


def test_who_stops_reading_is_waited_for(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    with running(settings, warehouse, metadata) as customer:
        many(warehouse, ROWS)
        with asking(customer.world, customer.token, "line-items.csv") as response:
            chunks = response.iter_raw()  # dropping it would close the connection
            received = len(next(chunks))
            threading.Event().wait(1)
            wait_for_statements(warehouse, "raw_costs", 1)
            received += sum(len(chunk) for chunk in chunks)
        whole = ask(customer.world, customer.token, "line-items.csv").content
    assert received == len(whole)
    assert whole.count(b"\n") == ROWS + 2


def test_who_leaves_in_the_middle_stops_the_statement(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        many(warehouse, 4 * ROWS)
        taking_its_time(warehouse)
        began = time.monotonic()
        with asking(customer.world, customer.token, "line-items.csv") as response:
            chunks = response.iter_raw()
            assert next(chunks)
            wait_for_statements(warehouse, "raw_costs", 1)
        wait_for_statements(warehouse, "raw_costs", 0)
        assert time.monotonic() - began < 4 * ROWS * SECONDS_A_LINE, "it was not stopped, it came to its end"


def test_who_leaves_before_the_first_byte_stops_the_statement(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_trends")
        with waiting(customer, f"/export/total.csv?{urlencode(PERIOD)}"):
            wait_for_statements(warehouse, "cost_trends", 1)
        wait_for_statements(warehouse, "cost_trends", 0)


def test_an_export_over_its_limits_names_them(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    limited = settings.model_copy(update={"api_export_max_rows": 5000, "api_export_max_seconds": 1})
    with running(limited, warehouse, metadata) as customer:
        many(warehouse, 6000)
        over_rows = ask(customer.world, customer.token, "line-items.csv")
        never_ending(warehouse, "cost_trends")
        over_time = ask(customer.world, customer.token, "total.csv")
    for response, message in (
        (over_rows, "over the limit on the size of one answer, 5000 rows (OPTIINFRA_API_EXPORT_MAX_ROWS)"),
        (over_time, "over the limit on the time of one statement, 1 s (OPTIINFRA_API_EXPORT_MAX_SECONDS)"),
    ):
        assert response.status_code == 422
        assert json.loads(response.content)["errors"] == [
            {
                "message": message,
                "extensions": {
                    "code": "TOO_EXPENSIVE",
                    "remedy": "Ask for a shorter period, fewer groups or a narrower filter.",
                },
            }
        ]
