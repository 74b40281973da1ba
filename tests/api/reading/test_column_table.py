"""What is summed in memory is what ClickHouse answers, for any rows, filters, periods and currencies."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from readers import Readers, assert_equal, client, counting, insert, runner

from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading import table_cache
from optiinfra_api.reading.clickhouse_reader import parameters
from optiinfra_api.reading.column_table import COSTS
from optiinfra_api.reading.exact_sums import written
from optiinfra_api.reading.held_rows import TABLES
from optiinfra_assets.warehouse.warehouse import Warehouse

__all__ = ["client", "runner"]

FIRST = date(2026, 1, 28)
TEXTS = ["", "a", "ä", "B", "ß \N{SNOWMAN}"]
DIMENSIONS = {
    "cost_by_day": {},
    "cost_by_service": {"service": "service_name"},
    "cost_by_type": {
        name: name for name in ("charge_category", "charge_class", "charge_frequency", "pricing_category")
    },
    "cost_trends": {
        "sub_account": "sub_account_id",
        "service": "service_name",
        "region": "region_id",
        "charge_category": "charge_category",
    },
    "cost_by_resource_day": {
        "sub_account": "sub_account_id",
        "service": "service_name",
        "region": "region_id",
        "charge_category": "charge_category",
        "resource": "resource_id",
    },
}
FILTERS = {
    "sub_accounts": "sub_account",
    "services": "service",
    "regions": "region",
    "charge_categories": "charge_category",
    "pricing_categories": "pricing_category",
    "resources": "resource",
}
CUSTOMERS = ("acme", "other")
PARAMETERS = parameters("resource_details")

amounts = st.decimals(Decimal("-9e19"), Decimal("9e19"), places=18) | st.decimals(-100, 100, places=6)
counts = st.integers(0, 2**40)


@st.composite
def rows(draw: st.DrawFn, table: str) -> list[dict[str, Any]]:
    """Rows of a derived table, of both customers, whose generations have numbers of their own."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        generation = draw(st.integers(1, 6))
        found.append(
            {
                "customer_id": CUSTOMERS[generation > 4],
                "provider": draw(st.sampled_from(["aws", "gcp"])),
                "account_id": draw(st.sampled_from(["one", "two", "drei ä"])),
                "generation": generation,
                "billing_period": date(2026, 1 + generation % 3, 1),
                "charge_date": FIRST + timedelta(days=draw(st.integers(0, 40))),
                "billing_currency": draw(st.sampled_from(["USD", "EUR"])),
                **{column: draw(st.sampled_from(TEXTS)) for column in DIMENSIONS[table].values()},
                **{cost: draw(amounts) for cost in COSTS},
                "list_cost_missing": draw(counts),
                "contracted_cost_missing": draw(st.integers(0, 3)),
                "line_items": draw(counts) + number,
            }
        )
    return found


@st.composite
def questions(draw: st.DrawFn, table: str) -> dict[str, Any]:
    """The bound values of a statement."""
    dimensions = {"provider": "provider", "account": "account_id", **DIMENSIONS[table]}
    start = FIRST + timedelta(days=draw(st.integers(-3, 45)))
    cost = draw(st.sampled_from(COSTS))
    unpriced = {"list_cost": "list_cost_missing", "contracted_cost": "contracted_cost_missing"}
    accepted = st.lists(st.sampled_from([*TEXTS, "nowhere"]), unique=True, max_size=4)
    return {
        "customer_id": "acme",
        "generations": draw(st.lists(st.integers(1, 4), unique=True, min_size=1)),
        "start": start,
        "end": start + timedelta(days=draw(st.integers(1, 50))),
        "currencies": draw(st.lists(st.sampled_from(["USD", "EUR", "CHF"]), unique=True, max_size=2)),
        **{name: column if draw(st.booleans()) else "nothing" for name, column in dimensions.items()},
        **{name: draw(accepted) for name, dimension in FILTERS.items() if dimension in dimensions},
        "cost": cost,
        "unpriced": unpriced.get(cost, "none"),
        "granularity": draw(st.sampled_from(["daily", "weekly", "monthly", "whole"])),
        "period": draw(st.sampled_from(["nothing", "period_key"])),
        "order": draw(st.sampled_from(["largest_first", "smallest_first", "by_name"])),
        "each": draw(st.sampled_from([1, 2, 1001])),
        "limit": draw(st.sampled_from([1, 3, 1001])),
    }


