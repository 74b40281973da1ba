"""Every example of docs/graphql.md, operation or file, gives exactly the answer that stands below it."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from charges import Charge, slice_of
from planted_anomaly import planted_anomaly
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.domain.alerts import AlertMessage, Occasion
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.invoices import Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.notifications.channels import add_channel
from optiinfra_assets.vault.credential_audit import Actor

TEXT = (Path(__file__).parents[3] / "docs" / "graphql.md").read_text()
EXAMPLES = re.findall(r"```graphql\n(.*?)```\n+```json\n(.*?)```", TEXT, re.DOTALL)
AS_ROOT = "# As an administrator of all customers\n"
FILES = re.findall(r"```http\nGET (\S+)\n```\n+```csv\n(.*?)```", TEXT, re.DOTALL)
D = Decimal


@pytest.fixture(scope="module")
def acme(world: World) -> Customer:
    """The customer of the document: two accounts, October and November of 2026."""
    world.metadata.customers.add("acme", "Acme Ltd")
    world.metadata.customers.create("globex", "Globex", Actor("cli", "ops-1:4711"))
    acme = Customer(world, "acme", world.metadata.tokens.issue("document", "acme", "admin").plaintext)
    world.metadata.tokens.issue("second", "acme", "viewer")
    for name, provider in (("aws", "aws"), ("files", "focus")):
        world.metadata.accounts.add(Account(f"acme.{name}", "acme", provider))
    world.metadata.activity.record_requests("collect", {"acme.aws": (2, D("0.02"))}, datetime(2026, 11, 3, tzinfo=UTC))
    _publish(acme)
    world.metadata.rates.update("ECB", _RATES)
    world.metadata.commitments.replace(Account("acme.files", "acme", "focus"), [_COMMITMENT], _COMMITMENT.period_start)
    for slice_ in acme.published:
        at = datetime(2026, 11, 3, 6, tzinfo=UTC)
        periods = {one.billing_period: "a" for one in acme.published if one.account_id == slice_.account_id}
        world.metadata.slices.record_probe(slice_.account_id, periods, at)
        world.metadata.slices.record_collection(slice_, "a", at)
    _invoice(acme)
    row = world.metadata.collections.start("cli-4f1d", "cli", slice_of("acme", "aws", _OCTOBER, "aws"), "run-1")
    world.metadata.collections.finish(row, "succeeded", generation=1, rows=4, requests=2, request_cost=D("0.02"))
    _tell(acme)
    budget = Budget("everything", Cadence.QUARTERLY, D(180), "USD", amounts={date(2026, 12, 1): D(60)})
    who = Principal("second", "second", "acme", "operator")
    world.metadata.budgets.save(budget, customer_id="acme", principal=who, now=at)
    compute = UsageKey("aws", "acme.aws", "Amazon EC2", "USD")
    planted_anomaly(world.metadata, compute, date(2026, 10, 31), D(250), who, at, "a0c0e0")
    return acme


def _tell(acme: Customer) -> None:
    """A rule of the customer, its channel, and a message that waits."""
    metadata, at = acme.world.metadata, datetime(2026, 11, 3, 6, tzinfo=UTC)
    who: dict[str, Any] = {"customer_id": "acme", "actor": Actor("cli", "ops-1:4711")}
    url = {"url": "https://hooks.slack.com/services/T0/B0/x"}
    channel = add_channel(metadata, "slack", "costs", url, is_operator=True, **who).channel.channel_id
    wanted = WantedRule("restatement", "bills", [channel], {"amount": 10}, ["acme.aws"], Timing("daily"))
    rule = metadata.alerts.save_rule(wanted, at, **who)
    message = AlertMessage("acme.aws: the bill of 2026-10 has changed", "It was another one.", "/")
    with metadata.transaction():
        metadata.alert_outbox.record(rule, [Occasion("one", message)], at)


@pytest.fixture(scope="module")
def root(world: World) -> str:
    """The token of an administrator of all customers."""
    return world.metadata.tokens.issue("root", None, "admin").plaintext


_COMMITMENT = Commitment(
    commitment_id="sp-1",
    contract_id="ea-2026",
    category="Spend",
    type_="Enterprise agreement",
    status="Active",
    period_start=datetime(2026, 1, 1, tzinfo=UTC),
    period_end=datetime(2027, 1, 1, tzinfo=UTC),
    contract_start=datetime(2026, 1, 1, tzinfo=UTC),
    contract_end=datetime(2029, 1, 1, tzinfo=UTC),
    currency="USD",
    cost=D("120000.5"),
    discount_share=D("0.17"),
)
_RATES = [
    (date(2026, 10, day), currency, D(rate))
    for day, usd, chf in ((5, "1.12", "0.91"), (12, "1.25", "0.9"), (20, "1.2", "0.92"), (30, "1.1172", "0.9194"))
    for currency, rate in (("USD", usd), ("CHF", chf))
]
_OCTOBER, _NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)


def _publish(acme: Customer) -> None:
    known = {"region": "eu-west-1", "frequency": "Usage-Based", "pricing": "Standard"}
    at = {
        "published_at": datetime(2026, 11, 3, 6, tzinfo=UTC),
        "data_through": datetime(2026, 11, 3, tzinfo=UTC),
    }
    vm = {"service": "Amazon EC2", "resource": "i-0a1", "tags": {"team": "web"}, "unit": "Hours", **known}
    acme.publish(
        slice_of("acme", "aws", _OCTOBER, "aws"),
        [
            Charge(date(2026, 10, 5), D("12.5"), D("10"), D("15"), D("12.5"), quantity=D("25"), **vm),
            Charge(date(2026, 10, 12), D("12.75"), D("10.2"), D("15.3"), D("12.75"), quantity=D("25.5"), **vm),
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
        [Charge(date(2026, 11, 1), D("13"), D("10.4"), D("15.6"), D("13"), quantity=D("20"), **vm)],
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


def _invoice(acme: Customer) -> None:
    """What AWS states of October: 12.50 less than there are costs of storage; and what it cannot state of files."""
    metadata, files = acme.world.metadata, slice_of("acme", "files", _OCTOBER)
    stated = Invoice(
        invoice_id="1234567890",
        issuer="Example",
        billing_period=_OCTOBER,
        currency="USD",
        total=D("32.75"),
        parts=(InvoicePart("Usage", D("37.75"), "Amazon EC2"), InvoicePart("Credit", D(-5))),
        issued_at=datetime(2026, 11, 3, tzinfo=UTC),
    )
    at = datetime(2026, 11, 4, 4, 27, tzinfo=UTC)
    metadata.invoices.publish(slice_of("acme", "aws", _OCTOBER, "aws"), "source", InvoiceStatement((stated,)), at)
    metadata.invoices.publish(files, "source", InvoiceStatement(not_stated="the files have no invoices"), at)
    reconcile_customer(metadata, acme.world.warehouse, "acme", datetime(2026, 12, 2, 4, 28, tzinfo=UTC))


# What differs from run to run: cursors, numbers and times that databases give.
_VARYING = {
    "actor",
    "endCursor",
    "generation",
    "previousGeneration",
    "id",
    "queuedAt",
    "startedAt",
    "endedAt",
    "milliseconds",
}
_VARYING |= {"version", "setAt", "tokenId", "viewId", "savedAt", "secret", "createdAt", "expiresAt", "at"}
_VARYING |= {"channelId", "deliveryId", "signingKey", "overrideId", "budgetId"}


def _steady(value: Any, name: str = "") -> Any:
    if name in _VARYING and value is not None:
        return "..."
    if isinstance(value, dict):
        return {key: _steady(member, key) for key, member in value.items()}
    return [_steady(member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("document", "answer"), EXAMPLES, ids=[re.search(r"\w+(?=[({]| \{)", one[0][1:])[0] for one in EXAMPLES]
)  # type: ignore[index]
def test_the_example_answers_as_the_document_says(acme: Customer, root: str, document: str, answer: str) -> None:
    given = acme.world.answer(document, root if document.startswith(AS_ROOT) else acme.token)
    assert _steady(given.get("errors") or given["data"]) == _steady(json.loads(answer))


@pytest.mark.parametrize(("target", "content"), FILES, ids=[one[0].partition("?")[0] for one in FILES])
def test_the_file_is_what_the_document_says(acme: Customer, target: str, content: str) -> None:
    headers = {"Authorization": f"Bearer {acme.token}"}
    response = acme.world.http.get(f"{acme.world.url}{target}", headers=headers)
    assert (response.status_code, response.text) == (200, content)


def test_every_query_has_an_example(world: World) -> None:
    document = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }"
    found = world.data(document, world.customer().token)["__schema"]
    names = {one["name"] for kind in ("queryType", "mutationType") for one in found[kind]["fields"]}
    shown = {name for name in names for document, _ in EXAMPLES if re.search(rf"\b{name}\b", document)}
    assert names - shown == set()
