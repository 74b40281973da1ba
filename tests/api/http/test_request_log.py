"""One line of JSON a request, with what finds it again and without what must not be read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import documents
import pytest
from exporting import ask
from hypothesis import given
from hypothesis import strategies as st
from loopback import eventually
from world import World

from optiinfra_api.http.logs import JsonFormatter, redacted

PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}
_FORMATTER = JsonFormatter()


def _lines(caplog: pytest.LogCaptureFixture, count: int) -> list[dict[str, Any]]:
    """The `count` lines of requests, as the service writes them: each when its client has its answer already."""

    def written() -> list[logging.LogRecord]:
        return [one for one in caplog.records if one.name == "optiinfra_api.requests"]

    assert eventually(lambda: len(written()) >= count), written()
    return [json.loads(_FORMATTER.format(one)) for one in written()]


def test_a_request_is_one_line_that_says_who_asked_for_what(world: World, caplog: pytest.LogCaptureFixture) -> None:
    customer = world.customer()
    with caplog.at_level(logging.INFO, "optiinfra_api.requests"):
        response = world.post(
            {"query": documents.TOTAL.replace("query(", "query Spent("), "variables": {"period": PERIOD}},
            customer.token,
            **{"X-Request-Id": "build-4711"},
        )
        ask(world, customer.token, "total.csv", X_Correlation_Id="export.4711")
        world.http.get(f"{world.url}/healthz")
        first, second = _lines(caplog, 2)
    assert response.headers["x-correlation-id"] == first["correlation_id"] == "build-4711"
    token_ids = [one.token_id for one in world.metadata.tokens.find() if one.customer_id == customer.customer_id]
    ours = {
        "level": "INFO",
        "logger": "optiinfra_api.requests",
        "customer": customer.customer_id,
        "token_id": token_ids[0],
    }
    assert {name: first[name] for name in ours} == {name: second[name] for name in ours} == ours
    assert (first["endpoint"], first["operation"], first["status"]) == ("graphql", "Spent", 200)
    assert first["outcomes"] == {"totalCost": "ok"}
    assert first["bytes"] == len(response.content)
    assert first["ms"] > 0
    assert (second["endpoint"], second["correlation_id"]) == ("export", "export.4711")
    assert second["outcomes"] == {"export/total.csv": "ok"}
    assert first["time"].endswith("+00:00")


def test_a_task_that_a_request_started_is_in_its_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    customer = world.customer("operator")
    with caplog.at_level(logging.INFO, "optiinfra_api.requests"):
        customer.data("mutation { triggerCollection { __typename } }")
        customer.error("{ latestCosts(days: 0) { isComplete } }")
        started, failed = _lines(caplog, 2)
    assert started["outcomes"] == {"triggerCollection": "ok"}
    assert started["task_id"] is None  # no account: no task
    assert failed["outcomes"] == {"latestCosts": "INVALID_ARGUMENT"}


@pytest.mark.parametrize("given", ["short", "has space in it", 'x"}\n{"level"', "ü" * 10, "x" * 65, "-leading-dash"])
def test_a_correlation_id_that_is_not_well_formed_is_replaced(world: World, given: str) -> None:
    headers = {b"X-Correlation-Id": given.replace("\n", " ").encode()}
    response = world.http.get(f"{world.url}/healthz", headers=headers)
    assert len(response.headers["x-correlation-id"]) == 32


def test_a_token_that_a_client_uses_as_a_name_is_not_written(world: World, caplog: pytest.LogCaptureFixture) -> None:
    token = world.customer().token
    name = token.replace("-", "_")
    with caplog.at_level(logging.INFO, "optiinfra_api.requests"):
        headers = {"X-Correlation-Id": token}
        world.post({"query": f"query {name} {{ __typename }}"}, token, **headers)
        (line,) = _lines(caplog, 1)
    assert line["operation"] == "oi_***"
    assert len(line["correlation_id"]) == 32


SECRETS: dict[str, Callable[[str], str]] = {
    "our token": lambda secret: f"rejected oi_{secret}{secret} at once",
    "bearer": lambda secret: f"{{'Authorization': 'Bearer {secret}'}}",
    "basic": lambda secret: f"Authorization: Basic {secret}",
    "raw": lambda secret: f"authorization={secret}",
    "url": lambda secret: f"connection to postgresql://optiinfra:{secret}@db.example:5432/x failed",
    "api key": lambda secret: f'{{"api_key": "{secret}", "region": "eu"}}',
    "setting": lambda secret: f"OPTIINFRA_CLICKHOUSE_PASSWORD={secret}",
    "query": lambda secret: f"GET /x?sig={secret}&se=2026 failed",
    "aws": lambda secret: f"aws_secret_access_key = {secret}",
    "client secret": lambda secret: f"client_secret='{secret}'",
}


@pytest.mark.parametrize("kind", SECRETS)
@given(secret=st.text("abcdefABCDEF0123456789-_", min_size=16, max_size=43))
def test_what_looks_like_a_secret_is_not_written(kind: str, secret: str) -> None:
    said = SECRETS[kind](secret)
    assert secret not in redacted(said)
    assert "***" in redacted(said)
    try:
        raise ValueError(said)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed: %s", (said,), None)
        record.exc_info = (type(error), error, error.__traceback__)
    line = json.loads(_FORMATTER.format(record))
    assert secret not in line["message"]
    assert said not in line["trace"]
    assert json.loads(json.dumps(line)) == line


def test_what_is_no_secret_stays() -> None:
    said = "42: GET /export/total.csv of customer acme took 3 ms; token_id 9f3c has the role viewer; tokens: 3"
    assert redacted(said) == said


def test_a_private_key_is_not_written() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nABC\n-----END RSA PRIVATE KEY-----"
    assert redacted(f"key {key} refused") == "key *** refused"
    assert redacted(key[:40]) == "***"
    assert redacted("AKIAIOSFODNN7EXAMPLE is unknown") == "*** is unknown"
