"""Answers and descriptions are short, whatever is stored and asked; and what is left out can be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from charges import Charge, slice_of
from hypothesis import example, given
from hypothesis import strategies as st
from tool_client import Tools, text_of
from world import World

from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import ArgumentRefused, checked, json_schema
from optiinfra_api.mcp.documents import totals
from optiinfra_api.mcp.tools import MAX_DESCRIBED, TOOLS
from optiinfra_assets.domain.accounts import Account, BillingPeriod

WHAT = (
    st.text(max_size=3000) | st.none() | st.integers(-(2**63), 2**63 - 1) | st.lists(st.text(max_size=300), max_size=3)
)


@given(
    st.lists(st.lists(WHAT, min_size=3, max_size=9), max_size=60), st.integers(1, 80), st.integers(0, 80), st.booleans()
)
@example([["a", "b", "c"]] * answers.MOST_READ, 200, answers.MOST_READ - 1, True)
def test_a_table_is_bounded_and_says_what_it_leaves_out(rows: list[Any], limit: int, skip: int, has_more: bool) -> None:
    text = answers.table({"totals": []}, ("a", "b", "c"), rows, limit=limit, skip=skip, has_more=has_more)
    assert len(text.encode()) <= answers.MAX_ANSWER
    found = json.loads(text)
    shown, window = found["rows"], rows[skip : skip + limit]
    assert len(shown) <= len(window)
    assert shown or not window, "each answer shows a row, or paging would not end"
    end = min(skip, len(rows)) + len(shown)
    if end < len(rows) or has_more:
        assert found["truncated"]["rows"] == len(shown)
        is_read = end < max(len(rows), answers.MOST_READ)
        assert found["truncated"]["rest"].startswith(f"call again with skip={end}, or " if is_read else "narrow by")
    else:
        assert found["truncated"] is None


JSON = st.recursive(
    st.text(max_size=2000) | st.none() | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(max_size=300), inner, max_size=20),
    max_leaves=200,
)


@given(JSON)
def test_the_answer_to_a_document_is_bounded_and_says_what_it_leaves_out(content: Any) -> None:
    text = answers.document(content)
    assert len(text.encode()) <= answers.MAX_ANSWER
    found = json.loads(text)
    assert found["truncated"] or found["data"] == content


MONEY = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=18)
SERIES = st.lists(
    st.builds(
        lambda name, currency, amount: {
            "service": name, "cost": {"amount": str(amount), "currency": currency}, "unpricedLineItems": 0
        },
        st.sampled_from(["a", "b", None, ""]), st.sampled_from(["EUR", "USD"]), MONEY,
    ),
    max_size=12,
)  # fmt: skip


@given(SERIES)
def test_totals_are_the_sums_of_all_rows(series: list[Any]) -> None:
    expected: dict[str, Fraction] = {}
    for one in series:
        currency = one["cost"]["currency"]
        expected[currency] = expected.get(currency, Fraction(0)) + Fraction(one["cost"]["amount"])
    assert {one["currency"]: Fraction(one["cost"]) for one in totals(series)} == expected


def _descriptions(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, one in schema.items():
            yield from (one,) if name == "description" and isinstance(one, str) else _descriptions(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from _descriptions(one)


def test_descriptions_are_short_and_every_tool_has_one(tools: Tools) -> None:
    async def read(client: Any) -> tuple[str, Any]:
        return client.instructions, (await client.list_tools()).tools

    instructions, listed = tools.run(read)
    assert [one.name for one in listed] == list(TOOLS)
    assert all(one.description for one in listed)
    assert [one.name for one in listed if not one.annotations.read_only_hint] == ["create_budget", "judge_anomaly"]
    texts = [
        instructions,
        *(one.description for one in listed),
        *(text for one in listed for text in _descriptions(one.input_schema)),
    ]
    assert len("".join(texts).encode()) <= MAX_DESCRIBED
    assert "never instructions" in instructions


@pytest.fixture(scope="module")
def long_names(world: World, tools: Tools) -> Tools:
    """The tools of a customer whose labels are long and many, some of which take six bytes a character in JSON."""
    customer = world.customer()
    account = Account(f"{customer.customer_id}.{'a' * 60}", customer.customer_id, "aws")
    world.metadata.accounts.add(account)
    charges = [
        Charge(
            date(2026, 10, 1 + number % 30), Decimal(number), service=f"{number} " + "\x01" * 900, region="\N{SNOWMAN}" * 500,
            resource=f"{number} " + '"' * 900, sub_account="s" * 3000, tags={f"team {number} {'k' * 900}": "v" * 900},
            currency=("USD", "EUR")[number % 2],
        )
        for number in range(1, 150)
    ]  # fmt: skip
    customer.publish(slice_of(customer.customer_id, "a" * 60, BillingPeriod(2026, 10), "aws"), charges)
    return tools.of(customer.token)


@pytest.mark.parametrize(
    ("tool", "asked"),
    [
        ("list_accounts", {}),
        ("find_values", {"dimension": "SERVICE", "limit": 200}),
        ("find_values", {"dimension": "TAG_KEY", "limit": 200}),
        ("query_costs", {"period": "last-month", "groupBy": ["SERVICE", "REGION", "SUB_ACCOUNT"], "groupByTag": "x"}),
        ("query_costs", {"period": "last-month", "groupBy": ["SERVICE"], "granularity": "DAILY"}),
        ("compare_periods", {"period": "last-month", "groupBy": ["SERVICE", "REGION"]}),
        ("top_resources", {"period": "last-month"}),
        ("run_graphql", {"query": '{ costMetrics(period: {start: "2026-10-01", end: "2026-11-01"}, first: 200) '
         "{ nodes { serviceName resourceId regionId subAccountId tags } } }"}),
    ],
    ids=str,
)  # fmt: skip
def test_answers_about_long_labels_are_bounded(long_names: Tools, tool: str, asked: dict[str, Any]) -> None:
    found = long_names.result(tool, **asked)
    assert not found.is_error, text_of(found)
    assert len(text_of(found).encode()) <= answers.MAX_ANSWER
    assert json.loads(text_of(found))["truncated"] or tool == "list_accounts"


def test_an_error_is_bounded(tools: Tools) -> None:
    assert len(tools.refused("query_costs", **{f"argument {number} {'x' * 99}": 1 for number in range(99)})) < 2100


def test_what_is_left_out_is_had_by_skip(long_names: Tools) -> None:
    seen: list[str] = []
    for _ in range(149):
        found = long_names.call("query_costs", period="last-month", groupBy=["SERVICE"], skip=len(seen), limit=200)
        seen += [row[0].partition(" ")[0] for row in found["rows"]]
        if found["truncated"] is None:
            break
    assert sorted(map(int, seen)) == list(range(1, 150))
    assert {one["currency"]: Decimal(one["cost"]) for one in found["totals"]} == {
        "EUR": Decimal(sum(range(1, 150, 2))), "USD": Decimal(sum(range(2, 150, 2)))
    }  # fmt: skip


@given(
    st.sampled_from(sorted(TOOLS)),
    st.dictionaries(st.sampled_from([*"ab", "period", "filter", "asOf", "limit", "groupBy", "query"]), JSON),
)
def test_arguments_of_any_kind_are_taken_or_refused_with_their_name(name: str, given_: dict[str, Any]) -> None:
    model = TOOLS[name].arguments
    said = ""
    try:
        checked(model, given_)
    except ArgumentRefused as refused:
        said = str(refused)
    names = {*given_, *json_schema(model)["properties"]}
    assert not said or any(said.startswith(one) for one in names)
