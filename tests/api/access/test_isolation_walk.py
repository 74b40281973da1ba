"""A customer learns nothing of another one, whatever it asks; and each role may do what it may, and no more.

Both are walked over the whole schema; `isolation_walk` says what to add for a new field or argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from alert_world import hook, rule
from charges import Charge, slice_of
from graphql import build_schema
from isolation_walk import (
    MARK,
    Cursor,
    Names,
    Operation,
    Planted,
    Same,
    Unknown,
    comparable,
    cursor_in,
    cursor_of_nobody,
    exports,
    operations,
    seen_in,
    tools,
    unused_values,
)
from loopback import HANG
from planted_anomaly import planted_anomaly
from websockets.sync.client import connect
from websockets.typing import Subprotocol
from world import Customer, World

from optiinfra_api.app import create_app
from optiinfra_api.mcp.arguments import json_schema
from optiinfra_api.mcp.tools import TOOLS
from optiinfra_api.schema import schema
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.alerts import AlertMessage, Occasion
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.invoices import Invoice
from optiinfra_assets.ingestion.forecasting import forecast_costs
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata.tokens import ROLES, Principal
from optiinfra_assets.vault.credential_audit import Actor

ALL_CUSTOMERS = "all customers"
"""Beyond every role: an administrator's token that belongs to no customer."""

MUTATION_ROLES = {
    "triggerCollection": "operator",
    "cancelCollection": "operator",
    "createCustomer": ALL_CUSTOMERS,
    "renameCustomer": "admin",
    "createToken": "admin",
    "revokeToken": "admin",
    "addCredential": "admin",
    "updateCredential": "admin",
    "rotateCredential": "admin",
    "deleteCredential": "admin",
    "purgeCredential": "admin",
    "testCredential": "admin",
    "saveView": "viewer",
    "removeSavedView": "viewer",
    "setAnomalyState": "operator",
    "setForecastOverride": "operator",
    "removeForecastOverride": "operator",
    "createBudget": "operator",
    "changeBudget": "operator",
    "removeBudget": "operator",
    "setRate": "operator",
    "removeRate": "operator",
    "setRateMethod": "operator",
    "recordInvoice": "operator",
    "saveAlertRule": "operator",
    "muteAlertRule": "operator",
    "removeAlertRule": "operator",
    "resendAlert": "operator",
    "addAlertChannel": "admin",
    "testAlertChannel": "admin",
    "removeAlertChannel": "admin",
}
"""The least that a mutation needs. Each mutation of the schema is here."""

QUERY_ROLES = {
    "tokens": "admin",
    "accessAuditLog": "admin",
    "credentials": "admin",
    "credential": "admin",
    "credentialAuditLog": "admin",
    "automations": ALL_CUSTOMERS,
}
"""The least that a query needs; viewer unless it is here."""

OF_NO_CUSTOMER = {"health", "automations", "exchangeRates"}
"""Queries that show nothing of any customer."""

CHANGING_TOOLS = {name for name, one in TOOLS.items() if not one.is_read_only}
RANKS = (*ROLES, ALL_CUSTOMERS)
SCHEMA = schema._schema
OPERATIONS = operations(SCHEMA)
EXPORTS = exports(create_app().routes)
TOOLS_ = tools({name: json_schema(one.arguments) for name, one in TOOLS.items()})
EVERYTHING = [*OPERATIONS, *EXPORTS, *TOOLS_]
PERIOD = BillingPeriod(2026, 10)


