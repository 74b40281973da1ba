"""Subscriptions over a real WebSocket: who is let in, what comes, and that nothing is missed between two connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from slowly import running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol
from world import Customer, World

from optiinfra_api.access import authentication
from optiinfra_api.endpoints.websocket_messages import SUBSCRIPTIONS
from optiinfra_api.fields.collections import subscriptions
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

OCTOBER = BillingPeriod(2026, 10)
COLLECTIONS = """subscription($after: String, $since: DateTime, $taskId: String) {
  collectionEvents(after: $after, since: $since, taskId: $taskId) {
    cursor taskId account billingPeriod status attempt generation lineItems error } }"""
PUBLICATIONS = """subscription($after: String, $since: DateTime) {
  publicationEvents(after: $after, since: $since) { cursor account billingPeriod generation lineItems } }"""


@contextmanager
def connected(world: World, token: str | None) -> Iterator[ClientConnection]:
    """A connection that has said who it is."""
    url = f"{world.url.replace('http', 'ws')}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], open_timeout=10) as socket:
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        yield socket


def heard(socket: ClientConnection) -> dict[str, Any]:
    """The next message."""
    message: dict[str, Any] = json.loads(socket.recv(timeout=15))
    return message


@contextmanager
def subscribed(world: World, token: str, document: str, **variables: Any) -> Iterator[Iterator[Any]]:
    """The payloads of one subscription."""
    with connected(world, token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        request = {"query": document, "variables": variables}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        yield (message.get("payload", message) for message in iter(lambda: heard(socket), None))


def until_heard(customer: Customer, events: Iterator[Any]) -> str:
    """The protocol does not say when a subscription has begun: the cursor of the first event that it tells."""
    stop = threading.Event()

    def call() -> None:
        number = 0
        while not stop.wait(0.3):
            queue(customer, f"ws-hello-{number}")
            number += 1

    caller = threading.Thread(target=call)
    caller.start()
    seen = next(events)["data"]["collectionEvents"]
    stop.set()
    caller.join()
    last = customer.world.metadata.collections.history(first=1, customer_id=customer.customer_id)[0].task_id
    while seen["taskId"] != last:
        seen = next(events)["data"]["collectionEvents"]
    return str(seen["cursor"])


def queue(customer: Customer, task: str, account: str = "a") -> None:
    slice_ = slice_of(customer.customer_id, account, OCTOBER)
    customer.world.metadata.collections.queue(task, "api", [slice_])


def test_collections_are_told_as_they_go(world: World) -> None:
    customer, other = world.customer(), world.customer()
    slice_ = slice_of(customer.customer_id, "a", OCTOBER)
    with subscribed(world, customer.token, COLLECTIONS) as events:
        until_heard(customer, events)
        queue(other, "ws-foreign")
        row = world.metadata.collections.start("ws-task", "api", slice_, "run")
        world.metadata.collections.finish(row, "succeeded", generation=7, rows=3)
        told = [next(events)["data"]["collectionEvents"] for _ in range(2)]
    assert [(one["taskId"], one["status"]) for one in told] == [
        ("ws-task", "RUNNING"),
        ("ws-task", "SUCCEEDED"),
    ]
    assert (told[1]["generation"], told[1]["lineItems"], told[1]["account"]) == (7, 3, slice_.account_id)


def test_events_of_one_connection_do_not_add_up_to_a_limit_of_one_operation(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_answer_rows": 1})
    with running(limited, warehouse, metadata) as customer:
        begin = datetime.now(UTC) - timedelta(minutes=1)
        (slice_,) = customer.published
        for number in range(3):
            queue(customer, f"early-{number}")
            customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(number))])
        with subscribed(customer.world, customer.token, COLLECTIONS, since=begin.isoformat()) as events:
            told = [next(events)["data"]["collectionEvents"]["taskId"] for _ in range(3)]
            queue(customer, "late")
            told.append(next(events)["data"]["collectionEvents"]["taskId"])
        with subscribed(customer.world, customer.token, PUBLICATIONS, since=begin.isoformat()) as events:
            published = [next(events)["data"]["publicationEvents"]["generation"] for _ in range(4)]
    assert told == ["early-0", "early-1", "early-2", "late"]
    assert published == sorted(published)


def test_a_cursor_misses_nothing_between_two_connections(world: World) -> None:
    customer = world.customer()
    with subscribed(world, customer.token, COLLECTIONS) as events:
        cursor = until_heard(customer, events)
    for number in range(2, 6):
        queue(customer, f"ws-{number}")
    with subscribed(world, customer.token, COLLECTIONS, after=cursor) as events:
        found = [next(events)["data"]["collectionEvents"]["taskId"] for _ in range(4)]
    assert found == ["ws-2", "ws-3", "ws-4", "ws-5"]


def test_publications_are_told_once_and_again_after_a_cursor(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "a", OCTOBER)
    charge = Charge(date(2026, 10, 1), Decimal(1))
    with subscribed(world, customer.token, PUBLICATIONS) as events:
        first = customer.publish(slice_, [charge])
        late = customer.publish(
            slice_of(customer.customer_id, "b", OCTOBER),
            [charge],
            published_at=datetime.now(UTC) - timedelta(seconds=5),
        )
        found = [next(events)["data"]["publicationEvents"] for _ in range(2)]
        assert {one["generation"] for one in found} == {first.generation, late.generation}
        assert {one["lineItems"] for one in found} == {1}
        cursor = found[-1]["cursor"]
    second = customer.publish(slice_, [charge, charge])
    with subscribed(world, customer.token, PUBLICATIONS, after=cursor) as events:
        assert next(events)["data"]["publicationEvents"]["generation"] == second.generation


def published(customer: Customer, count: int, apart: timedelta) -> tuple[datetime, set[int]]:
    """So many publications of as many accounts, so far apart; when the first was, and their generations."""
    begin = datetime.now(UTC) - timedelta(minutes=1)
    slices = [slice_of(customer.customer_id, f"a{number}", OCTOBER) for number in range(count)]
    changes = {slice_: {"published_at": begin + number * apart} for number, slice_ in enumerate(slices)}
    return begin, {one.generation for one in customer.publish_all(dict.fromkeys(slices, ()), changes)}


def revoke(customer: Customer) -> None:
    metadata = customer.world.metadata
    (mine,) = [one for one in metadata.tokens.find() if one.customer_id == customer.customer_id]
    metadata.tokens.revoke(mine.token_id)


def is_forbidden(payload: Any) -> bool:
    errors = payload.get("errors") if isinstance(payload, dict) else payload
    return bool(errors and errors[0]["extensions"]["code"] == "FORBIDDEN")


@pytest.mark.parametrize("apart", [timedelta(milliseconds=1), timedelta(0)], ids=["after another", "at once"])
def test_no_publication_is_missed_however_many_there_are_at_one_time(
    world: World, monkeypatch: pytest.MonkeyPatch, apart: timedelta
) -> None:
    monkeypatch.setattr(subscriptions, "EVENTS_AT_ONCE", 5)
    statements = 0

    def counted(*arguments: Any, **filters: Any) -> Any:
        nonlocal statements
        statements += 1
        return read(*arguments, **filters)

    read = subscriptions.published_since
    monkeypatch.setattr(subscriptions, "published_since", counted)
    customer = world.customer()
    begin, generations = published(customer, 23, apart)
    with subscribed(world, customer.token, PUBLICATIONS, since=begin.isoformat()) as events:
        told = [next(events)["data"]["publicationEvents"]["generation"] for _ in generations]
        assert (len(told), set(told)) == (23, generations)
        before = statements
        threading.Event().wait(2.5)
        assert statements - before <= 4 * 8, "it sleeps between two looks, each of a few statements"
        last = customer.publish(slice_of(customer.customer_id, "a0", OCTOBER), []).generation
        assert next(events)["data"]["publicationEvents"]["generation"] == last
        revoke(customer)
        assert is_forbidden(next(events))


@pytest.mark.parametrize("document", [COLLECTIONS, PUBLICATIONS], ids=["collections", "publications"])
def test_a_revoked_token_is_told_nothing_more_of_what_was_long_ago(
    world: World, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    monkeypatch.setattr(subscriptions, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(authentication, "TRUSTED_SECONDS", 0)
    customer = world.customer()
    begin, _ = published(customer, 9, timedelta(milliseconds=1))
    for number in range(9):
        queue(customer, f"ws-{number}")
    with connected(world, customer.token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        revoke(customer)
        request = {"query": document, "variables": {"since": begin.isoformat()}}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        told = 0
        while not is_forbidden(heard(socket)["payload"]):
            told += 1
    assert told == 0


@pytest.mark.parametrize("token", [None, "oi_" + "x" * 43])
def test_without_a_good_token_the_connection_is_closed(world: World, token: str | None) -> None:
    with connected(world, token) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=15)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_nothing_is_asked_before_saying_who_it_is(world: World) -> None:
    url = f"{world.url.replace('http', 'ws')}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        request = {"query": COLLECTIONS}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=15)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_queries_go_over_http(world: World) -> None:
    with connected(world, world.customer().token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        request = {"query": "{ health { isOk } }"}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        message = heard(socket)
    assert message["type"] == "error"
    assert "only subscriptions go over a WebSocket" in message["payload"][0]["message"]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ('"text"', "a message must be a JSON object"),
        (
            '{"type": "x"}',
            '"type" must be one of connection_init, ping, pong, subscribe, complete',
        ),
        ('{"type": "subscribe", "id": ["1"], "payload": {"query": "x"}}', '"id" must be a text'),
        (
            '{"type": "subscribe", "id": "1", "payload": []}',
            "a list of operations is not accepted: send one request for each",
        ),
        (
            '{"type": "subscribe", "id": "1", "payload": {}}',
            'the payload must be an object with a text "query"',
        ),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": ""}}',
            'the payload must be an object with a text "query"',
        ),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": "x", "variables": []}}',
            '"variables" must be an object or left out',
        ),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": "x", "variables": {"a": ["\\u0000"]}}}',
            "the character U+0000 is not accepted",
        ),
        ("[" * 60_000, "WebSocket message must be valid JSON"),
        (b"bytes", "WebSocket message type must be text"),
    ],
    ids=lambda one: str(one)[:20],
)
def test_a_malformed_message_closes_the_connection_with_the_reason(world: World, frame: str | bytes, said: str) -> None:
    with connected(world, world.customer().token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=15)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4400, said)


def test_a_long_id_that_is_taken_closes_the_connection_with_what_a_frame_holds_of_it(world: World) -> None:
    request = {"type": "subscribe", "id": "\u00e4" * 200, "payload": {"query": COLLECTIONS}}
    with connected(world, world.customer().token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        for _ in range(2):
            socket.send(json.dumps(request))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=15)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4409
    assert closed.value.rcvd.reason.startswith("Subscriber for \u00e4\u00e4")


def test_subscriptions_of_one_connection_are_limited(world: World) -> None:
    with connected(world, world.customer().token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        for number in range(SUBSCRIPTIONS + 1):
            request = {"type": "subscribe", "id": str(number), "payload": {"query": COLLECTIONS}}
            socket.send(json.dumps(request))
        message = heard(socket)
    assert message == {
        "id": str(SUBSCRIPTIONS),
        "type": "error",
        "payload": [
            {
                "message": "the connection has 20 subscriptions under way; at most 20 are accepted",
                "extensions": {"code": "TOO_MANY_REQUESTS"},
            }
        ],
    }


def test_an_operation_that_is_not_there_is_named_as_over_http(world: World) -> None:
    with connected(world, world.customer().token) as socket:
        assert heard(socket)["type"] == "connection_ack"
        request = {"query": COLLECTIONS, "operationName": "B"}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        message = heard(socket)
    assert message["payload"] == [{"message": 'Unknown operation named "B".', "extensions": {"code": "BAD_REQUEST"}}]


def test_errors_are_presented_as_over_http(world: World) -> None:
    customer, other = world.customer(), world.customer()
    queue(other, "ws-x")
    for document, variables, code in (
        (COLLECTIONS, {"after": "nonsense"}, "INVALID_ARGUMENT"),
        ('subscription { collectionEvents(customerId: "nobody") { taskId } }', {}, "NOT_FOUND"),
        (
            f'subscription {{ collectionEvents(customerId: "{other.customer_id}") {{ taskId }} }}',
            {},
            "NOT_FOUND",
        ),
    ):
        with subscribed(world, customer.token, document, **variables) as events:
            message = next(events)
            errors = message["errors"] if isinstance(message, dict) else message
            assert errors[0]["extensions"]["code"] == code, message


def test_a_revoked_token_ends_its_subscriptions(world: World) -> None:
    customer = world.customer()
    with subscribed(world, customer.token, COLLECTIONS) as events:
        (mine,) = [one for one in world.metadata.tokens.find() if one.customer_id == customer.customer_id]
        world.metadata.tokens.revoke(mine.token_id)
        message = next(events)
        errors = message["errors"] if isinstance(message, dict) else message
        assert errors[0]["extensions"]["code"] == "FORBIDDEN"
