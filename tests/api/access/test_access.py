"""Who may ask what, and what is said to those who may not; nothing is said of what exists."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import documents
import httpx
import pytest
from api_server import serving
from charges import Charge, slice_of
from expiring import let_expire
from graphql import get_introspection_query
from loopback import CLICKHOUSE_LOGIN, HANG, clickhouse_address, wait_until_answers
from world import World

from optiinfra_api.access import authentication
from optiinfra_api.access.authentication import Authenticator, NotAuthenticated, TooManyAttempts
from optiinfra_api.access.login_throttle import ADDRESS_BURST, OVERALL_BURST, OVERALL_PER_SECOND
from optiinfra_api.graphql import validation_rules
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal, TokenRepository
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}
NOT_AUTHENTICATED = {
    "errors": [
        {
            "message": "a valid token is needed: send the header `Authorization: Bearer oi_...`",
            "extensions": {"code": "UNAUTHENTICATED"},
        }
    ]
}


def _is_refused(response: httpx.Response) -> bool:
    return (
        response.status_code == 401
        and response.json() == NOT_AUTHENTICATED
        and response.headers["www-authenticate"] == "Bearer"
        and response.content.count(b"\n") == 0
    )


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer oi_",
        "Bearer oi_" + "x" * 43,
        "Basic oi_x",
        "Bearer é".encode(),
        "Bearer " + "y" * 9000,
    ],
)
def test_without_a_good_token_nothing_is_said(world: World, header: str | bytes | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    body = {"query": "{ health { isOk } }"}
    assert _is_refused(world.http.post(f"{world.url}/graphql", json=body, headers=headers))


def test_authentication_comes_before_anything_else(world: World) -> None:
    for content in (b"", b"not json", b'{"query": "{"}', b'{"query": "{ nope }"}'):
        assert _is_refused(world.http.post(f"{world.url}/graphql", content=content))


def test_an_expired_and_a_revoked_token_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "TRUSTED_SECONDS", 0)
    customer = world.customer()
    later = datetime.now(UTC) + timedelta(days=1)
    expiring = world.metadata.tokens.issue("soon", customer.customer_id, "viewer", later).plaintext
    assert world.data("{ __typename }", expiring) == {"__typename": "Query"}
    let_expire(world.settings, "soon")
    assert _is_refused(world.post({"query": "{ __typename }"}, expiring))
    revoked = world.metadata.tokens.issue("revoked", customer.customer_id, "viewer").plaintext
    assert world.data("{ __typename }", revoked) == {"__typename": "Query"}
    (token,) = (one for one in world.metadata.tokens.find() if one.name == "revoked")
    world.metadata.tokens.revoke(token.token_id)
    assert _is_refused(world.post({"query": "{ __typename }"}, revoked))


class Tokens:
    """Answers after a moment whether a token is good, as the database does; knows how often and how many at one time it was asked."""

    def __init__(self) -> None:
        self.asked = self.most = self._at_once = 0
        self.tokens = self  # it stands for `Metadata` too

    async def check(self, principal: Callable[[str], Principal | None], header: str) -> Principal | None:
        """For `Authenticator.admit`, as what calls it in a thread."""
        self.asked, self._at_once = self.asked + 1, self._at_once + 1
        self.most = max(self.most, self._at_once)
        await asyncio.sleep(0.01)
        self._at_once -= 1
        if "down" in header:
            raise MetadataUnavailable("it does not answer")
        return principal(header)

    def authenticate(self, token: str) -> Principal | None:
        """For `Authenticator`, as its database."""
        return Principal(token, "test", "acme", "viewer") if token.startswith("good") else None


@pytest.fixture
def tokens() -> Tokens:
    """Asked nothing yet."""
    return Tokens()


def outcomes(tokens: Tokens, *asking: tuple[str, str]) -> dict[str, int]:
    """How requests with a token from an address are answered, all at one time; those after a `PAUSE` when the others are."""
    authenticator = Authenticator(tokens)  # type: ignore[arg-type] # all that it asks of a database

    async def outcome(token: str, address: str) -> str:
        try:
            await authenticator.admit(f"Bearer {token}", address, tokens.check)
        except (NotAuthenticated, TooManyAttempts, MetadataUnavailable) as error:
            return type(error).__name__
        return "admitted"

    async def all_() -> dict[str, int]:
        counts: Counter[str] = Counter()
        for is_pause, group in itertools.groupby(asking, lambda one: one == PAUSE):
            if not is_pause:
                counts.update(await asyncio.gather(*(outcome(*one) for one in group)))
        return dict(counts)

    return asyncio.run(all_())


PAUSE = ("", "")
BURST = int(ADDRESS_BURST)


def test_guesses_at_one_time_ask_the_database_no_more_often_than_one_after_another(tokens: Tokens) -> None:
    guesses = [(f"bad-{number}", "192.0.2.1") for number in range(300)]
    found = outcomes(tokens, *guesses, PAUSE, *guesses)
    assert found == {"NotAuthenticated": tokens.asked, "TooManyAttempts": 600 - tokens.asked}
    assert BURST <= tokens.asked <= BURST + 2, "one more for each second that has passed"


def test_guesses_at_one_time_from_many_addresses_are_limited_together(tokens: Tokens) -> None:
    addresses = [f"192.0.2.{number}" for number in range(30)]
    guesses = [(f"bad-{number}", address) for number in range(BURST) for address in addresses]
    outcomes(tokens, *guesses)
    assert tokens.asked <= OVERALL_BURST + len(addresses) + 2 * OVERALL_PER_SECOND


def test_good_tokens_at_one_time_from_one_address_are_all_admitted(tokens: Tokens) -> None:
    asking = [(f"good-{number % 400}", "192.0.2.1") for number in range(600)]
    assert outcomes(tokens, *asking) == {"admitted": 600}
    assert tokens.most <= BURST
    assert tokens.asked <= 460, "once for each token, but for those that asked before it was known"


def test_a_bad_token_among_good_ones_takes_one_attempt_and_no_more(tokens: Tokens) -> None:
    good = [(f"good-{number}", "192.0.2.1") for number in range(200)]
    bad = [(f"bad-{number}", "192.0.2.1") for number in range(BURST - 2)]
    found = outcomes(tokens, *bad, PAUSE, *good[:100], ("bad", "192.0.2.1"), *good[100:])
    assert found == {"admitted": 200, "NotAuthenticated": BURST - 1}


def test_a_database_that_does_not_answer_uses_up_no_attempt(tokens: Tokens) -> None:
    asking = [(f"down-{number}", "192.0.2.1") for number in range(200)]
    assert outcomes(tokens, *asking, PAUSE, ("good", "192.0.2.1")) == {
        "MetadataUnavailable": 200,
        "admitted": 1,
    }


def test_who_leaves_while_waiting_keeps_nobody_from_being_heard(tokens: Tokens) -> None:
    authenticator = Authenticator(tokens)  # type: ignore[arg-type]

    async def some_leave() -> list[Principal]:
        asking = [
            asyncio.create_task(authenticator.admit(f"Bearer good-{number}", "192.0.2.1", tokens.check))
            for number in range(200)
        ]
        await asyncio.sleep(0.005)
        for one in asking[::3]:
            one.cancel()
        return await asyncio.wait_for(asyncio.gather(*(one for number, one in enumerate(asking) if number % 3)), HANG)

    assert len(asyncio.run(some_leave())) == 133


def test_guesses_at_one_time_are_limited_over_http(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def counted(tokens: TokenRepository, token: str) -> Principal | None:
        nonlocal asked
        asked += 1
        return authenticate(tokens, token)

    async def guess(url: str) -> Counter[int]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=200)) as http:
            headers = [{"Authorization": f"Bearer oi_{number:043d}"} for number in range(200)]
            answers = await asyncio.gather(*(http.post(f"{url}/graphql", json={}, headers=one) for one in headers))
        return Counter(answer.status_code for answer in answers)

    authenticate = TokenRepository.authenticate
    monkeypatch.setattr(TokenRepository, "authenticate", counted)
    with serving(world.settings) as url:
        began = time.monotonic()
        answered = asyncio.run(guess(url))
        refilled = time.monotonic() - began
    assert answered == {401: asked, 429: 200 - asked}
    assert BURST <= asked <= BURST + refilled


def test_a_token_works_in_any_case_of_the_scheme(world: World) -> None:
    response = world.post({"query": "{ __typename }"}, None, Authorization=f"bearer {world.customer().token}")
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.fixture
def two(world: World) -> tuple[Any, Any]:
    """Two customers with data."""
    customers = world.customer(), world.customer()
    for customer in customers:
        slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7), resource="secret", tags={"a": "b"})])
    return customers


# Fields with a filter; that nothing else leaks is walked through in test_isolation_walk.
OPERATIONS = {
    "totalCost": "totalCost(period: $period, customerId: $customerId, filter: $filter) { totals { lineItems } }",
    "costTrends": "costTrends(period: $period, customerId: $customerId, filter: $filter) { series { lineItems } }",
    "costsByType": "costsByType(period: $period, customerId: $customerId, filter: $filter) { types { lineItems } }",
    "costsByResource": "costsByResource(period: $period, first: 5, customerId: $customerId, filter: $filter) { nodes { lineItems } }",
    "costMetrics": "costMetrics(period: $period, first: 5, customerId: $customerId, filter: $filter) { nodes { lineNumber } }",
    "latestCosts": "latestCosts(customerId: $customerId, filter: $filter) { accounts { lineItems } }",
}


def _operation(field: str) -> str:
    body = OPERATIONS[field]
    variables = ["$customerId: String"]
    variables += ["$period: Period!"] if "$period" in body else []
    variables += ["$filter: CostFilter"] if "$filter" in body else []
    return f"query({', '.join(variables)}) {{ {body} }}"


@pytest.mark.parametrize("field", OPERATIONS)
def test_a_filter_for_another_customers_account_finds_nothing(two: tuple[Any, Any], field: str) -> None:
    one, other = two
    asked = {"period": PERIOD, "filter": {"account": [f"{other.customer_id}.main"]}}
    (rows,) = one.data(_operation(field), **asked)[field].values()
    assert rows == []
    (rows,) = one.data(_operation(field), period=PERIOD, filter={"account": [f"{one.customer_id}.main"]})[
        field
    ].values()
    assert len(rows) == 1


def test_the_own_customer_may_be_named(two: tuple[Any, Any]) -> None:
    one, _ = two
    named = one.data(_operation("totalCost"), period=PERIOD, customerId=one.customer_id)
    assert named == one.data(_operation("totalCost"), period=PERIOD)


def test_an_administrator_names_any_customer_that_exists(world: World, two: tuple[Any, Any]) -> None:
    admin = world.metadata.tokens.issue("root", None, "admin").plaintext
    for customer in two:
        data = world.data(_operation("totalCost"), admin, period=PERIOD, customerId=customer.customer_id)
        assert data["totalCost"]["totals"] == [{"lineItems": 1}]
    (error,) = world.answer(_operation("totalCost"), admin, period=PERIOD, customerId="nobody")["errors"]
    assert (error["message"], error["extensions"]["code"]) == (
        "customerId: 'nobody' does not exist",
        "NOT_FOUND",
    )
    (error,) = world.answer(_operation("totalCost"), admin, period=PERIOD)["errors"]
    assert error["message"].startswith("customerId: needed")


def test_a_viewer_triggers_nothing(world: World) -> None:
    customer = world.customer("viewer")
    error = customer.error("mutation { triggerCollection { __typename } }")
    assert error["message"] == "the token has the role viewer; this needs operator"
    assert error["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"query": "{ totalCost("}, 400, "Syntax Error: Expected Name, found <EOF>."),
        ({"query": "{ nope }"}, 400, "Cannot query field 'nope' on type 'Query'."),
        ({"query": "{ health { isOk } } query A { health { isOk } }"}, 400, None),
        ({"query": "query A { __typename }", "operationName": "B"}, 400, None),
        ({"query": ""}, 400, 'the body must be an object with a text "query"'),
        ({}, 400, 'the body must be an object with a text "query"'),
        (
            [{"query": "{ __typename }"}],
            400,
            "a list of operations is not accepted: send one request for each",
        ),
        ({"query": "{ __typename }", "variables": 1}, 400, '"variables" must be an object or left out'),
        ({"query": "{ __typename }", "operationName": 1}, 400, '"operationName" must be a text or left out'),
        ({"query": "subscription { x }"}, 400, None),
        (
            {"query": '{ collectionHistory(first: 1, account: "\\u0000") { nodes { id } } }'},
            400,
            "the character U+0000 is not accepted",
        ),
        (
            {
                "query": "query($id: String!) { collectionStatus(taskId: $id) { total } }",
                "variables": {"id": "\0"},
            },
            400,
            "the character U+0000 is not accepted",
        ),
        (
            {"query": '{ collectionHistory(first: 1, account: "\\u{0}") { nodes { id } } }'},
            400,
            "the character U+0000 is not accepted",
        ),
        (
            {"query": '{ latestCosts(asOf: "0001-01-20T00:00:00Z") { isComplete } }'},
            400,
            "Expected value of type 'DateTime', found \"0001-01-20T00:00:00Z\"; use an instant from 1900-01-01T00:00:00Z on",
        ),
        (
            {"query": '{ latestCosts(asOf: "0001-01-01T00:00:00+14:00") { isComplete } }'},
            400,
            "Expected value of type 'DateTime', found \"0001-01-01T00:00:00+14:00\"; use a form such as 2026-11-30T12:00:00Z",
        ),
        (
            {"query": "query($period: Period!) { totalCost(period: $period) { isComplete } }"},
            400,
            "Variable '$period' of required type 'Period!' was not provided.",
        ),
        (
            {"query": '{ totalCost(period: {start: "2026-10-41", end: "2026-11-01"}) { isComplete } }'},
            400,
            "Expected value of type 'Date!', found \"2026-10-41\"; use a form such as 2026-11-30",
        ),
        (
            {"query": '{ latestCosts(asOf: "2026-10-01T00:00:00") { isComplete } }'},
            400,
            "Expected value of type 'DateTime', found \"2026-10-01T00:00:00\"; use a form such as 2026-11-30T12:00:00Z",
        ),
    ],
)
def test_a_malformed_request_gets_one_clear_message(world: World, body: Any, status: int, message: str | None) -> None:
    response = world.post(body, world.customer().token)
    assert response.status_code == status
    assert "data" not in response.json()
    (error,) = response.json()["errors"]
    assert message is None or error["message"] == message
    assert error["extensions"]["code"] in ("SYNTAX", "BAD_REQUEST")


def test_what_is_no_json_post_is_refused(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.customer().token}"}
    url = f"{world.url}/graphql"
    assert world.http.post(url, content=b"{}", headers=headers).status_code == 415
    response = world.http.post(url, content=b"{", headers=headers | {"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].startswith("the body is not JSON")
    # A backslash may be escaped itself.
    hidden = rb'{"query": "{ collectionHistory(first: 1, account: \"\u005cu0000\") { nodes { id } } }"}'
    response = world.http.post(url, content=hidden, headers=headers | {"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "the character U+0000 is not accepted"
    response = world.http.get(url, params={"query": "{ __typename }"}, headers=headers)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    long = {"query": "{ __typename }" + " " * 300_000}
    assert world.post(long, world.customer().token).status_code == 413


_TWICE = " ".join(f"fragment F{number} on Query {{ ...F{number + 1} ...F{number + 1} }}" for number in range(120))

_CHAIN = "{ ...F0 } " + " ".join(f"fragment F{number} on Query {{ ...F{number + 1} }}" for number in range(245))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            "{ " + " ".join(f"a{number}: __typename" for number in range(validation_rules.MAX_ALIASES + 1)) + " }",
            "the operation has 31 aliases; at most 30 are accepted",
        ),
        (
            "{ " + "__typename " * validation_rules.MAX_TOKENS + "}",
            "Syntax Error: Document contains more than 2000 tokens. Parsing aborted.",
        ),
        ("{ a " * 9 + "}" * 9, "the operation has 9 levels; at most 8 are accepted"),
        ("{ a " * 700 + "}" * 700, "Syntax Error: Document is nested too deeply. Parsing aborted."),
        (
            "{ health(x: " + "[" * 900 + "]" * 900 + ") }",
            "Syntax Error: Document is nested too deeply. Parsing aborted.",
        ),
        (_CHAIN, "the operation is nested too deeply to be read"),
        ("{ ...Missing }", "Unknown fragment 'Missing'."),
        ("{ ...A } fragment A on Query { ...A }", "Cannot spread fragment 'A' within itself."),
        (
            "{ ...F0 } " + _TWICE + " fragment F120 on Query { a: __typename }",
            f"the operation has {2**120} aliases; at most 30 are accepted",
        ),
    ],
    ids=[
        "aliases",
        "tokens",
        "depth",
        "nesting",
        "nested value",
        "chained fragments",
        "no fragment",
        "cycle",
        "doubling fragments",
    ],
)
def test_limits_on_documents(world: World, document: str, message: str) -> None:
    response = world.post({"query": document}, world.customer().token)
    assert response.status_code == 400
    assert message in [error["message"] for error in response.json()["errors"]]
    assert {error["extensions"]["code"] for error in response.json()["errors"]} <= {"SYNTAX", "BAD_REQUEST"}


def test_the_whole_introspection_is_within_the_limits(world: World) -> None:
    document = get_introspection_query(
        schema_description=True,
        directive_is_repeatable=True,
        specified_by_url=True,
        input_value_deprecation=True,
    )
    assert world.data(document, world.customer().token)["__schema"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            'period: {start: "2026-10-01", end: "2026-10-01"}',
            "period: 2026-10-01 to 2026-10-01 is not accepted: it has no day",
        ),
        (
            'period: {start: "2000-10-01", end: "2026-10-01"}',
            "period: 2000-10-01 to 2026-10-01 is not accepted: longer than 3660 days",
        ),
        (
            'period: {start: "1969-10-01", end: "1971-10-01"}',
            "period: 1969-10-01 to 1971-10-01 is not accepted: out of range",
        ),
        (
            'period: {start: "2026-10-01", end: "2026-11-01"}, filter: {service: []}',
            "filter.service: 0 values are not accepted",
        ),
        (
            'period: {start: "2026-10-01", end: "2026-11-01"}, filter: {chargeCategory: ["usage"]}',
            "filter.chargeCategory: 'usage' is not accepted",
        ),
        (
            'period: {start: "2026-10-01", end: "2026-11-01"}, asOf: "2096-01-01T00:00:00Z"',
            "asOf: 2096-01-01T00:00:00+00:00 has not come yet",
        ),
    ],
)
def test_a_value_that_is_not_accepted_is_named(world: World, arguments: str, message: str) -> None:
    error = world.customer().error(f"{{ costTrends({arguments}) {{ isComplete }} }}")
    assert error["message"] == message
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert error["extensions"]["remedy"]


def test_one_field_that_fails_leaves_the_others(world: World) -> None:
    document = "{ latestCosts(days: 0) { isComplete } health { version } }"
    answer = world.answer(document, world.customer().token)
    assert answer["data"]["latestCosts"] is None
    assert answer["data"]["health"]["version"]
    assert [one["path"] for one in answer["errors"]] == [["latestCosts"]]


def test_too_many_groups_are_refused_with_a_remedy(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(1), service=f"s{number}") for number in range(1001)])
    document = "query($period: Period!) { costTrends(period: $period, groupBy: [SERVICE]) { series { service } } }"
    error = customer.error(document, period=PERIOD)
    assert error["message"] == "the answer would have more than 1000 groups"
    assert error["extensions"]["code"] == "TOO_EXPENSIVE"


def test_what_is_unexpected_is_masked_and_found_in_the_log(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    metadata.customers.add("acme")
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        customer = world.customer()
        slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(1))])
        warehouse.client.command("RENAME TABLE cost_by_day TO hidden_table")
        with caplog.at_level(logging.ERROR, "optiinfra_api"):
            response = world.post({"query": documents.TOTAL, "variables": {"period": PERIOD}}, customer.token)
        world.http.close()
    correlation_id = response.headers["x-correlation-id"]
    (error,) = response.json()["errors"]
    assert error["message"] == f"Something went wrong on our side; it is logged as {correlation_id}."
    assert error["extensions"]["correlationId"] == correlation_id
    assert error["extensions"]["code"] == "INTERNAL"
    assert "cost_by_day" not in response.text
    (record,) = (one for one in caplog.records if one.name == "optiinfra_api")
    assert correlation_id in record.getMessage()
    assert "cost_by_day" in caplog.text


@contextmanager
def _clickhouse(path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An embedded ClickHouse of the test's own, killed at the end."""
    module = "optiinfra_assets.embedded.clickhouse"
    command = [sys.executable, "-m", module, "--path", str(path), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **CLICKHOUSE_LOGIN})
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/ping", process)
        yield process
    finally:
        process.kill()
        process.wait(HANG)


