"""What each tool answers about a customer whose costs are known, and how it refuses what it does not accept."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest
from charges import Charge, slice_of
from site_world import HOSTILE, spend
from tool_client import Tools
from world import World

from optiinfra_api.exploring.periods import PRESETS
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.trends import Dimension, Granularity
from optiinfra_api.mcp import arguments
from optiinfra_assets.domain.accounts import BillingPeriod

OCTOBER = {"start": "2026-10-01", "end": "2026-11-01"}
NOVEMBER = {"start": "2026-11-01", "end": "2026-11-19"}
USD = {"currency": ["USD"]}


def test_accounts_have_their_state_and_how_far_their_data_reach(tools: Tools) -> None:
    found = tools.call("list_accounts")
    assert (found["accounts"], found["failing"], found["truncated"]) == (1, 0, None)
    (row,) = found["rows"]
    account = dict(zip(found["columns"], row, strict=True))
    assert account["account"] == f"{tools.customer_id}.main"
    assert (account["provider"], account["state"], account["isSimulated"]) == ("aws", "active", False)
    assert account["dataThrough"] == "2026-11-18T00:00:00Z"
    assert tools.call("list_accounts", provider="focus")["rows"] == []


def test_costs_are_exact_with_totals_of_each_currency(tools: Tools) -> None:
    found = tools.call("query_costs", period="last-month", groupBy=["SERVICE"])
    assert found["period"] == OCTOBER
    assert found["totals"] == [{"currency": "EUR", "cost": "0.093"}, {"currency": "USD", "cost": "387.5"}]
    assert found["columns"] == ["service", "currency", "cost"]
    assert found["rows"] == [["Storage", "EUR", "0.093"], ["Compute", "USD", "310"], ["Storage", "USD", "77.5"]]
    assert (found["dataThrough"], found["isSimulated"]) == ("2026-11-18T00:00:00Z", False)
    assert found["isComplete"] is False
    assert found["truncated"] is None


def test_costs_by_day_and_tag_with_filters_and_basis(tools: Tools) -> None:
    days = {"start": "2026-10-30", "end": "2026-11-02"}
    found = tools.call(
        "query_costs", period=days, granularity="DAILY", groupByTag="team", filter=USD | {"service": ["Compute"]}
    )
    assert found["columns"] == ["tag", "currency", "from", "cost"]
    assert found["rows"] == [
        ["web", "USD", "2026-10-30", "10"],
        ["web", "USD", "2026-10-31", "10"],
        ["web", "USD", "2026-11-01", "11.25"],
    ]
    at_list = tools.call("query_costs", period=days, costBasis="LIST", filter=USD)
    assert at_list["totals"] == [{"currency": "USD", "cost": "0", "lineItemsWithoutPrice": 6}]
    long_ago = tools.call("query_costs", period=days, asOf="2026-01-01T00:00:00+01:00")
    assert (long_ago["rows"], long_ago["totals"], long_ago["dataThrough"]) == ([], [], None)


def test_what_moved_most_comes_first_in_each_currency(tools: Tools) -> None:
    found = tools.call("compare_periods", period="this-month")
    assert (found["period"], found["before"]) == (NOVEMBER, {"start": "2026-10-01", "end": "2026-10-19"})
    assert found["columns"] == ["service", "currency", "before", "now", "change", "changePercent"]
    assert found["rows"] == [
        ["Storage", "EUR", "0.054", "0.051", "-0.003", "-5.6"],
        ["Compute", "USD", "180", "191.25", "11.25", "6.2"],
        ["Storage", "USD", "45", "42.5", "-2.5", "-5.6"],
    ]
    assert found["totals"][1] == {
        "currency": "USD", "before": "225", "now": "233.75", "change": "8.75", "changePercent": "3.9"
    }  # fmt: skip
    by_tag = tools.call("compare_periods", period="this-month", groupByTag="team", filter=USD)
    assert by_tag["columns"][:2] == ["tag", "currency"]
    rolling = tools.call("compare_periods", period="7-days", groupBy=[])
    assert rolling["columns"][0] == "currency"
    assert rolling["before"] == {"start": "2026-11-05", "end": "2026-11-12"}
    chosen = tools.call("compare_periods", period=NOVEMBER, before="last-month", filter=USD)
    assert chosen["before"] == OCTOBER
    new = tools.call("compare_periods", period=OCTOBER, before={"start": "2026-09-01", "end": "2026-10-01"}, filter=USD)
    assert new["rows"][0] == ["Compute", "USD", "0", "310", "310", None]


def test_what_a_limit_leaves_out_is_had_by_skip_and_effects_when_they_are_asked(tools: Tools) -> None:
    whole = tools.call("compare_periods", period="this-month", effects=True)
    assert whole["columns"][-3:] == ["priceEffect", "usageEffect", "whyNoEffect"]
    assert whole["truncated"] is None
    assert {row[-1] for row in whole["rows"]} == {"QUANTITY_MISSING"}
    rows = []
    for skip in range(len(whole["rows"])):
        found = tools.call("compare_periods", period="this-month", effects=True, skip=skip, limit=1)
        assert found["totals"] == whole["totals"]
        assert (found["truncated"] is None) == (skip == len(whole["rows"]) - 1)
        rows += found["rows"]
    assert rows == whole["rows"]


def test_differences_are_exact_beyond_the_usual_precision(world: World, tools: Tools) -> None:
    customer = world.customer()
    large, small = Decimal("12345678901234567890.1"), Decimal("0.000000000000000001")
    for month, amount in ((BillingPeriod(2026, 9), small), (BillingPeriod(2026, 10), large)):
        customer.publish(slice_of(customer.customer_id, "a", month), [Charge(date(2026, month.month, 1), amount)])
    found = tools.of(customer.token).call("compare_periods", period=OCTOBER)
    assert found["rows"][0][4] == found["totals"][0]["change"] == "12345678901234567890.099999999999999999"


def test_a_month_says_what_does_not_agree_first_and_where(tools: Tools) -> None:
    found = tools.call("reconcile_month", month="2026-10")
    assert (found["month"], found["states"]) == ("2026-10", {"MISMATCH": 1, "NOT_STATED": 1})
    first, second = (dict(zip(found["columns"], row, strict=True)) for row in found["rows"])
    assert (first["status"], first["ours"], first["stated"], first["difference"]) == (
        "MISMATCH",
        "387.5",
        "400",
        "-12.5",
    )
    assert [gap["amount"] for gap in first["gaps"]] == ["-12.5"]
    assert (second["status"], second["currency"], second["difference"]) == ("NOT_STATED", "EUR", None)
    assert tools.call("reconcile_month", month="2026-10", asOf="2026-11-01T00:00:00Z")["rows"] == []
    assert "month: is not accepted" in tools.refused("reconcile_month", month="October")


def test_resources_are_the_most_expensive_first(tools: Tools) -> None:
    found = tools.call("top_resources", period="last-month", filter=USD, limit=1)
    assert found["totals"] == [{"currency": "USD", "cost": "387.5"}]
    (row,) = found["rows"]
    resource = dict(zip(found["columns"], row, strict=True))
    assert (resource["resourceId"], resource["name"], resource["cost"]) == ("i-1", "Name of i-1", "310")
    assert (resource["services"], resource["account"]) == (["Compute"], f"{tools.customer_id}.main")
    assert found["truncated"] == {
        "rows": 1,
        "of": "more than 1",
        "rest": "call again with skip=1, or narrow by filter or period",
    }
    rest = tools.call("top_resources", period="last-month", filter=USD, limit=1, skip=1)
    assert (rest["rows"][0][0], rest["truncated"]) == ("disk", None)


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ({"dimension": "SERVICE"}, [["Storage", "EUR", "0.144"], ["Compute", "USD", "501.25"], ["Storage", "USD", "120"]]),
        ({"dimension": "SERVICE", "search": "COMP"}, [["Compute", "USD", "501.25"]]),
        ({"dimension": "TAG", "tagKey": "team", "search": "w"}, [["web", "USD", "501.25"]]),
        ({"dimension": "TAG_KEY"}, [["team", 48]]),
        ({"dimension": "TAG_KEY", "search": "cost"}, []),
        ({"dimension": "CURRENCY"}, [["EUR", "0.144"], ["USD", "621.25"]]),
        ({"dimension": "REGION", "filter": USD}, [["eu-west-1", "USD", "621.25"]]),
    ],
    ids=str,
)  # fmt: skip
def test_values_of_a_dimension_are_found(tools: Tools, asked: dict[str, Any], values: list[Any]) -> None:
    assert tools.call("find_values", **asked)["rows"] == values


def test_a_document_of_queries_is_run(tools: Tools) -> None:
    document = 'query Two($day: Date!) { totalCost(period: {start: $day, end: "2026-11-01"}) { totals { lineItems } } }'
    found = tools.call("run_graphql", query=document, variables={"day": "2026-10-31"}, operationName="Two")
    assert found == {"truncated": None, "data": {"totalCost": {"totals": [{"lineItems": 1}, {"lineItems": 2}]}}}


def test_a_stored_label_is_data(world: World, tools: Tools) -> None:
    customer = world.customer()
    spend(customer, hostile=True, is_simulated=True)
    found = tools.of(customer.token).call("query_costs", period="last-month", groupBy=["SERVICE"], filter=USD)
    assert found["rows"][0] == [HOSTILE, "USD", "310"]
    assert found["isSimulated"] is True


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("query_costs", {}, "period: is needed: one of this-month, last-month, "),
        ("query_costs", {"period": "last year"}, "period: is not accepted: one of this-month, last-month, "),
        ("query_costs", {"period": {"start": "2026-11-01"}}, 'or {"start": a day, YYYY-MM-DD, "end": the day after'),
        ("query_costs", {"period": {"start": "2026-11-02", "end": "2026-11-01"}}, "it has no day. Use an end after"),
        *(
            ("compare_periods", {"period": {"start": start, "end": end}}, "period: is not accepted: one of this-month, ")
            for start, end in (("0001-01-01", "0001-01-02"), ("9999-12-01", "9999-12-31"), ("9999-12-02", "0001-01-01"))
        ),
        ("compare_periods", {"period": "7-days", "before": {"start": "1970-12-31", "end": "1971-02-01"}}, "from 1971-01-01 to"),
        ("query_costs", {"period": "7-days", "groupBy": ["TEAM"]}, "groupBy.0: is not accepted: input should be 'PROVIDER', "),
        ("query_costs", {"period": "7-days", "by": 1}, "by: does not exist: use customer, period, filter, costBasis, asOf, "),
        ("query_costs", {"period": "7-days", "filter": {"team": ["a"]}}, "filter.team: does not exist: use provider, account, "),
        ("query_costs", {"period": "7-days", "filter": {"service": "EC2"}}, "filter.service: is not accepted: input should be a "),
        ("query_costs", {"period": "7-days", "filter": {"chargeCategory": ["x"]}}, "filter.chargeCategory: 'x' is not accepted. Use U"),
        ("query_costs", {"period": "7-days", "limit": 0}, "limit: is not accepted: input should be greater than or equal to 1"),
        ("query_costs", {"period": "7-days", "asOf": "monday"}, "asOf: is not accepted: an instant with its zone, 2026-"),
        ("query_costs", {"period": "7-days", "groupByTag": "a\0"}, "the character U+0000 is not accepted"),
        ("find_values", {"dimension": "TAG"}, "tagKey: goes with the dimension TAG, and only with it"),
        ("find_values", {"dimension": "TAGS"}, "dimension: is not accepted: input should be 'PROVIDER', "),
        ("top_resources", {"period": "7-days", "skip": 1000}, "skip: is not accepted: input should be less than or equal to 999"),
        ("run_graphql", {"query": "{"}, "query: Syntax Error"),
        ("run_graphql", {"query": "{" * 1500}, "query: "),
        ("run_graphql", {"query": "{ cost }"}, "Cannot query field 'cost' on type 'Query'."),
        ("run_graphql", {"query": "fragment a on Query { accounts }"}, "query: only queries are accepted"),
        ("run_graphql", {"query": "query a { health { isUp } } mutation b { __typename }"}, "query: only queries are accepted"),
        ("run_graphql", {"query": "subscription { __typename }"}, "query: only queries are accepted"),
        ("run_graphql", {"query": "{ totalCost(period: {start: \"2026-11-01\", end: \"2026-11-01\"}) { isComplete } }"}, "has no day"),
        ("run_graphql", {"query": "{ a: __typename " + "{ a } " * 12 + "}"}, ""),
        ("spend_money", {}, "name: there is no such tool: use list_accounts, find_values, query_costs, "),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_accepted_is_named_with_what_is(tools: Tools, tool: str, given: dict[str, Any], said: str) -> None:
    assert said in tools.refused(tool, **given)


def test_choices_are_those_of_graphql_and_of_the_pages() -> None:
    query = arguments.QueryAsked.model_fields
    assert list(get_args(arguments.PresetName)) == list(PRESETS)
    assert set(get_args(arguments.DimensionName)) == {one.name for one in Dimension}
    assert set(get_args(query["cost_basis"].annotation)) == {one.name for one in CostBasis}
    assert set(get_args(query["granularity"].annotation)) == {"TOTAL", *(one.name for one in Granularity)}
