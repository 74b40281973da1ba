"""What is held of line items in memory answers what ClickHouse answers: sums by tags and any dimensions, and pages of the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from charges import Charge, slice_of
from clickhouse_connect.driver.asyncclient import AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import Readers, assert_equal, client, counting, insert, runner

from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.cost_series import Grouping, cost_columns
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading import clickhouse_reader, column_table, line_item_table, newest_line_items, table_cache
from optiinfra_api.reading.clickhouse_reader import parameters
from optiinfra_api.reading.cost_query import validated
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.charge_filters import LINE_ITEMS, TagCondition
from optiinfra_assets.warehouse.warehouse import Warehouse

__all__ = ["client", "runner"]

FIRST, DAYS = date(2026, 1, 28), 40
TEXTS = ["a", "ä", "B", "ß \N{SNOWMAN}"]
VALUES = [None, "", ">", "=", *TEXTS]
COLUMNS = frozenset(
    {"charge_period_start", "generation", "line_number", "billed_cost", "billing_currency", "service_name", "tags"}
)

amounts = st.decimals(Decimal("-9e19"), Decimal("9e19"), places=18) | st.decimals(-100, 100, places=6)
texts = st.sampled_from([None, *TEXTS])
charges = st.builds(
    Charge,
    day=st.integers(0, DAYS).map(lambda number: FIRST + timedelta(number)),
    hour=st.sampled_from([0, 7, 23]),
    billed=amounts,
    effective=amounts,
    list_=st.none() | amounts,
    contracted=st.none() | amounts,
    currency=st.sampled_from(["USD", "EUR"]),
    service=st.sampled_from(["", *TEXTS]),
    region=texts,
    sub_account=texts,
    category=st.sampled_from(["Usage", "Tax"]),
    class_=texts,
    frequency=texts,
    pricing=texts,
    tags=st.dictionaries(st.sampled_from(["team", "Team", "aws:team"]), st.sampled_from(VALUES)),
    service_provider=st.sampled_from(["", *TEXTS]),
    service_category=st.sampled_from(["", *TEXTS]),
    invoice=texts,
    sku=texts,
    commitment=texts,
)
generations = st.dictionaries(st.integers(1, 6), st.lists(charges, max_size=12), min_size=1)
"""The charges of generations; the last two are of another customer."""


def insert_charges(warehouse: Warehouse, found: Mapping[int, list[Charge]]) -> None:
    rows = []
    for generation, own in found.items():
        account = ("one", "drei ä")[generation % 2]
        slice_ = slice_of(
            "acme" if generation < 5 else "other", account, BillingPeriod(2026, 1 + generation % 3), "aws"
        )
        rows += [one.row(slice_, generation, number) for number, one in enumerate(own, start=1)]
    insert(warehouse, "raw_costs", rows)


@st.composite
def periods(draw: st.DrawFn) -> tuple[date, date]:
    start = FIRST + timedelta(draw(st.integers(-3, DAYS)))
    return start, start + timedelta(draw(st.integers(1, DAYS + 5)))


@st.composite
def questions(draw: st.DrawFn, *, has_tags: bool = False) -> dict[str, Any]:
    """What every statement over line items binds."""
    names = ("service", "region", "sub_account", "pricing_category", "sku", "invoice", "commitment", "service_provider")
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    filters: dict[str, Any] = {name: draw(st.lists(texts, unique=True, min_size=1, max_size=3)) for name in chosen}
    if draw(st.booleans()):
        filters["currency"] = ["USD"]
    condition = st.builds(
        TagCondition,
        st.sampled_from(["team", "aws:team"]),
        st.lists(st.sampled_from(VALUES), min_size=1, unique=True).map(tuple),
        st.booleans(),
    )
    tags = draw(st.lists(condition, max_size=2)) if has_tags else []
    asked = validated(draw(periods()), None, tags=tags, **filters)
    return {
        **asked.parameters(),
        "customer_id": "acme",
        "generations": draw(st.lists(st.integers(1, 4), unique=True, min_size=1)),
        "first_period": date(2026, 1, 1),
        "last_period": date(2026, 12, 1),
    }


@st.composite
def series(draw: st.DrawFn) -> dict[str, Any]:
    """The bound values of ``cost_series_by_tag.sql``."""
    groups = Grouping(
        frozenset(draw(st.lists(st.sampled_from(sorted(LINE_ITEMS.keys() - {"tag", "tags", "resource"})), max_size=3))),
        draw(st.sampled_from([None, "team", "aws:team"])),
    )
    return {
        **draw(questions()),
        **groups.values(LINE_ITEMS),
        **cost_columns(draw(st.sampled_from(list(CostBasis)))),
        "granularity": draw(st.sampled_from(["daily", "weekly", "monthly", "whole"])),
        "order": draw(st.sampled_from(["largest_first", "smallest_first", "by_name"])),
        "each": draw(st.sampled_from([1, 2, 1001])),
        "limit": draw(st.sampled_from([1, 3, 1001])),
    }


@settings(max_examples=30)
@given(found=generations, asked=st.lists(series(), min_size=2, max_size=4))
def test_sums_by_tag_and_dimensions_are_those_of_clickhouse(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner, found: dict[int, list[Charge]], asked: list[Any]
) -> None:
    insert_charges(warehouse, found)

    async def asking() -> None:
        readers = Readers(client, warehouse)
        for values in asked:
            bound = {name: values[name] for name in parameters("cost_series_by_tag")}
            own = await readers.held_of_line_items("cost_series_by_tag", bound)
            assert own is not None
            assert_equal(own, await readers.asking.rows("cost_series_by_tag", bound))

    runner.run(asking())


@settings(max_examples=30)
@given(
    found=generations,
    asked=questions(has_tags=True),
    limit=st.integers(1, 6),
    most=st.sampled_from([1, 3, 6, 1024]),
    columns=st.sampled_from([COLUMNS, frozenset()]),
)
def test_pages_of_the_newest_line_items_are_those_of_clickhouse(
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    found: dict[int, list[Charge]],
    asked: dict[str, Any],
    limit: int,
    most: int,
    columns: frozenset[str],
) -> None:
    """Each page, from the first to the last, whether or not all line items of a generation are held."""
    insert_charges(warehouse, found)

    async def asking() -> None:
        readers = Readers(client, warehouse)
        values = asked | {"limit": limit, "columns": columns} | _after(None)
        values |= {"start": FIRST - timedelta(1), "end": FIRST + timedelta(DAYS + 1)} if limit == 6 else {}
        is_held = limit <= most and limit == 6
        while True:
            bound = {name: values[name] for name in parameters("line_items")}
            theirs = await readers.asking.rows("line_items", values)
            own = await readers.held_of_line_items("line_items", bound, columns)
            assert own == theirs or (own is None and most < 1024 and not is_held)
            if len(theirs) < limit:
                return
            values |= _after(theirs[-1])
            is_held = False

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clickhouse_reader, "HELD", most)
        patched.setattr(newest_line_items, "HELD", most)
        runner.run(asking())


def _after(row: dict[str, Any] | None) -> dict[str, Any]:
    """What a page after the line item `row` binds; None: the first page."""
    start = datetime(1970, 1, 1, tzinfo=UTC) if row is None else datetime.fromisoformat(row["charge_period_start"])
    return {
        "has_after": int(row is not None),
        "after_start": start,
        "after_generation": row["generation"] if row else 0,
        "after_line_number": row["line_number"] if row else 0,
    }


def page_of(generations: list[int], customer_id: str = "acme") -> dict[str, Any]:
    """What the first page of all line items binds."""
    asked = validated((FIRST, FIRST + timedelta(DAYS)), None)
    return {
        **asked.parameters(),
        **_after(None),
        "customer_id": customer_id,
        "generations": generations,
        "first_period": date(2026, 1, 1),
        "last_period": date(2026, 12, 1),
        "limit": 5,
    }


def sums_of(generations: list[int], customer_id: str = "acme") -> dict[str, Any]:
    """What trends by the tag ``team`` bind."""
    return {
        **page_of(generations, customer_id),
        **Grouping(tag="team").values(LINE_ITEMS),
        **cost_columns(CostBasis.BILLED),
        "granularity": "whole",
        "order": "largest_first",
        "each": 1001,
        "limit": 1001,
    }


QUESTIONS = {"line_items": page_of, "cost_series_by_tag": sums_of}


def charge(amount: int) -> Charge:
    return Charge(day=FIRST, billed=Decimal(amount), tags={"team": "red"})


async def settled(readers: Readers) -> None:
    """Wait for what is being fetched."""
    await asyncio.gather(*readers.holding._tables._filling.values())


@pytest.mark.parametrize("statement", QUESTIONS)
def test_line_items_are_held_once_they_are_asked_again_and_then_only_new_generations_are_read(
    statement: str, warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    insert_charges(warehouse, {one: [charge(one)] for one in (1, 2, 3)})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        fetched = counting(readers)
        for generations, expected in (
            ([1, 2], []),
            ([1, 2], [[1, 2]]),
            ([1, 3], [[1, 2], [3]]),
            ([1, 3], [[1, 2], [3]]),
        ):
            values = QUESTIONS[statement](generations)
            own = await readers.holding.rows(statement, values)
            assert own == await readers.asking.rows(statement, values)
            await settled(readers)
            assert fetched == expected

    runner.run(asking())


@pytest.mark.parametrize("statement", QUESTIONS)
def test_a_customer_is_shown_no_line_items_that_another_has_in_memory(
    statement: str, warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    """Even if it names the generations of the other, which nothing in the API lets it do."""
    insert_charges(warehouse, {1: [charge(7)], 5: [charge(9)]})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        for customer_id, own, others in (("acme", 1, 5), ("other", 5, 1)):
            rows = await readers.held_of_line_items(statement, QUESTIONS[statement]([own], customer_id))
            assert rows is not None
            (found,) = rows
            assert str({1: 7, 5: 9}[own]) in {found.get("billed_cost"), found.get("total")}
            assert await readers.held_of_line_items(statement, QUESTIONS[statement]([own, others], customer_id)) == [
                found
            ]
            assert await readers.held_of_line_items(statement, QUESTIONS[statement]([others], customer_id)) == []

    runner.run(asking())


@pytest.mark.parametrize("statement", QUESTIONS)
def test_more_line_items_than_may_be_read_for_it_are_not_held(
    statement: str,
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clickhouse_reader, "_FETCHED_LINE_ITEMS", 3)
    insert_charges(warehouse, {1: [charge(number) for number in range(4)]})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        fetched = counting(readers)
        for _ in range(4):
            values = QUESTIONS[statement]([1])
            assert await readers.holding.rows(statement, values) == await readers.asking.rows(statement, values)
            await settled(readers)
        assert fetched == [[1]]
        assert not readers.holding._tables._held

    runner.run(asking())


def test_pages_of_many_generations_are_not_held(
    warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is read by a statement."""
    monkeypatch.setitem(table_cache._MOST_GENERATIONS, "line_items", 2)
    insert_charges(warehouse, {one: [charge(one)] for one in (1, 2, 3)})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        fetched = counting(readers)
        for _ in range(3):
            assert len(await readers.holding.rows("line_items", page_of([1, 2, 3]))) == 3
            await settled(readers)
        assert fetched == []

    runner.run(asking())


