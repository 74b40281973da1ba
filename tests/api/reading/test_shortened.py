"""What is left out of a statement is what accepts all, and what nobody selected; what is asked stays."""

from __future__ import annotations

import re

import pytest

from optiinfra_api.reading.clickhouse_reader import parameters
from optiinfra_api.reading.shortened import shortened
from optiinfra_assets.database import sql_files

STATEMENTS = sql_files.names("clickhouse", "queries")
LISTS = (
    "sub_accounts",
    "services",
    "regions",
    "charge_categories",
    "currencies",
    "pricing_categories",
    "service_providers",
    "service_categories",
    "invoices",
    "skus",
    "commitments",
    "resources",
    "tag_values",
    "more_tags",
    "any_case_tags",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_without_filters_has_no_condition_for_one(statement: str) -> None:
    text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
    short = shortened(text, {name: [] for name in LISTS} | {"has_after": 0})
    assert "empty(" not in short
    assert "has_after" not in short
    assert text.partition("WHERE")[0] == short.partition("WHERE")[0]
    end = "ORDER BY" if "ORDER BY" in text else "GROUP BY"
    assert text.rpartition(end)[2] == short.rpartition(end)[2]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_is_asked_stays(statement: str) -> None:
    text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
    assert shortened(text, {name: ["x"] for name in LISTS} | {"has_after": 1}) == text
    for asked in set(LISTS) & set(parameters(statement)) - {"resources"}:
        short = shortened(text, {name: ["x"] * (name == asked) for name in LISTS} | {"has_after": 1})
        assert [name for name in LISTS if f"empty({{{name}:" in short] == [asked]
        assert ("has_after" in short) == ("has_after" in text)


def test_groups_that_are_not_asked_are_left_out() -> None:
    text = sql_files.read("clickhouse", "queries", "cost_series_by_tag.sql")
    names = [name for name in parameters("cost_series_by_tag") if f"{{{name}:Identifier}} AS {name}_group" in text]
    assert len(names) == 17
    for asked in ("service", "tag", "tags"):
        short = shortened(text, {name: "nothing" for name in names if name != asked})
        assert [name for name in names if f"{name}_group" in short] == [asked]
        assert f"GROUP BY {asked}_group, billing_currency, bucket" in short
        assert f"GROUP BY {asked}_group, currency" in short
        assert f"ORDER BY currency, {{order:Identifier}}, {asked}\n" in short
    flat = shortened(
        sql_files.read("clickhouse", "queries", "cost_series_by_day.sql"),
        {"provider": "nothing", "account": "nothing", "period": "nothing"},
    )
    assert "GROUP BY currency\nORDER BY currency, {order:Identifier}\n" in flat


def test_only_the_columns_that_are_named_are_selected() -> None:
    text = sql_files.read("clickhouse", "queries", "line_items.sql")
    short = shortened(text, {}, frozenset({"account", "service_name", "x_columns", "nothing"}))
    select = [
        "SELECT",
        "    account_id AS account,",
        "    nullIf(raw_costs.service_name, '') AS service_name,",
        "    x_columns",
    ]
    assert short.partition("\nFROM ")[0].splitlines() == select
    assert short.partition("\nFROM ")[2] == text.partition("\nFROM ")[2]


def test_aliases_that_nothing_uses_are_left_out() -> None:
    """What is bound to an identifier parameter is used, and so is what such an alias uses."""
    text = sql_files.read("clickhouse", "queries", "cost_series_by_tag.sql")
    names = [name for name in parameters("cost_series_by_tag") if f"{{{name}:Identifier}}" in text]
    asked = dict.fromkeys(names, "nothing") | {"granularity": "daily", "order": "largest_first", "cost": "list_cost"}
    for tags, used in (("tags_key", ["tags_key"]), ("tags_any_case", ["pairs", "tags_any_case"])):
        short = shortened(text, asked | {"tags": tags})
        found = [
            re.findall(r" AS (\w+),?$", one, re.MULTILINE) for one in re.findall(r"WITH\n(.*?)SELECT", short, re.DOTALL)
        ]
        assert found == [["points", "cost_sum", "largest_first"], [*used, "daily"]]
        assert re.findall(r",(?=\s+SELECT)", short) == []
    of_day = sql_files.read("clickhouse", "queries", "line_item_days.sql")
    assert shortened(of_day, dict.fromkeys(parameters("line_item_days"), "nothing")).startswith(
        "SELECT\n    provider,\n"
    )
