"""Whatever is sent to the running service, it answers: no status of 500, no masked error, nothing of its inside, nothing over a limit.

An error that is masked has a cause nobody thought of: here it is a failure. The examples are the same in each run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import fuzzing
import pytest
from charges import Charge, slice_of
from exporting import ask
from fuzzing import ANYTHING, MUTATIONS, QUERIES, check_answer, check_errors, leaks, literal
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode
from isolation_walk import Operation, Planted
from isolation_walk import operations as walked
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol
from world import Customer, World

from optiinfra_api.export.arguments import ACCEPTED
from optiinfra_api.graphql.validation_rules import MAX_ALIASES, MAX_DEPTH, MAX_TOKENS
from optiinfra_api.schema import schema
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.vault.credential_audit import Actor

MANY = 1100
"""More than a page or an answer may hold."""

OCTOBER = BillingPeriod(2026, 10)
WALKED = walked(schema._schema)
PERSISTED = st.fixed_dictionaries(
    {"version": st.sampled_from([1, 1, 2, "1"]), "sha256Hash": st.sampled_from(["0" * 64, "x", None, 7])}
)


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """The same `examples` in each run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def _customer(world: World) -> Customer:
    """One with an account, its secret, and a task; its token is an administrator's."""
    customer = world.customer("admin")
    account = Account(_account(customer), customer.customer_id, "focus", {"location": "s3://nowhere/costs"})
    world.metadata.accounts.add(account)
    world.metadata.credentials.put(account, {"key": "secret"}, Actor("fuzz", "x"))
    many = [slice_of(customer.customer_id, f"a{number}", OCTOBER) for number in range(MANY)]
    world.metadata.collections.queue(f"{customer.customer_id}-task", "api", many)
    return customer


def _account(customer: Customer) -> str:
    return f"{customer.customer_id}.main"


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """One with more of everything than an answer may hold."""
    customer = _customer(world)
    for version in (1, 2):
        charges = [
            Charge(
                date(2026, 10, 1 + number % 30),
                Decimal(number * version),
                service=f"s-{number}",
                resource=f"r-{number}",
                tags={"team": f"t-{number}"},
            )
            for number in range(MANY)
        ]
        customer.publish(slice_of(customer.customer_id, "main", OCTOBER), charges)
    return customer


@pytest.fixture(scope="module")
def spent(world: World) -> Customer:
    """One that mutations may do anything to."""
    return _customer(world)


def _known(customer: Customer) -> dict[str, list[str]]:
    """Literals that lead somewhere, by the name of the argument."""
    token, *_ = [one for one in customer.world.metadata.tokens.find() if one.customer_id == customer.customer_id]
    page = customer.data(
        'query { costMetrics(period: {start: "2026-10-01", end: "2026-11-01"}, first: 5) { pageInfo { endCursor } } }'
    )["costMetrics"]["pageInfo"]
    return {
        "period": [
            '{start: "2026-10-01", end: "2026-11-01"}',
            '{start: "2026-10-02", end: "2026-10-03"}',
            '{start: "1971-01-01", end: "1975-01-01"}',
        ],
        "customerId": ["null", literal(customer.customer_id)],
        "account": ["null", literal(_account(customer))],
        "accountId": [literal(_account(customer))],
        "after": ["null", "null", literal(page["endCursor"] or "")],
        "taskId": [literal(f"{customer.customer_id}-task")],
        "tokenId": [literal(token.token_id[:-1])],
        "billingPeriod": ['"2026-10"'],
        "provider": ["null", '"focus"'],
        "first": ["1", "10", "1000"],
        "days": ["1", "31"],
        "groupByTag": ["null", '"team"'],
        "asOf": ["null", literal(datetime.now(UTC).isoformat())],
        "filter": ["null", '{service: ["s-1", null], tag: {key: "team", values: [null, "t-1"]}}'],
        "credential": ['{focus: {location: "s3://nowhere/else"}}', '{vultr: {apiKey: "x"}}'],
        "settings": ['{focus: {region: "eu-west-1"}}'],
        "secrets": ['{vultr: {apiKey: "x"}}'],
    }


@pytest.fixture(scope="module")
def root(world: World) -> str:
    """The token of an administrator of all customers."""
    return world.metadata.tokens.issue("root", None, "admin").plaintext


@pytest.fixture(scope="module")
def known(customer: Customer) -> dict[str, list[str]]:
    return _known(customer)


@pytest.fixture(scope="module")
def known_of_spent(spent: Customer) -> dict[str, list[str]]:
    return _known(spent)


