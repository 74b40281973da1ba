"""Whatever text stands where a text may stand, the answer is data or a named error: never one of ours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import World

from optiinfra_assets.domain.accounts import BillingPeriod

DOCUMENT = """query($text: String!, $texts: [String!]!, $period: Period!, $filter: CostFilter!) {
  a: totalCost(period: $period, filter: $filter) { totals { lineItems } }
  b: costTrends(period: $period, filter: $filter, groupByTag: $text) { series { tag } }
  c: costsByResource(period: $period, first: 5, after: $text) { nodes { resourceId } }
  d: costMetrics(period: $period, first: 5, filter: {service: $texts, tag: {key: $text, values: $texts}}) { nodes { tags } }
  e: collectionHistory(first: 5, account: $text, provider: $text) { nodes { id } }
  f: collectionHistory(first: 5, billingPeriod: $text, after: $text) { nodes { id } }
  g: collectionStatus(taskId: $text) { total }
  h: totalCost(period: $period, customerId: $text) { isComplete }
}"""
PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}
EXPECTED = {"INVALID_ARGUMENT", "NOT_FOUND"}


@pytest.fixture(scope="module")
def tokens(world: World) -> list[str]:
    """A viewer's, whose customer has data so that every statement runs, and an administrator's."""
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(1), resource="r", tags={"a": "b"})])
    return [customer.token, world.metadata.tokens.issue("any text", None, "admin").plaintext]


@settings(max_examples=25)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
@example(text="")
@example(text="'); DROP TABLE raw_costs; --")
@example(text="{customer_id:String}")
@example(text="a\tb\nc\\d\r`e\"f'g%s%(x)s")
@example(text="\\N")
def test_any_text_is_answered(world: World, tokens: list[str], text: str) -> None:
    # Not by provider and account: what they exclude is never read.
    names = ("subAccount", "service", "region", "currency")
    chosen: dict[str, Any] = {name: [text] for name in names} | {"tag": {"key": text, "values": [text]}}
    for token in tokens:
        answer = world.answer(DOCUMENT, token, text=text, texts=[text], period=PERIOD, filter=chosen)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= EXPECTED
