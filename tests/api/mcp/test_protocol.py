"""/mcp by the official SDK's client and by bare requests: who may, who may not, and what is written of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from api_server import serving
from loopback import eventually
from site_world import NOW, spend_and_state
from slowly import never_ending, running, wait_for_statements, waiting
from tool_client import Tools, text_of
from world import World

from optiinfra_api.http.logs import JsonFormatter
from optiinfra_api.http.request_body import MAX_BODY_BYTES
from optiinfra_api.mcp.tools import TOOLS
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import ROLES
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

SAMPLES: dict[str, dict[str, Any]] = {
    "list_accounts": {},
    "find_values": {"dimension": "ACCOUNT"},
    "query_costs": {"period": "last-month", "groupBy": ["ACCOUNT"]},
    "compare_periods": {"period": "this-month", "groupBy": ["ACCOUNT"]},
    "top_resources": {"period": "last-month"},
    "forecast": {"groupBy": ["ACCOUNT"]},
    "reconcile_month": {"month": "2026-10"},
    "run_graphql": {"query": "{ accounts(first: 10) { nodes { id } } }"},
}
"""A call of each tool whose answer names the customer's account."""

ELSEWHERE = {"list_anomalies", "explain_anomaly", "judge_anomaly", "budget_status", "create_budget"}
"""Tools whose answers name no account unless somebody made one; the walk over tenants and the evaluation cases call them."""

VERSION = {"MCP-Protocol-Version": "2025-11-25", "Accept": "application/json, text/event-stream"}


def _post(url: str, token: str | None, method: str = "tools/list", **more: Any) -> httpx.Response:
    headers = VERSION | ({"Authorization": f"Bearer {token}"} if token else {}) | more.pop("headers", {})
    body = {"jsonrpc": "2.0", "id": 1, "method": method, **more}
    return httpx.post(url, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def other(world: World) -> Tools:
    """Another customer, with as much."""
    customer = world.customer()
    spend_and_state(customer)
    return Tools("", customer.token, customer.customer_id)


def test_every_tool_has_a_sample() -> None:
    assert {*SAMPLES, *ELSEWHERE} == TOOLS.keys()


def test_first_requests_at_one_time_are_all_answered_though_one_leaves(world: World) -> None:
    """The first of them loads what speaks the protocol; that goes on when its caller has gone."""
    customer = world.customer()
    with serving(world.settings) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/mcp", headers={"Authorization": f"Bearer {customer.token}"}, json={}, timeout=0.001)
        with ThreadPoolExecutor(8) as callers:
            found = list(callers.map(lambda _: _post(f"{url}/mcp", customer.token), range(8)))
        assert [one.status_code for one in found] == [200] * 8
        assert all(len(one.json()["result"]["tools"]) == len(TOOLS) for one in found)


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_customer_sees_its_own_and_nothing_of_another(tools: Tools, other: Tools, name: str, mode: str) -> None:
    its = Tools(tools.url, tools.token, mode=mode)
    for mine, theirs in ((tools, other), (other, tools)):
        said = text_of(its.of(mine.token).result(name, **SAMPLES[name]))
        assert f"{mine.customer_id}.main" in said
        assert theirs.customer_id not in said


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "run_graphql"])
def test_a_customer_that_is_not_the_tokens_own_is_as_none(tools: Tools, other: Tools, name: str) -> None:
    said = [tools.refused(name, **SAMPLES[name], customer=one) for one in (other.customer_id, "nobody")]
    assert said[0] == said[1].replace("nobody", other.customer_id)
    assert said[1] == "customer: 'nobody' does not exist. Leave customer out for the customer of the token."
    assert not tools.result(name, **SAMPLES[name], customer=tools.customer_id).is_error


@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_read_with_every_tool(world: World, tools: Tools, role: Any) -> None:
    token = world.metadata.tokens.issue("one role", tools.customer_id, role).plaintext
    for name, given in SAMPLES.items():
        assert f"{tools.customer_id}.main" in text_of(tools.of(token).result(name, **given))


def test_an_administrator_changes_nothing_here(world: World, tools: Tools) -> None:
    token = world.metadata.tokens.issue("root", None, "admin").plaintext
    document = 'mutation { createCustomer(customerId: "by-tool", name: "x") { __typename } }'
    assert "only queries are accepted" in tools.of(token).refused("run_graphql", query=document)
    assert "by-tool" not in {one.customer_id for one in world.metadata.customers.find()}


def test_a_token_of_all_customers_names_one(world: World, tools: Tools, other: Tools) -> None:
    root = tools.of(world.metadata.tokens.issue("root", None, "admin").plaintext)
    said = root.refused("query_costs", period="last-month")
    _, begins, names = said.partition("customer: is needed, since the token is for all customers: one of ")
    assert begins
    assert names.split(", ")[0] in {one.customer_id for one in world.metadata.customers.find()}
    for one in (tools, other):
        found = root.call("query_costs", period="last-month", groupBy=["ACCOUNT"], customer=one.customer_id)
        assert {row[0] for row in found["rows"]} == {f"{one.customer_id}.main"}
    assert "customer: 'nobody' does not exist" in root.refused("list_accounts", customer="nobody")


