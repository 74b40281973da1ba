"""Collections: their history in pages, the state of a task, and the trigger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from api_server import serving
from charges import slice_of
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import served
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.source_warnings import SourceWarning

HISTORY = """query($first: Int!, $after: String, $account: String, $provider: String, $billingPeriod: String,
                   $status: CollectionStatus) {
  collectionHistory(first: $first, after: $after, account: $account, provider: $provider, billingPeriod: $billingPeriod,
                    status: $status) {
    nodes { id taskId trigger provider account billingPeriod status attempt queuedAt startedAt endedAt generation lineItems
            requests requestCost { amount currency } error runId warnings { code message count example } }
    pageInfo { hasNextPage endCursor }
  }
}"""
STATUS = """query($taskId: String!) { collectionStatus(taskId: $taskId) {
  taskId state total done error collections { account billingPeriod status } } }"""
TRIGGER = """mutation($provider: String, $account: String, $billingPeriod: String) {
  triggerCollection(provider: $provider, account: $account, billingPeriod: $billingPeriod) {
    __typename ... on CollectionQueued { taskId slices } ... on Refusal { code message remedy } } }"""


CANCEL = """mutation($taskId: String!) { cancelCollection(taskId: $taskId) {
  __typename ... on CollectionCanceled { taskId slices } ... on Refusal { code message remedy } } }"""


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Collections that went well, failed, and are queued, of two accounts over a year."""
    customer = world.customer()
    for month in range(1, 13):
        for account in ("a", "b"):
            slice_ = slice_of(customer.customer_id, account, BillingPeriod(2026, month))
            task = f"{customer.customer_id}-{month}"
            if month == 12:
                world.metadata.collections.queue(task, "api", [slice_])
                continue
            row = world.metadata.collections.start(task, "schedule", slice_, f"run-{month}")
            if account == "b" and month == 11:
                world.metadata.collections.finish(row, "failed", error="file b.csv, row 3: no number", requests=2)
            else:
                world.metadata.collections.finish(
                    row,
                    "succeeded",
                    generation=month,
                    rows=3_000_000_000,
                    requests=1,
                    request_cost=Decimal("0.010"),
                    warnings=[SourceWarning("file-skipped", "notes.csv: no cost file")],
                )
    return customer


def test_the_history_shows_all_of_a_collection(customer: Customer) -> None:
    (node,) = customer.data(HISTORY, first=1, account=f"{customer.customer_id}.a", billingPeriod="2026-03")[
        "collectionHistory"
    ]["nodes"]
    times = {name: node.pop(name) for name in ("queuedAt", "startedAt", "endedAt")}
    assert all(value.endswith("Z") for value in times.values())
    assert node == {
        "id": node["id"],
        "taskId": f"{customer.customer_id}-3",
        "trigger": "SCHEDULE",
        "provider": "focus",
        "account": f"{customer.customer_id}.a",
        "billingPeriod": "2026-03",
        "status": "SUCCEEDED",
        "attempt": 1,
        "generation": 3,
        "lineItems": 3_000_000_000,
        "requests": 1,
        "requestCost": {"amount": "0.01", "currency": "USD"},
        "error": None,
        "runId": "run-3",
        "warnings": [{"code": "file-skipped", "message": "notes.csv: no cost file", "count": 1, "example": ""}],
    }


@settings(max_examples=6)
@given(first=st.integers(2, 30))
def test_pages_of_the_history_are_the_whole(customer: Customer, first: int) -> None:
    nodes: list[Any] = []
    after = None
    while True:
        page = customer.data(HISTORY, first=first, after=after)["collectionHistory"]
        nodes += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    ids = [one["id"] for one in nodes]
    assert len(ids) == 24
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"status": "FAILED"}, 1),
        ({"status": "QUEUED"}, 2),
        ({"provider": "focus"}, 24),
        ({"provider": "aws"}, 0),
        ({"billingPeriod": "2026-05"}, 2),
    ],
)
def test_the_history_is_filtered(customer: Customer, filters: dict[str, str], count: int) -> None:
    assert len(customer.data(HISTORY, first=100, **filters)["collectionHistory"]["nodes"]) == count


def test_a_cursor_of_the_history_belongs_to_its_filters(customer: Customer) -> None:
    after = customer.data(HISTORY, first=1)["collectionHistory"]["pageInfo"]["endCursor"]
    error = customer.error(HISTORY, first=1, after=after, status="FAILED")
    assert error["message"] == "after: the cursor belongs to a query with other arguments"


def test_a_billing_period_is_a_month(customer: Customer) -> None:
    error = customer.error(HISTORY, first=1, billingPeriod="2026-13")
    assert (error["message"], error["extensions"]["remedy"]) == (
        "billingPeriod: '2026-13' is not accepted",
        "Use YYYY-MM, such as 2026-11.",
    )


def test_the_state_of_a_task(customer: Customer) -> None:
    status = customer.data(STATUS, taskId=f"{customer.customer_id}-11")["collectionStatus"]
    assert status == {
        "taskId": f"{customer.customer_id}-11",
        "state": "FAILED",
        "total": 2,
        "done": 2,
        "error": "file b.csv, row 3: no number",
        "collections": [
            {"account": f"{customer.customer_id}.a", "billingPeriod": "2026-11", "status": "SUCCEEDED"},
            {"account": f"{customer.customer_id}.b", "billingPeriod": "2026-11", "status": "FAILED"},
        ],
    }
    assert customer.data(STATUS, taskId=f"{customer.customer_id}-12")["collectionStatus"]["state"] == "QUEUED"