def _asked(customer: Customer, document: str, token: str) -> None:
    check_answer(customer.world.post({"query": document}, token), document)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_is_answered(customer: Customer, known: dict[str, list[str]], name: str) -> None:
    @fuzzed(7)
    @given(document=fuzzing.operations(name, known))
    def fits(document: str) -> None:
        _asked(customer, document, customer.token)

    @fuzzed(2)
    @given(document=fuzzing.operations(name, known, Mode.NEGATIVE))
    def does_not_fit(document: str) -> None:
        _asked(customer, document, customer.token)

    fits()
    if fuzzing.can_be_broken(name):
        does_not_fit()


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_is_answered(
    spent: Customer, known_of_spent: dict[str, list[str]], root: str, name: str
) -> None:
    token = root if name == "createCustomer" else spent.token

    @fuzzed(8)
    @given(document=fuzzing.operations(name, known_of_spent))
    def answered(document: str) -> None:
        _asked(spent, document, token)

    answered()


@pytest.mark.parametrize("operation", [one for one in WALKED if one.kind != "subscription"], ids=lambda one: one.name)
def test_variables_of_any_kind_are_answered(
    customer: Customer, spent: Customer, root: str, operation: Operation
) -> None:
    asking = customer if operation.kind == "query" else spent
    token = root if operation.name == "createCustomer" else asking.token
    own = Planted(asking.customer_id, _account(asking), f"{asking.customer_id}-task", *["x"] * 8, admin=token)
    leaves = [one for one in operation.leaves if one.path != ("test",)]

    @fuzzed(4)
    @given(data=st.data())
    def answered(data: st.DataObject) -> None:
        variables = operation.own(own)
        for leaf in data.draw(st.lists(st.sampled_from(leaves), max_size=2) if leaves else st.just([])):
            inner = variables
            for name in leaf.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[leaf.path[-1]] = data.draw(ANYTHING)
        body = {"query": operation.document, "variables": variables}
        check_answer(asking.world.post(body, token), json.dumps(body, ensure_ascii=False))

    answered()


def _sent(customer: Customer, content: bytes, content_type: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {customer.token}", "Content-Type": content_type}
    response = customer.world.http.post(f"{customer.world.url}/graphql", content=content, headers=headers)
    return check_answer(
        response,
        content.decode(errors="replace"),
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


BODIES = st.binary(max_size=60) | st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {},
        optional={
            "query": st.sampled_from(["{ __typename }", "", "{", "query A { __typename } query B { __typename }"])
            | ANYTHING,
            "variables": ANYTHING,
            "operationName": st.sampled_from(["A", "C"]) | ANYTHING,
            "extensions": ANYTHING | st.builds(lambda one: {"persistedQuery": one}, ANYTHING | PERSISTED),
        },
    ),
).map(lambda body: json.dumps(body).encode())


@fuzzed(60)
@given(
    content=BODIES,
    content_type=st.sampled_from(["application/json"] * 9 + ["", "text/plain", "application/json; charset=x"]),
)
@example(content=b"[" * 100_000, content_type="application/json")
@example(content=b'{"query": "\xff"}', content_type="application/json")
@example(
    content=b'{"query": "{ __typename }", "variables": {"a": ' + b"[" * 2000 + b"]" * 2000 + b"}}",
    content_type="application/json",
)
@example(
    content=b'{"query": "query($a: Int) { __typename }", "variables": {"a": 1e999}}',
    content_type="application/json",
)
def test_any_body_is_answered(customer: Customer, content: bytes, content_type: str) -> None:
    _sent(customer, content, content_type)


def _deep(levels: int) -> str:
    return "{ health { parts " + "{ name " * (levels - 2) + "}" * (levels - 1) + " }"


def _aliased(aliases: int) -> str:
    return "{ " + " ".join(f"a{number}: __typename" for number in range(aliases)) + " }"


def _long(tokens: int) -> str:
    return "{ " + "__typename " * (tokens - 2) + "}"


@fuzzed(20)
@given(
    limited=st.sampled_from(
        [
            (_deep, MAX_DEPTH, "levels; at most 8"),
            (_aliased, MAX_ALIASES, "aliases; at most 30"),
            (_long, MAX_TOKENS, "2000 tokens"),
        ]
    ),
    over=st.integers(1, 12),
    inside=st.booleans(),
)
def test_a_document_over_a_limit_is_told_the_limit(
    customer: Customer, limited: tuple[Callable[[int], str], int, str], over: int, inside: bool
) -> None:
    make, most, said = limited
    document = make(most + over)
    if inside:
        document = f"query {{ ...all }} fragment all on Query {document}"
    response = customer.world.post({"query": document}, customer.token)
    answer = check_answer(response, document)
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert any(said in one["message"] for one in answer["errors"]), answer