def _named(found: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", found, ids=lambda one: f"{one.kind} {one.name}")


def _ask(
    world: World, operation: Operation, token: str, variables: dict[str, Any], *, shows_something: bool = False
) -> dict[str, Any]:
    """The whole answer to an operation, of whatever kind."""
    if operation.kind == "export":
        headers = {"Authorization": f"Bearer {token}"}
        response = world.http.get(f"{world.url}{operation.document}", params=variables, headers=headers)
        return {"status": response.status_code, "text": response.text}
    if operation.kind == "tool":
        return _call(world, operation, token, variables)
    if operation.kind == "subscription":
        return _listen(world, operation, token, variables, HANG if shows_something else SILENCE)
    if operation.kind not in ("query", "mutation"):
        raise Unknown(f"{operation.kind} {operation.name}: teach `_ask` how the walk runs a {operation.kind}")
    response = world.post({"query": operation.document, "variables": variables}, token)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _call(world: World, operation: Operation, token: str, variables: dict[str, Any]) -> dict[str, Any]:
    """What a tool answers; its own text is JSON unless it refuses."""
    params = {"name": operation.name, "arguments": variables}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    response = world.http.post(f"{world.url}/mcp", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()["result"]
    return answer


SILENCE = 0.5
"""Seconds without an event after which nothing more of before is taken to come: the first look is at once, the next a second later."""


def _listen(
    world: World, operation: Operation, token: str, variables: dict[str, Any], first: float = SILENCE
) -> dict[str, Any]:
    """What a subscription tells of before and its errors; it cannot begin at an instant and after a cursor.

    The `first` event is waited for so many seconds: where there must be one, as long as a slow machine takes.
    """
    if "after" in variables:
        variables = {name: value for name, value in variables.items() if name != "since"}
    url = f"{world.url.replace('http', 'ws')}/graphql"
    events: list[Any] = []
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        assert json.loads(socket.recv(timeout=15))["type"] == "connection_ack"
        request = {"query": operation.document, "variables": variables}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        while True:
            try:
                message = json.loads(socket.recv(timeout=SILENCE if events else first))
            except TimeoutError:
                return {"events": events}
            payload = message.get("payload")
            if message["type"] == "error" or (isinstance(payload, dict) and "errors" in payload):
                return {"errors": payload if message["type"] == "error" else payload["errors"]}
            events.append(payload)


def _fill(world: World, customer_id: str, mark: str, amount: Decimal, generation: int) -> Planted:
    """Everything that a customer can have, each thing with `mark` in it, but for numbers, which are its own too."""
    world.metadata.customers.add(customer_id, f"{mark} name")
    provider, account_id = f"{mark}-provider", f"{customer_id}.main"
    account = Account(account_id, customer_id, provider, {"location": f"/{mark}/folder"})
    world.metadata.accounts.add(account)
    world.metadata.credentials.put(account, {"api_key": f"{mark}-secret"}, Actor(f"{mark}-actor", "x"))
    admin = world.metadata.tokens.issue(f"{mark} admin", customer_id, "admin", actor=Actor(f"{mark}-actor", "x"))
    viewer = world.metadata.tokens.issue(f"{mark} viewer", customer_id, "viewer")
    charges = [
        Charge(
            date(2026, 10, 1 + number),
            amount + number,
            service=f"{mark}-service",
            region=f"{mark}-region",
            sub_account=f"{mark}-sub-account",
            resource=f"{mark}-resource-{number}",
            tags={"team": f"{mark}-team"},
            pricing=f"{mark}-pricing-category",
            service_provider=f"{mark}-service-provider",
            service_category=f"{mark}-service-category",
            invoice=f"{mark}-invoice",
            sku=f"{mark}-sku",
            commitment=f"{mark}-commitment",
        )
        for number in range(4)
    ]
    customer = Customer(world, customer_id, admin.plaintext)
    for version in (charges[:2], charges):
        customer.publish(slice_of(customer_id, "main", PERIOD, provider), version, run_id=f"{mark}-run")
    for number in range(4):
        row = world.metadata.collections.start(
            f"{mark}-task-{number}", "cli", slice_of(customer_id, "main", PERIOD, provider), f"{mark}-run"
        )
        world.metadata.collections.finish(row, "failed", error=f"{mark}: it broke", generation=generation)
    view = world.metadata.saved_views.save(
        f"{mark} view",
        f"/explore?service={mark}-service",
        None,
        customer_id=customer_id,
        principal=Principal(admin.token.token_id, f"{mark} admin", customer_id, "admin"),
        actor=Actor(f"{mark}-actor", "x"),
    )
    start, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2027))
    committed = Commitment(
        commitment_id=f"{mark}-commitment",
        contract_id=f"{mark}-contract",
        category="Spend",
        type_=f"{mark}-type",
        period_start=start,
        period_end=end,
        contract_start=start,
        contract_end=end,
        currency="USD",
        cost=amount,
    )
    world.metadata.commitments.replace(account, [committed], start)
    rate = amount / 10_000
    world.metadata.rates.override(
        date(2026, 9, 1), "USD", "GBP", rate, customer_id=customer_id, actor=Actor(f"{mark}-actor", "x")
    )
    _invoice(world, slice_of(customer_id, "main", PERIOD, provider), mark, amount)
    alert = _alert(world, customer_id, mark)
    override = world.metadata.forecasts.override(
        {
            "chosen": {"service": [f"{mark}-service"]},
            "month": date(2026, 12, 1),
            "currency": "USD",
            "amount": amount,
            "factor": None,
            "note": f"{mark} note",
        },
        customer_id=customer_id,
        principal=Principal(admin.token.token_id, f"{mark} admin", customer_id, "admin"),
        now=datetime(2026, 10, 5, tzinfo=UTC),
    )
    filters = [{"service": [f"{mark}-service"]}]
    budgets = [
        world.metadata.budgets.save(
            Budget(f"{mark} budget {number}", Cadence.MONTHLY, amount + number, "USD", filters=filters),
            customer_id=customer_id,
            principal=Principal(admin.token.token_id, f"{mark} admin", customer_id, "admin"),
            now=datetime(2026, 10, 5, tzinfo=UTC),
        )
        for number in range(3)
    ]
    forecast_costs(world.metadata, world.warehouse, customer_id, datetime(2026, 10, 6, tzinfo=UTC), 95)
    anomaly = planted_anomaly(
        world.metadata,
        UsageKey(provider, account_id, f"{mark}-service", "USD"),
        date(2026, 10, 3),
        amount,
        Principal(admin.token.token_id, f"{mark} admin", customer_id, "admin"),
        datetime(2026, 10, 5, tzinfo=UTC),
    )
    excess = amount - (amount / 10).quantize(Decimal("0.01"))
    ids = [
        admin.token.token_id,
        viewer.token.token_id,
        view.view_id,
        *alert,
        override.override_id,
        budgets[0].budget_id,
        anomaly,
    ]
    total = sum((one.billed for one in charges), Decimal(0))
    secrets = [
        *ids,
        admin.plaintext,
        viewer.plaintext,
        str(amount),
        str(rate),
        str(total),
        str(generation),
        str(excess),
    ]
    return Planted(customer_id, account_id, f"{mark}-task-0", *ids[1:], admin.plaintext, secrets)