def test_a_task_of_another_customer_is_none(customer: Customer, world: World) -> None:
    other = world.customer()
    assert other.data(STATUS, taskId=f"{customer.customer_id}-11") == {"collectionStatus": None}
    assert other.data(HISTORY, first=10)["collectionHistory"]["nodes"] == []


@pytest.fixture
def operator(world: World) -> Customer:
    """A customer with one account, whose token may trigger."""
    customer = world.customer("operator")
    world.metadata.accounts.add(Account(f"{customer.customer_id}.main", customer.customer_id, "focus"))
    return customer


@pytest.mark.parametrize(
    ("asked", "type_", "code"),
    [
        ({"account": "customer-1.other"}, "NothingToCollect", "NOTHING_TO_COLLECT"),
        ({"provider": "aws"}, "NothingToCollect", "NOTHING_TO_COLLECT"),
        ({"billingPeriod": "2100-01"}, "BillingPeriodNotAccepted", "BILLING_PERIOD_NOT_ACCEPTED"),
        ({}, "DagsterUnavailable", "DAGSTER_UNAVAILABLE"),
    ],
)
def test_a_collection_that_cannot_be_is_refused_with_a_reason(
    operator: Customer, asked: dict[str, str], type_: str, code: str
) -> None:
    refusal = operator.data(TRIGGER, **asked)["triggerCollection"]
    assert (refusal["__typename"], refusal["code"]) == (type_, code)
    assert refusal["message"]
    assert refusal["remedy"]
    assert operator.data(HISTORY, first=1)["collectionHistory"]["nodes"] == []


class _Webserver(BaseHTTPRequestHandler):
    """The answers of Dagster's webserver that a trigger needs."""

    def do_POST(self) -> None:
        """Answer by what the document asks."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers = {
            "assetNodeOrError": {
                "assetNodeOrError": {
                    "__typename": "AssetNode",
                    "repository": {"name": "__repository__", "location": {"name": "optiinfra"}},
                }
            },
            "runsOrError": {"runsOrError": {"__typename": "Runs", "results": []}},
            "addDynamicPartition": {"addDynamicPartition": {"__typename": "AddDynamicPartitionSuccess"}},
            "launchMultipleRuns": {
                "launchMultipleRuns": {
                    "__typename": "LaunchMultipleRunsResult",
                    "launchMultipleRunsResult": [
                        {"__typename": "LaunchRunSuccess", "run": {"runId": f"run-{number}"}}
                        for number, _ in enumerate(asked["variables"].get("runs", ()))
                    ],
                }
            },
        }
        body = json.dumps({"data": next(data for name, data in answers.items() if name in asked["query"])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def dagster_url() -> Iterator[str]:
    """Address of a webserver that launches whatever it is asked."""
    with served(_Webserver) as url:
        yield url


def test_a_collection_is_queued_and_followed_by_its_task(world: World, operator: Customer, dagster_url: str) -> None:
    with serving(world.settings.model_copy(update={"dagster_url": dagster_url})) as url:
        before, world.url = world.url, url
        try:
            queued = operator.data(TRIGGER, billingPeriod="2026-10")["triggerCollection"]
            status = operator.data(STATUS, taskId=queued["taskId"])["collectionStatus"]
        finally:
            world.url = before
    assert (queued["__typename"], queued["slices"]) == ("CollectionQueued", 1)
    assert status == {
        "taskId": queued["taskId"],
        "state": "QUEUED",
        "total": 1,
        "done": 0,
        "error": None,
        "collections": [{"account": f"{operator.customer_id}.main", "billingPeriod": "2026-10", "status": "QUEUED"}],
    }
    (row,) = operator.data(HISTORY, first=5)["collectionHistory"]["nodes"]
    assert (row["trigger"], row["runId"]) == ("API", "run-0")


def test_a_task_is_canceled_as_far_as_it_is_the_customers(world: World, operator: Customer, dagster_url: str) -> None:
    """A tick of the schedule is one task for the accounts of everybody."""
    other = world.customer("operator")
    task = f"schedule-{operator.customer_id}"
    slices = [slice_of(one.customer_id, "main", BillingPeriod(2026, 10)) for one in (operator, other)]
    world.metadata.collections.queue(task, "schedule", slices)
    assert operator.data(CANCEL, taskId=task)["cancelCollection"]["code"] == "DAGSTER_UNAVAILABLE"
    with serving(world.settings.model_copy(update={"dagster_url": dagster_url})) as url:
        before, world.url = world.url, url
        try:
            canceled = operator.data(CANCEL, taskId=task)["cancelCollection"]
            again = operator.data(CANCEL, taskId=task)["cancelCollection"]
        finally:
            world.url = before
    assert canceled == {"__typename": "CollectionCanceled", "taskId": task, "slices": 1}
    assert again["slices"] == 0
    assert operator.data(STATUS, taskId=task)["collectionStatus"]["state"] == "CANCELED"
    assert other.data(STATUS, taskId=task)["collectionStatus"]["state"] == "QUEUED"


def test_a_task_of_others_cannot_be_canceled(operator: Customer, customer: Customer) -> None:
    refusals = [
        operator.data(CANCEL, taskId=task)["cancelCollection"] for task in (f"{customer.customer_id}-12", "none")
    ]
    assert {one["code"] for one in refusals} == {"TASK_NOT_FOUND"}
    assert customer.error(CANCEL, taskId=f"{customer.customer_id}-12")["extensions"]["code"] == "FORBIDDEN"