def test_a_database_that_is_gone_is_unavailable_until_it_is_back(
    settings: Settings, metadata: Metadata, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = settings.model_copy(update={"clickhouse_url": f"{clickhouse_address(port)}/default"})
    with _clickhouse(tmp_path / "clickhouse", port) as process:
        warehouse = Warehouse.connect(own)
        warehouse.migrate()
        with serving(own) as url:
            world = World(own, warehouse, metadata, url)
            customer = world.customer()
            slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
            customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))])
            before = customer.data(documents.TOTAL, period=PERIOD)
            process.kill()
            process.wait(HANG)
            error = customer.error(documents.TOTAL, period=PERIOD)
            with _clickhouse(tmp_path / "clickhouse", port):
                assert customer.data(documents.TOTAL, period=PERIOD) == before
            world.http.close()
        warehouse.close()
    assert error["message"] == "a database does not answer"
    assert error["extensions"] == {"code": "UNAVAILABLE", "remedy": "Try again in a few seconds."}


def test_healthz_is_open_and_says_nothing(world: World) -> None:
    response = world.http.get(f"{world.url}/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")


def test_health_names_each_part_and_shows_problems_to_administrators_only(world: World) -> None:
    document = "{ health { isOk version parts { name isOk milliseconds problem } } }"
    health = world.data(document, world.customer("admin").token)["health"]
    assert health["isOk"] is False
    assert [(one["name"], one["isOk"], one["problem"]) for one in health["parts"]] == [
        ("clickhouse", True, None),
        ("postgresql", True, None),
        ("dagster", False, None),
    ]
    admin = world.metadata.tokens.issue("root", None, "admin").plaintext
    (problem,) = (one["problem"] for one in world.data(document, admin)["health"]["parts"] if not one["isOk"])
    assert problem == "All connection attempts failed"


def test_graphiql_is_shown_only_where_it_is_allowed(world: World) -> None:
    browser = {"Accept": "text/html"}
    response = world.http.get(f"{world.url}/graphql", headers=browser)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    open_to_all = {"bind_host": "0.0.0.0"}  # noqa: S104 - nothing listens there
    with serving(world.settings.model_copy(update=open_to_all)) as url:
        assert world.http.get(f"{url}/graphql", headers=browser).status_code == 405
    with serving(world.settings.model_copy(update={**open_to_all, "graphiql": True})) as url:
        assert world.http.get(f"{url}/graphql", headers=browser).status_code == 200
    with serving(world.settings.model_copy(update={"graphiql": False})) as url:
        assert world.http.get(f"{url}/graphql", headers=browser).status_code == 405