def _invoice(world: World, slice_: Slice, mark: str, amount: Decimal) -> None:
    """An invoice that somebody recorded, compared with the costs."""
    made = Invoice(
        invoice_id=f"{mark}-invoice",
        issuer=f"{mark}-issuer",
        billing_period=slice_.billing_period,
        currency="USD",
        total=amount,
        document=f"{mark}-document",
    )
    now = datetime(2026, 11, 5, tzinfo=UTC)
    actor = Actor(f"{mark}-actor", "x")
    world.metadata.invoices.record(slice_, made, now, author=f"{mark}-author", actor=actor)
    reconcile_customer(world.metadata, world.warehouse, slice_.customer_id, now)


def _alert(world: World, customer_id: str, mark: str) -> list[str]:
    """A rule, a channel, and a message of theirs."""
    channel, _ = hook(world.metadata, f"https://example.com/{mark}", f"{mark} channel", customer_id)
    made = rule(world.metadata, channel, name=f"{mark} rule")
    told = Occasion("one", AlertMessage(f"{mark} happened", "It did.", "/"))
    with world.metadata.transaction():
        world.metadata.alert_outbox.record(made, [told], datetime.now(UTC))
    (delivery,) = world.metadata.alert_outbox.deliveries(customer_id=customer_id)
    return [made.rule_id, channel.channel_id, delivery.delivery_id]


@pytest.fixture(scope="module")
def planted(world: World) -> Planted:
    """The customer whose things must not be seen."""
    return _fill(world, f"{MARK}-customer", MARK, Decimal("7777.7771"), 900_000_001)


