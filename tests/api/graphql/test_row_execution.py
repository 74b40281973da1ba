"""Rows completed by a plan come out as graphql-core would complete them, however an operation asks for them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from graphql import ExecutionContext
from world import Customer, World

from optiinfra_api.graphql import row_execution
from optiinfra_assets.domain.accounts import BillingPeriod

PERIOD = 'period: {start: "2026-10-01", end: "2026-11-01"}'


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Three charges, one without list price, one without resource."""
    customer = world.customer()
    customer.publish(
        slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)),
        [
            Charge(date(2026, 10, 1), Decimal("1.5"), list_=Decimal(2), resource="r-1", tags={"a": None}),
            Charge(date(2026, 10, 2), Decimal("-1.5"), resource="r-2", region="eu"),
            Charge(date(2026, 10, 3), Decimal(0), category="Tax", service=""),
        ],
    )
    return customer


DOCUMENTS = [
    f"{{ costMetrics({PERIOD}, first: 9) {{ nodes {{ lineNumber tags listCost {{ amount }} regionId isEstimated }} }} }}",
    f"""{{ a: costMetrics({PERIOD}, first: 2) {{
        nodes {{ x: lineNumber y: lineNumber kind: __typename m: billedCost {{ __typename amount }} }} }} }}""",
    f"""{{ costMetrics({PERIOD}, first: 9) {{
        nodes {{ lineNumber }} nodes {{ tags billedCost {{ amount }} billedCost {{ currency }} }} }} }}""",
    f"""{{ a: costMetrics({PERIOD}, first: 9) {{ ...F }} b: costMetrics({PERIOD}, first: 9) {{ ...F nodes {{ tags }} }} }}
        fragment F on LineItems {{ nodes {{ ...G }} }} fragment G on LineItem {{ lineNumber ... on LineItem {{ source }} }}""",
    f"""query($yes: Boolean = true, $no: Boolean = false) {{ costMetrics({PERIOD}, first: 9) {{
        nodes {{ lineNumber @skip(if: $yes) tags @include(if: $no) provider @include(if: $yes) }} }} }}""",
    f"{{ costsByResource({PERIOD}, first: 9) {{ nodes {{ resourceId name type services regions subAccounts __typename }} }} }}",
    f"{{ costTrends({PERIOD}, groupBy: [SERVICE, REGION]) {{ series {{ service region tag dates amounts cost {{ amount }} }} }} }}",
    f"{{ costTrends({PERIOD}) {{ series {{ ...S __typename }} }} }} fragment S on Sum {{ a: cost {{ currency }} lineItems }}",
    f"{{ costsByType({PERIOD}) {{ types {{ chargeCategory chargeClass cost {{ amount }} lineItems }} }} }}",
    f"{{ totalCost({PERIOD}) {{ totals {{ cost {{ amount currency }} lineItems unpricedLineItems }} }} }}",
    f"{{ costsByResource({PERIOD}, first: 9) {{ nodes {{ ... on Sum {{ cost {{ amount currency }} }} lineItems unpricedLineItems }} }} }}",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_row_is_what_graphql_makes_of_it(customer: Customer, document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick: list[Any] = []
    complete = row_execution._Plan.completed

    def counting(self: Any, rows: Any) -> Any:
        quick.extend(rows)
        return complete(self, rows)

    monkeypatch.setattr(row_execution._Plan, "completed", counting)
    by_plan = customer.data(document)
    assert quick
    monkeypatch.setattr(row_execution.RowExecutionContext, "complete_object_value", _by_graphql)
    monkeypatch.setattr(row_execution.RowExecutionContext, "complete_list_value", ExecutionContext.complete_list_value)
    # As text, since fields come in the order of the selection.
    assert json.dumps(by_plan) == json.dumps(customer.data(document))


def _by_graphql(self: Any, return_type: Any, field_nodes: Any, info: Any, path: Any, result: Any) -> Any:
    if type(result) is dict:
        # What a dictionary is an instance of is asked only of objects.
        fields = self.collect_subfields(return_type, field_nodes)
        return self.execute_fields(return_type, result, path, fields)
    return ExecutionContext.complete_object_value(self, return_type, field_nodes, info, path, result)


def test_a_missing_value_is_an_error_with_its_path(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    from optiinfra_api.fields.costs import line_items

    with_money = line_items._with_money
    monkeypatch.setattr(line_items, "_with_money", lambda row: {**with_money(row), "provider": None})
    document = f"{{ costMetrics({PERIOD}, first: 9) {{ nodes {{ lineNumber provider }} }} }}"
    answer = customer.world.answer(document, customer.token)
    assert answer["data"] == {"costMetrics": None}
    assert answer["errors"][0]["path"] == ["costMetrics", "nodes", 0, "provider"]