@pytest.mark.parametrize("statement", [one for one in TABLES if one.startswith("cost_series")])
@hypothesis_settings(max_examples=15)
@given(data=st.data())
def test_memory_answers_what_clickhouse_answers(
    statement: str,
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(table_cache, "_AT_ONCE_OF_OTHERS", 1000)
    table = TABLES[statement]
    insert(warehouse, table, data.draw(rows(table)))
    asked = data.draw(st.lists(questions(table), min_size=3, max_size=6))

    async def asking() -> None:
        readers = Readers(client, warehouse)
        for values in asked:
            assert_equal(await readers.held(statement, values), await readers.asking.rows(statement, values))

    runner.run(asking())


@hypothesis_settings(max_examples=15)
@given(data=st.data())
def test_days_of_resources_in_memory_are_those_of_clickhouse(
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(table_cache, "_AT_ONCE_OF_OTHERS", 1000)
    insert(warehouse, "cost_by_resource_day", data.draw(rows("cost_by_resource_day")))
    asked = data.draw(questions("cost_by_resource_day")) | {"account": "account_id", "resource": "resource_id"}
    asked["resources"] = data.draw(st.lists(st.sampled_from(TEXTS), unique=True, min_size=1))

    async def asking() -> None:
        readers = Readers(client, warehouse)
        theirs = await readers.asking.rows("resource_days", asked)
        own = await readers.held("resource_days", {name: asked[name] for name in parameters("resource_days")})
        assert len(own) == len(theirs)
        assert _days_of_resources(own) == _days_of_resources(theirs)

    runner.run(asking())


def _days_of_resources(found: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, str]]:
    """The amounts by day of each resource, as neither has an order."""
    return {
        (row["account"], row["resource"], row["currency"]): dict(zip(row["dates"], row["amounts"], strict=True))
        for row in found
    }


@st.composite
def resource_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of cost_by_resource: a generation is of one account and one billing period, and an account has one of each period."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        generation = draw(st.integers(1, 6))
        found.append(
            {
                "customer_id": CUSTOMERS[generation > 4],
                "provider": "aws",
                "account_id": ("one", "drei ä")[generation % 2],
                "generation": generation,
                "billing_period": date(2026, 1 + generation // 2, 1),
                "charge_month": date(2026, draw(st.integers(1, 4)), 1),
                "sub_account_id": draw(st.sampled_from(TEXTS)),
                "service_name": draw(st.sampled_from(TEXTS)),
                "region_id": draw(st.sampled_from(TEXTS)),
                "charge_category": draw(st.sampled_from(TEXTS)),
                "resource_id": draw(st.sampled_from(TEXTS)),
                "resource_name": draw(st.sampled_from(TEXTS)),
                "resource_type": draw(st.sampled_from(TEXTS)),
                "billing_currency": draw(st.sampled_from(["USD", "EUR"])),
                **{cost: draw(amounts | st.just(Decimal(1))) for cost in COSTS},
                "list_cost_missing": draw(counts),
                "contracted_cost_missing": draw(st.integers(0, 3)),
                "line_items": draw(counts) + number,
            }
        )
    return found


@hypothesis_settings(max_examples=20)
@given(data=st.data())
def test_resources_in_memory_are_those_of_clickhouse(
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(table_cache, "_AT_ONCE_OF_OTHERS", 1000)
    insert(warehouse, "cost_by_resource", data.draw(resource_rows()))
    asked = data.draw(questions("cost_trends")) | {
        "first_month": date(2026, data.draw(st.integers(1, 3)), 1),
        "end_month": date(2026, data.draw(st.integers(4, 6)), 1),
        "limit": data.draw(st.integers(1, 8)),
        "has_after": 0,
        "after_currency": "",
        "after_amount": "0",
        "after_account": "",
        "after_resource": "",
    }

    async def asking() -> None:
        readers = Readers(client, warehouse)
        while True:
            ranked = await readers.asking.rows("cost_by_resource_months", asked)
            found = await readers.held("cost_by_resource_months", asked)
            assert found == [{name: row[name] for name in found[0]} for row in ranked]
            if not found:
                return
            details = asked | {
                "newest_generations": sorted({row["newest_generation"] for row in found}),
                "resources": sorted({row["resource"] for row in found}),
            }
            own = await readers.held("resource_details", {name: details[name] for name in PARAMETERS})
            theirs = await readers.asking.rows("resource_details", details)
            assert sorted(map(str, own)) == sorted(map(str, theirs))
            last = found[-1]
            after = {f"after_{name}": last[name] for name in ("currency", "account", "resource")}
            asked.update(after, has_after=1, after_amount=last["total"])

    runner.run(asking())


@hypothesis_settings(max_examples=15)
@given(data=st.data())
def test_sums_over_many_generations_are_those_of_clickhouse(
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(table_cache, "_MANY", 0)
    monkeypatch.setattr(table_cache, "_BLOCK", 2)
    insert(warehouse, "cost_by_day", data.draw(rows("cost_by_day")))
    asked = data.draw(st.lists(questions("cost_by_day"), min_size=3, max_size=6))

    async def asking() -> None:
        readers = Readers(client, warehouse)
        for values in asked:
            values |= {"provider": "nothing", "account": "nothing", "period": "nothing"}
            statement = "cost_series_by_day"
            assert_equal(await readers.held(statement, values), await readers.asking.rows(statement, values))

    runner.run(asking())


def row(generation: int, day: int, customer_id: str = "acme", amount: int = 1) -> dict[str, Any]:
    """A row of cost_by_day."""
    return {
        "customer_id": customer_id,
        "provider": "aws",
        "account_id": "one",
        "generation": generation,
        "billing_period": date(2026, 1, 1),
        "charge_date": FIRST + timedelta(days=day),
        "billing_currency": "USD",
        **{cost: Decimal(amount) for cost in COSTS},
        "list_cost_missing": 0,
        "contracted_cost_missing": 0,
        "line_items": 1,
    }


def question(generations: list[int], customer_id: str = "acme") -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "generations": generations,
        "start": FIRST,
        "end": FIRST + timedelta(days=1000),
        "currencies": [],
        "provider": "nothing",
        "account": "nothing",
        "cost": "billed_cost",
        "unpriced": "none",
        "granularity": "whole",
        "period": "nothing",
        "order": "largest_first",
        "each": 1001,
        "limit": 1001,
    }


def test_a_customer_is_shown_none_of_the_rows_that_another_has_in_memory(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    """Even if it names the generations of the other, which nothing in the API lets it do."""
    insert(warehouse, "cost_by_day", [row(1, 0, "acme", 7), row(2, 0, "other", 9)])

    async def asking() -> None:
        readers = Readers(client, warehouse)
        for customer_id, amount, own, others in (("acme", "7", 1, 2), ("other", "9", 2, 1)):
            (found,) = await readers.held("cost_series_by_day", question([own], customer_id))
            assert found["total"] == amount
            (found,) = await readers.held("cost_series_by_day", question([own, others], customer_id))
            assert found["total"] == amount
            assert await readers.held("cost_series_by_day", question([others], customer_id)) == []

    runner.run(asking())


def test_memory_is_bounded_and_what_does_not_fit_is_asked_of_clickhouse(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    insert(warehouse, "cost_by_day", [row(one, day) for one in range(1, 11) for day in range(20)])
    size = 40 * table_cache.ROW_BYTES * 4

    async def asking() -> None:
        readers = Readers(client, warehouse, size)
        for generations in ([1], [1, 2], [2, 3], [1, 2, 3], [3], list(range(1, 11)), [9], [9, 10]):
            values = question(generations)
            (found,) = await readers.holding.rows("cost_series_by_day", values)
            assert found["line_items"] == 20 * len(generations)
            held = readers.holding._tables._held
            assert held.currsize == sum(table.size for table in held.values()) <= size
            assert all(len(table) <= 40 for table in held.values())
        tiny = Readers(client, warehouse, 0)
        assert (await tiny.holding.rows("cost_series_by_day", question([4])))[0]["line_items"] == 20
        assert not tiny.holding._tables._held

    runner.run(asking())


def test_rows_are_fetched_once_for_all_who_ask(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    insert(warehouse, "cost_by_day", [row(one, 0) for one in (1, 2)])

    async def asking() -> None:
        readers = Readers(client, warehouse)
        fetched = counting(readers)
        asked = [readers.held("cost_series_by_day", question([1])) for _ in range(10)]
        assert [found[0]["line_items"] for found in await asyncio.gather(*asked)] == [1] * 10
        assert (await readers.held("cost_series_by_day", question([1, 2])))[0]["line_items"] == 2
        assert fetched == [[1], [2]]

    runner.run(asking())


def test_the_budget_of_answers_counts_what_memory_answers(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    insert(warehouse, "cost_by_day", [row(1, 0)])

    async def asking() -> None:
        readers = Readers(client, warehouse)

        def refuse(rows: int, *, size: int) -> None:
            assert (rows, size > 0) == (1, True)
            raise TooExpensive("too many", "ask for less")

        with pytest.raises(TooExpensive):
            await readers.holding.rows("cost_series_by_day", question([1]), refuse)

    runner.run(asking())


@given(units=st.integers(-(10**40), 10**40))
def test_an_amount_is_written_as_clickhouse_writes_it(units: int) -> None:
    text = written(units)
    assert Fraction(text) * 10**18 == units
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")