@pytest.fixture(params=["none", "garbage", "revoked", "expired"])
def bad_token(request: pytest.FixtureRequest, world: World, tools: Tools) -> Iterator[str | None]:
    """A token that is not accepted, or none."""
    metadata = world.metadata
    if request.param == "revoked":
        issued = metadata.tokens.issue("revoked", tools.customer_id, "viewer")
        metadata.tokens.revoke(issued.token.token_id)
        yield issued.plaintext
    elif request.param == "expired":
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        issued = metadata.tokens.issue("expired", tools.customer_id, "viewer", soon)
        assert eventually(lambda: metadata.tokens.authenticate(issued.plaintext) is None, pause=0.05)
        yield issued.plaintext
    else:
        yield None if request.param == "none" else "oi_" + "x" * 43


def test_without_a_good_token_the_answer_is_401_and_says_what_to_do(tools: Tools, bad_token: str | None) -> None:
    for method in ("initialize", "tools/list", "tools/call", "no/such"):
        answer = _post(tools.url, bad_token, method)
        assert answer.status_code == 401
        (error,) = answer.json()["errors"]
        assert error["message"] == "a valid token is needed: send the header `Authorization: Bearer oi_...`"
    origin = tools.url.removesuffix("/mcp")
    named = f"{origin}/.well-known/oauth-protected-resource/mcp"
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{named}"'
    assert httpx.get(named).json() == {
        "resource": tools.url, "resource_name": "OptiInfra", "bearer_methods_supported": ["header"]
    }  # fmt: skip
    with pytest.raises(Exception):  # noqa: B017, PT011 - the SDK's own, in a group
        tools.of(bad_token).call("list_accounts")


def test_a_session_of_a_browser_opens_nothing(world: World, tools: Tools) -> None:
    origin = tools.url.removesuffix("/mcp")
    own = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(headers=own) as browser:
        assert browser.post(f"{origin}/sign-in", data={"token": tools.token}).status_code == 303
        assert browser.get(f"{origin}/accounts").status_code == 200
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert browser.post(tools.url, json=body, headers=VERSION).status_code == 401
        with_token = {"Authorization": f"Bearer {tools.token}"}
        assert browser.post(tools.url, json=body, headers=VERSION | with_token).status_code == 200


def test_it_is_there_with_and_without_a_slash_and_by_any_name(tools: Tools) -> None:
    for url in (tools.url, f"{tools.url}/"):
        answer = _post(url, tools.token, headers={"Host": "costs.example.com"})
        assert answer.status_code == 200, answer.text
        assert [one["name"] for one in answer.json()["result"]["tools"]] == list(TOOLS)
        assert httpx.get(url, headers={"Authorization": f"Bearer {tools.token}"}).status_code == 405
        assert httpx.delete(url, headers={"Authorization": f"Bearer {tools.token}"}).status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}', 200),
        (b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', 202),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "prompts/list"}', 200),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_request_of_the_protocol_is_refused(tools: Tools, body: bytes, status: int) -> None:
    headers = VERSION | {"Authorization": f"Bearer {tools.token}", "Content-Type": "application/json"}
    answer = httpx.post(tools.url, content=body, headers=headers, timeout=30)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["error"]["code"] in (-32602, -32601)


def test_a_call_is_a_line_of_the_log_with_who_asked_for_what(tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        call = {"name": "query_costs", "arguments": {"period": "last-month"}}
        answer = _post(tools.url, tools.token, "tools/call", params=call, headers={"X-Request-Id": "tool-4711"})
        assert eventually(lambda: any(one.name == "optiinfra_api.requests" for one in caplog.records))
    (line,) = [
        json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "optiinfra_api.requests"
    ]
    assert (line["endpoint"], line["status"], line["operation"]) == ("mcp", 200, "McpCosts")
    assert (line["customer"], line["outcomes"]) == (tools.customer_id, {"costTrends": "ok"})
    assert line["token_id"]
    assert line["correlation_id"] == answer.headers["x-correlation-id"] == "tool-4711"
    assert str(tools.token) not in caplog.text


def test_limits_are_those_of_graphql(world: World, tools: Tools) -> None:
    with serving(world.settings.model_copy(update={"api_max_rows": 1}), clock=lambda: NOW) as url:
        limited = Tools(f"{url}/mcp", tools.token)
        for name, given in SAMPLES.items():
            if name not in ("list_accounts", "reconcile_month", "run_graphql"):
                assert "OPTIINFRA_API_MAX_ROWS" in limited.refused(name, **given)


def test_a_client_that_leaves_stops_its_statement(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    call = {
        "name": "find_values",
        "arguments": {"dimension": "TAG_KEY", "period": {"start": "2026-10-01", "end": "2026-11-01"}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    with running(settings, warehouse, metadata) as customer, caplog.at_level(logging.INFO, "optiinfra_api.requests"):
        never_ending(warehouse, "raw_costs")
        with waiting(customer, "/mcp", body, Accept="application/json"):
            wait_for_statements(warehouse, "raw_costs", 1)
        wait_for_statements(warehouse, "raw_costs", 0)
        assert eventually(lambda: any(one.name == "optiinfra_api.requests" for one in caplog.records))
    (line,) = [
        json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "optiinfra_api.requests"
    ]
    assert (line["endpoint"], line["status"]) == ("mcp", 499)
    assert set(line["outcomes"].values()) == {"CLIENT_GONE"}


def test_while_postgresql_is_away_the_answer_is_503_and_json(
    settings: Settings, metadata: Metadata, postgres_url: str, warehouse: Warehouse
) -> None:
    name = urlsplit(str(settings.postgres_url)).path.lstrip("/")
    token = metadata.tokens.issue("root", None, "admin").plaintext
    with serving(settings) as url, psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        answer = _post(f"{url}/mcp", token)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
