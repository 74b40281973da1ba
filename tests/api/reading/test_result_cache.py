"""What generations say is asked of ClickHouse once, within the memory that answers may take, and never said to somebody else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import documents
import orjson
import pytest
from charges import Charge, slice_of
from exporting import counted
from hypothesis import given
from hypothesis import strategies as st
from slowly import never_ending, running
from world import Customer

from optiinfra_api.reading import clickhouse_reader
from optiinfra_api.reading.clickhouse_reader import parameters
from optiinfra_api.reading.result_cache import OVERHEAD_BYTES, ResultCache
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}
OCTOBER = BillingPeriod(2026, 10)
ONLY = {"additional_table_filters": "{'cost_by_day': 'customer_id = 1'}"}


def _totals(customer: Customer) -> Any:
    return customer.data(documents.TOTAL, period=PERIOD)["totalCost"]["totals"]


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_asked_before_is_not_asked_again_until_something_is_published(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, kept: bool
) -> None:
    impatient = settings.model_copy(
        update={"api_max_seconds": 1, **({} if kept else {"api_answers": 0, "api_tables": 0})}
    )
    with running(impatient, warehouse, metadata) as customer:
        before = _totals(customer)
        assert [total["cost"]["amount"] for total in before] == ["7"]
        never_ending(warehouse, "cost_by_day")
        if kept:
            assert _totals(customer) == before
            counted(customer.world, 'optiinfra_api_statements_total{source="memory"} 1.0')
        else:
            assert customer.error(documents.TOTAL, period=PERIOD)["extensions"]["code"] == "TOO_EXPENSIVE"
        warehouse.client.command("DROP VIEW cost_by_day")
        warehouse.client.command("RENAME TABLE kept_cost_by_day TO cost_by_day")
        slice_ = slice_of(customer.customer_id, "main", OCTOBER)
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal("7.5"))])
        assert [total["cost"]["amount"] for total in _totals(customer)] == ["7.5"]


def test_a_customer_with_more_publications_than_are_kept_in_all_is_answered(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse_reader, "_CACHED_PUBLICATIONS", 1)
    with running(settings, warehouse, metadata) as customer:
        for month in (11, 12):
            slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, month))
            customer.publish(slice_, [Charge(date(2026, month, 5), Decimal(month))])
        for months, amount in ((1, "7"), (3, "30")) * 2:
            period = PERIOD | {"end": str(OCTOBER.shift(months).start.date())}
            (total,) = customer.data(documents.TOTAL, period=period)["totalCost"]["totals"]
            assert total["cost"]["amount"] == amount


def test_an_error_is_not_kept(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    impatient = settings.model_copy(update={"api_max_seconds": 1})
    with running(impatient, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_by_day")
        assert customer.error(documents.TOTAL, period=PERIOD)["extensions"]["code"] == "TOO_EXPENSIVE"
        warehouse.client.command("DROP VIEW cost_by_day")
        warehouse.client.command("RENAME TABLE kept_cost_by_day TO cost_by_day")
        assert [total["cost"]["amount"] for total in _totals(customer)] == ["7"]


BOUND: dict[str, Any] = {
    "generations": [1, 2],
    "customer_id": "a",
    "start": date(2026, 10, 1),
    "cost": "billed_cost",
    "after_amount": Decimal("1.50"),
}


@pytest.mark.parametrize(
    "changes",
    [
        {"generations": [1]},
        {"generations": [2, 1]},
        {"customer_id": "b"},
        {"start": date(2026, 10, 2)},
        {"cost": "effective_cost"},
        {"after_amount": Decimal("1.51")},
        {"more": ""},
    ],
)
def test_each_value_that_is_bound_names_another_answer(changes: dict[str, Any]) -> None:
    first = ResultCache.key("SELECT", BOUND, ONLY)
    assert first == ResultCache.key("SELECT", dict(reversed(BOUND.items())), ONLY)
    assert ResultCache.key("SELECT", BOUND | changes, ONLY) not in (first, None)


def test_the_statement_and_whose_rows_it_sees_name_another_answer() -> None:
    keys = {
        ResultCache.key("SELECT", BOUND, ONLY),
        ResultCache.key("SELECT 1", BOUND, ONLY),
        ResultCache.key("SELECT", BOUND, {"additional_table_filters": "{'cost_by_day': 'customer_id = 2'}"}),
    }
    assert None not in keys
    assert len(keys) == 3


OF_GENERATIONS = [
    name
    for name in sql_files.names("clickhouse", "queries")
    if ":Array(UInt64)}" in sql_files.read("clickhouse", "queries", f"{name}.sql")
]


@pytest.mark.parametrize("statement", OF_GENERATIONS)
def test_each_statement_over_generations_has_a_name(statement: str) -> None:
    bound = dict.fromkeys(parameters(statement), "bound")
    assert ResultCache.key("SELECT", bound, ONLY) is not None


def test_what_may_change_has_no_name() -> None:
    assert ResultCache.key("SELECT", {"customer_id": "a"}, ONLY) is None
    assert ResultCache.key("SELECT", BOUND, {}) is None


@given(
    size=st.integers(0, 20_000),
    asked=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3_000)), max_size=60),
)
def test_what_is_kept_is_right_recent_and_within_its_size(size: int, asked: list[tuple[int, int]]) -> None:
    answers, right, used = ResultCache(size), {}, []
    for number, length in asked:
        key = number.to_bytes(1, "big")
        answer = right.setdefault(key, orjson.dumps("x" * length))
        found = answers.get(key)
        assert found in (None, answer)
        answers.keep(key, answer)
        used = [one for one in used if one != key] + [key]
    kept = [key for key in used if answers.get(key) is not None]
    assert sum(len(right[key]) + OVERHEAD_BYTES for key in kept) <= size
    # Those used last, but for those that are too large to be kept at all.
    small = [key for key in used if len(right[key]) + OVERHEAD_BYTES <= size // 8]
    begin = len(small) - len(kept)
    assert kept == small[begin:]
    with_one_more = small[max(begin - 1, 0) :]
    assert with_one_more == kept or sum(len(right[key]) + OVERHEAD_BYTES for key in with_one_more) > size