@pytest.fixture(scope="module")
def bystander(world: World, planted: Planted) -> dict[str, str]:
    """Tokens of another customer, which has as much, one for each role, and one of an administrator of all."""
    assert planted.customer_id != "bystander"
    _fill(world, "bystander", "bystander", Decimal("1111.1113"), 800_000_001)
    tokens = {role: world.metadata.tokens.issue(f"as {role}", "bystander", role).plaintext for role in ROLES}
    return {**tokens, ALL_CUSTOMERS: world.metadata.tokens.issue("as root", None, "admin").plaintext}


def _everything_of(world: World, planted: Planted) -> dict[str, str]:
    asked = [one for one in OPERATIONS if one.kind == "query"]
    return {
        one.name: comparable(_ask(world, one, planted.admin, one.own(planted)), None)
        for one in asked
        if one.name not in OF_NO_CUSTOMER
    }


@pytest.fixture(scope="module", autouse=True)
def _unchanged(world: World, planted: Planted) -> Iterator[None]:
    """Whatever others ask and do, what the planted customer sees of itself, its log included, stays as it was."""
    before = _everything_of(world, planted)
    yield
    assert _everything_of(world, planted) == before


@_named([one for one in EVERYTHING if one.kind != "mutation" and one.name not in OF_NO_CUSTOMER | CHANGING_TOOLS])
def test_what_is_planted_would_be_seen(world: World, planted: Planted, operation: Operation) -> None:
    answer = _ask(world, operation, planted.admin, operation.own(planted), shows_something=True)
    assert seen_in(answer, planted), f"plant something that {operation.name} shows, in `_fill`: {answer}"


@pytest.mark.parametrize("rank", ["viewer", "admin"])
@_named(EVERYTHING)
def test_nothing_of_it_is_seen(
    world: World, planted: Planted, bystander: dict[str, str], operation: Operation, rank: str
) -> None:
    answer = _ask(world, operation, bystander[rank], operation.variables({}))
    assert seen_in(answer, planted) == []


@_named(EVERYTHING)
def test_what_it_has_is_as_what_nobody_has(
    world: World, planted: Planted, bystander: dict[str, str], operation: Operation
) -> None:
    named = {leaf.path: leaf.value for leaf in operation.leaves if isinstance(leaf.value, Names)}
    cursors = {leaf.path for leaf in operation.leaves if isinstance(leaf.value, Cursor)}
    its = {path: one.of(planted) for path, one in named.items()}
    nobodys = {path: one.nobody for path, one in named.items()}
    if cursors:
        cursor = cursor_in(_ask(world, operation, planted.admin, operation.own(planted), shows_something=True))
        assert cursor, f"plant something that {operation.name} shows, in `_fill`"
        its |= dict.fromkeys(cursors, cursor)
        nobodys |= dict.fromkeys(cursors, cursor_of_nobody(cursor))
    tried = [{path} for path in its]
    tried += [set(its)] if len(its) > 1 else []
    for paths in tried:
        said = []
        for values in (its, nobodys):
            sent = {path: values[path] for path in paths}
            answer = _ask(world, operation, bystander["admin"], operation.variables(sent))
            assert seen_in(answer, planted, list(sent.values())) == [], f"{operation.name} shows it for {sent}"
            said.append(comparable(answer, list(sent.values())))
        assert said[0] == said[1], f"{operation.name} tells whether {sorted(paths)} exist"


def test_every_mutation_and_no_other_has_its_role() -> None:
    mutations = {one.name for one in OPERATIONS if one.kind == "mutation"}
    queries = {one.name for one in OPERATIONS if one.kind == "query"}
    assert mutations - MUTATION_ROLES.keys() == set(), "add what it needs to MUTATION_ROLES"
    assert (MUTATION_ROLES.keys() - mutations, QUERY_ROLES.keys() - queries) == (set(), set())


@pytest.mark.parametrize("rank", RANKS)
@_named(OPERATIONS)
def test_each_role_may_do_what_it_may(world: World, bystander: dict[str, str], operation: Operation, rank: str) -> None:
    needed = (MUTATION_ROLES if operation.kind == "mutation" else QUERY_ROLES).get(operation.name, "viewer")
    chosen: dict[tuple[str, ...], Any] = {}
    if rank == ALL_CUSTOMERS and operation.name != "createCustomer":
        chosen = {leaf.path: "bystander" for leaf in operation.leaves if leaf.path == ("customerId",)}
    answer = _ask(world, operation, bystander[rank], operation.variables(chosen))
    is_forbidden = any(one["extensions"]["code"] == "FORBIDDEN" for one in answer.get("errors", ()))
    assert is_forbidden == (RANKS.index(rank) < RANKS.index(needed)), answer