@pytest.mark.parametrize(("module", "most"), [(column_table, "_MOST_SUMS"), (line_item_table, "_MOST_GROUPS")])
def test_sums_that_would_take_too_much_memory_are_asked_of_clickhouse(
    module: ModuleType,
    most: str,
    warehouse: Warehouse,
    client: AsyncClient,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, most, 1)
    insert_charges(warehouse, {1: [charge(7), Charge(day=FIRST, billed=Decimal(1))]})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        assert await readers.held_of_line_items("cost_series_by_tag", sums_of([1])) is None
        (red, none) = await readers.holding.rows("cost_series_by_tag", sums_of([1]))
        assert (red["tag"], red["total"], none["tag"], none["total"]) == ("red", "7", None, "1")

    runner.run(asking())


@pytest.mark.parametrize("statement", QUESTIONS)
def test_the_budget_of_answers_counts_what_memory_answers_of_line_items(
    statement: str, warehouse: Warehouse, client: AsyncClient, runner: asyncio.Runner
) -> None:
    insert_charges(warehouse, {1: [charge(7)]})

    async def asking() -> None:
        readers = Readers(client, warehouse)
        assert await readers.held_of_line_items(statement, QUESTIONS[statement]([1]))

        def refuse(rows: int, *, size: int) -> None:
            assert (rows, size > 0) == (1, True)
            raise TooExpensive("too many", "ask for less")

        with pytest.raises(TooExpensive):
            await readers.holding.rows(statement, QUESTIONS[statement]([1]), refuse)

    runner.run(asking())
