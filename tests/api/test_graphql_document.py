"""Every example of docs/graphql.md gives exactly the answer that stands below it."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_assets.model import Account, BillingPeriod

TEXT = (Path(__file__).parents[2] / "docs" / "graphql.md").read_text()
EXAMPLES = re.findall(r"```graphql\n(.*?)```\n+```json\n(.*?)```", TEXT, re.DOTALL)
D = Decimal


@pytest.fixture(scope="module")
def acme(world: World) -> Customer:
    """The customer of the document: two accounts, October and November of 2026."""
    world.metadata.add_customer("acme")
    acme = Customer(world, "acme", world.metadata.create_token("document", "acme", "operator"))
    for name, provider in (("aws", "aws"), ("files", "focus")):
        world.metadata.add_account(Account(f"acme.{name}", "acme", provider))
    world.metadata.record_requests("collect", {"acme.aws": (2, D("0.02"))}, datetime(2026, 11, 3, tzinfo=UTC))
    _publish(acme)
    row = world.metadata.start_collection(
        "cli-4f1d", "cli", slice_of("acme", "aws", _OCTOBER, "aws"), "run-1"
    )
    world.metadata.finish_collection(
        row, "succeeded", generation=1, rows=4, requests=2, request_cost=D("0.02")
    )
    return acme


_OCTOBER, _NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)


def _publish(acme: Customer) -> None:
    known = {"region": "eu-west-1", "frequency": "Usage-Based", "pricing": "Standard"}
    at = {
        "published_at": datetime(2026, 11, 3, 6, tzinfo=UTC),
        "data_through": datetime(2026, 11, 3, tzinfo=UTC),
    }
    vm = {"service": "Amazon EC2", "resource": "i-0a1", "tags": {"team": "web"}, **known}
    acme.publish(
        slice_of("acme", "aws", _OCTOBER, "aws"),
        [
            Charge(date(2026, 10, 5), D("12.5"), D("10"), D("15"), D("12.5"), **vm),
            Charge(date(2026, 10, 12), D("12.75"), D("10.2"), D("15.3"), D("12.75"), **vm),
            Charge(
                date(2026, 10, 12),
                D("0.000000123"),
                D("0.000000123"),
                service="Amazon S3",
                resource="logs",
                **known,
            ),
            Charge(date(2026, 10, 31), D("-5"), D("-5"), service="", category="Credit"),
        ],
        **at,
    )
    acme.publish(
        slice_of("acme", "aws", _NOVEMBER, "aws"),
        [Charge(date(2026, 11, 1), D("13"), D("10.4"), D("15.6"), D("13"), **vm)],
        **at,
    )
    support = {"currency": "EUR", "service": "Support", "category": "Purchase"}
    for amount, day in (("89.90", 1), ("99.90", 2)):
        acme.publish(
            slice_of("acme", "files", _OCTOBER),
            [Charge(date(2026, 10, 20), D(amount), D(amount), **support)],  # type: ignore[arg-type]
            published_at=datetime(2026, 11, day, 6, tzinfo=UTC),
            data_through=datetime(2026, 11, 1, tzinfo=UTC),
            is_final=day == 2,
            sources=[{"file": "/data/focus/2026-10.csv", "version": "1.2"}],
            run_id=f"run-{day}",
        )


# What differs from run to run: cursors, numbers and times that databases give.
_VARYING = {
    "endCursor",
    "generation",
    "previousGeneration",
    "id",
    "queuedAt",
    "startedAt",
    "endedAt",
    "milliseconds",
    "version",
}


def _steady(value: Any, name: str = "") -> Any:
    if name in _VARYING and value is not None:
        return "..."
    if isinstance(value, dict):
        return {key: _steady(member, key) for key, member in value.items()}
    return [_steady(member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("document", "answer"), EXAMPLES, ids=[re.search(r"\w+(?=[({]| \{)", one[0][1:])[0] for one in EXAMPLES]
)  # type: ignore[index]
def test_the_example_answers_as_the_document_says(acme: Customer, document: str, answer: str) -> None:
    given = acme.world.answer(document, acme.token)
    assert _steady(given.get("errors") or given["data"]) == _steady(json.loads(answer))


def test_every_query_has_an_example(world: World) -> None:
    document = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }"
    found = world.data(document, world.customer().token)["__schema"]
    names = {one["name"] for kind in ("queryType", "mutationType") for one in found[kind]["fields"]}
    shown = {name for name in names for document, _ in EXAMPLES if re.search(rf"\b{name}\b", document)}
    assert names - shown == set()