def test_what_an_administrator_of_all_sees_is_everything(
    world: World, planted: Planted, bystander: dict[str, str]
) -> None:
    for operation in OPERATIONS:
        if operation.kind == "query" and operation.name not in OF_NO_CUSTOMER:
            variables = operation.own(planted)
            if any(leaf.path == ("customerId",) for leaf in operation.leaves):
                variables["customerId"] = planted.customer_id
            answer = _ask(world, operation, bystander[ALL_CUSTOMERS], variables)
            assert seen_in(answer, planted), f"{operation.name}: {answer}"


def test_values_of_the_walk_are_used() -> None:
    assert unused_values(SCHEMA) == []


KNOWN = {"size": Same(1), "Filter.account": Names(lambda planted: planted.account_id, "none")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type Query { rows(size: Int, whose: String): Int }", "add a line for 'rows.whose' to VALUES"),
        (
            "input Filter { account: ID color: ID } type Query { rows(filter: Filter): Int }",
            "add a line for 'Filter.color' to VALUES",
        ),
        ("type Row { cost(of: ID!): Int } type Query { row: Row }", "Row.cost needs of"),
        ("type Query { row: Row } type Row { row: Row }", "Row.row lies deeper than operations may be"),
        ("type Query { a: Int } type Subscription { events(after: ID): Int }", "'events.after'"),
    ],
)
def test_what_is_new_in_a_schema_fails_the_walk(text: str, said: str) -> None:
    with pytest.raises(Unknown, match=said):
        operations(build_schema(text), KNOWN)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {"customer": {}, "whose": {"type": "string"}}}, r"'forecast\.whose' to VALUES"),
        (
            {
                "properties": {"filter": {"$ref": "#/$defs/Asked"}},
                "$defs": {"Asked": {"properties": {"color": {"type": "string"}}}},
            },
            r"'CostFilter\.color' to VALUES",
        ),
    ],
)
def test_what_is_new_in_a_tool_fails_the_walk(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(Unknown, match=said):
        tools({"forecast": schema})


def test_every_argument_and_field_is_asked_for() -> None:
    text = """
    input Filter { account: ID } union Found = Row | Gone
    type Row { id: ID value: Int } type Gone { id: ID! why: String }
    type Query { rows(size: Int!, filter: Filter): Found }
    """
    (operation,) = operations(build_schema(text), KNOWN)
    assert operation.document == (
        "query($size: Int!, $filter: Filter) { rows(size: $size, filter: $filter) { __typename "
        "... on Row { __typename id value } ... on Gone { __typename Gone_id: id why } } }"
    )
    assert operation.variables({}) == {"size": 1}
    assert operation.variables({("filter", "account"): "x"}) == {"size": 1, "filter": {"account": "x"}}


def test_a_leak_is_found_and_an_echo_is_none(planted: Planted) -> None:
    sent = [planted.customer_id]
    assert seen_in({"message": f"customerId: '{planted.customer_id}' does not exist"}, planted, sent) == []
    assert seen_in({"message": f"active are {planted.account_id}"}, planted, sent) == [planted.account_id]
    assert seen_in({"cost": "-31117.1084"}, planted) == ["31117.1084"]
    assert seen_in({"cost": "131117.10841"}, planted) == []
    assert seen_in({"id": planted.token_id}, planted) == [planted.token_id]
    cursor = cursor_of_nobody("AAAAAAAAWzEsInF1ZXN0aW9uIixudWxsLCIiLCJ6cWxlYWstcmVzb3VyY2UiXQ")
    assert seen_in({"pageInfo": {"endCursor": cursor}}, planted) == [f"{MARK}-resource"]
    assert comparable({"at": "x", "m": "'a' is logged as " + "0" * 32}, ["a"]) == comparable(
        {"at": "x", "m": "'b' is logged as " + "1" * 32}, ["b"]
    )