EXPORTS = {
    HTTPStatus.OK,
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
NAMES = sorted({name for names in ACCEPTED.values() for name in names} | {"x", "first", ""})
VALUES = [
    "USD",
    "aws",
    "1",
    "31",
    "2026-10-05",
    "2100-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "SERVICE",
    "LIST",
    "1.2",
    "",
    "\0",
    "٣",
]


@fuzzed(60)
@given(
    what=st.sampled_from([*ACCEPTED, *ACCEPTED, "x", "..", "total%00", "a/b"]),
    ending=st.sampled_from([".csv", ".parquet", ".csv", ".json", ""]),
    more=st.lists(
        st.tuples(st.sampled_from(NAMES) | st.text(max_size=4), st.sampled_from(VALUES) | st.text(max_size=6)),
        max_size=3,
    ),
    match=st.sampled_from(["", "*", 'W/"x"', ",,", '"']),
)
def test_any_export_is_answered(
    customer: Customer, what: str, ending: str, more: list[tuple[str, str]], match: str
) -> None:
    start = [] if what == "latest" else [("start", "2026-10-01"), ("end", "2026-10-04")]
    response = ask(customer.world, customer.token, f"{what}{ending}", [*start, *more], If_None_Match=match)
    if response.request.url.path == "/":  # what the client makes of ``..``: the pages, which lead to the sign-in
        assert response.status_code == HTTPStatus.SEE_OTHER
        return
    assert response.status_code in EXPORTS, (what, more, response.text)
    if (
        response.status_code not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
        and "json" in response.headers["content-type"]
    ):
        errors = response.json()["errors"]
        check_errors(errors, str(more))
        assert leaks(response.text, str(more)) == []


SILENCE = 0.05
"""Seconds after which a service that answers in milliseconds is taken to have said all."""

IDS = st.sampled_from(["1", "1", "2", "", "x" * 200, "ä" * 90])
SUBSCRIPTIONS = [
    'subscription { collectionEvents(taskId: "fuzz-task") { cursor status } }',
    'subscription { collectionEvents(since: "2020-01-01T00:00:00Z") { cursor } }',
    "subscription($text: String) { collectionEvents(after: $text, taskId: $text) { cursor } }",
    "subscription($filter: CostFilter) { publicationEvents(filter: $filter) { cursor } }",
    "subscription { nothing }",
    "subscription {",
    "query A { health { isOk } } query B { health { isOk } }",
    'mutation { addCredential(name: "x", credential: {vultr: {apiKey: "zq-secret"}} }',
    "",
]
REQUESTS = st.fixed_dictionaries(
    {"query": st.sampled_from(SUBSCRIPTIONS)},
    optional={
        "variables": st.fixed_dictionaries({}, optional={"text": ANYTHING, "filter": ANYTHING}) | ANYTHING,
        "operationName": st.none() | ANYTHING,
    },
)
MESSAGES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["subscribe"] * 5 + ["complete", "ping", "pong", "connection_init", "next", "x" * 200])
        | ANYTHING
    },
    optional={"id": IDS | ANYTHING, "payload": REQUESTS | ANYTHING},
)
FRAMES = st.lists(
    st.builds(lambda id_, payload: {"type": "subscribe", "id": id_, "payload": payload}, IDS, REQUESTS).map(json.dumps)
    | MESSAGES.map(json.dumps)
    | ANYTHING.map(json.dumps)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    min_size=1,
    max_size=4,
)


def _subscribing(variables: Any) -> str:
    payload = {"query": SUBSCRIPTIONS[2], "variables": variables}
    return json.dumps({"type": "subscribe", "id": "1", "payload": payload})


@fuzzed(30)
@given(frames=FRAMES, says_who=st.sampled_from([True, True, True, False]))
@example(frames=[_subscribing({"text": "\0"})], says_who=True)
@example(frames=[_subscribing([])], says_who=True)
@example(frames=['"text"'], says_who=True)
@example(frames=["[" * 60_000], says_who=True)
@example(frames=['{"type": "subscribe", "id": "\\ud800", "payload": {"query": "subscription {"}}'], says_who=True)
@example(frames=['{"type": "subscribe", "id": ["1"], "payload": {"query": "x"}}'], says_who=True)
def test_any_frames_are_answered(customer: Customer, frames: list[str | bytes], says_who: bool) -> None:
    first = {"type": "connection_init", "payload": {"authorization": f"Bearer {customer.token}"}}
    url = f"{customer.world.url.replace('http', 'ws')}/graphql"
    sent = str(frames)
    opened = [json.dumps(first)] if says_who else []
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        for message in _said(socket, opened + frames):
            assert message["type"] in ("connection_ack", "pong", "next", "error", "complete"), (sent, message)
            payload = message.get("payload") or {}
            check_errors(payload if isinstance(payload, list) else payload.get("errors", ()), sent)
            assert leaks(json.dumps(payload), sent) == [], (sent, message)
        if socket.close_code is not None:
            assert 4400 <= socket.close_code < 4500, (sent, socket.close_code)
            assert leaks(socket.close_reason or "", sent) == [], (sent, socket.close_reason)


def _said(socket: ClientConnection, frames: list[str | bytes]) -> Iterator[dict[str, Any]]:
    """Every message until the service is silent or closes the connection."""
    with suppress(TimeoutError, ConnectionClosed):
        for frame in frames:
            socket.send(frame)
        while True:
            yield json.loads(socket.recv(timeout=SILENCE))
