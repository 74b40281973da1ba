"""Line items into ``raw_costs``: what stands in the files stands in the database, to the last digit, or nothing is acknowledged."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optiinfra_assets.database.errors import WarehouseUnavailable
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.domain.publications import Totals
from optiinfra_assets.domain.quoting import answers_shown, quoted
from optiinfra_assets.ingestion.slice_attempt import BEYOND
from optiinfra_assets.line_items import SCHEMA, Layout, Normalizer
from optiinfra_assets.line_items.content_hash import ContentHash
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.loading import LineItemBuffer, LoadResult, insert, load
from optiinfra_assets.warehouse.warehouse import Warehouse
from tests.focus_samples import (
    MONEY,
    Row,
    account,
    columns,
    csv_text,
    random_rows,
    row,
    sums,
    write_csv,
    write_parquet,
)

SEPTEMBER = BillingPeriod(2024, 9)
GENERATIONS = itertools.count(100)
SLICE = Slice("acme", "focus", "acme.files", SEPTEMBER)


def batch(rows: list[Row]) -> pa.RecordBatch:
    """One batch of the schema."""
    names = list(rows[0])
    delivered = pa.record_batch({name: pa.array([one.get(name) for one in rows], pa.string()) for name in names})
    return Normalizer(Layout.of(names), Rounding(), source="focus file").convert(delivered)


def stored(warehouse: Warehouse, what: str, where: str = "") -> list[tuple[Any, ...]]:
    """Rows of ``raw_costs``."""
    answer = warehouse.client.query(f"SELECT {what} FROM raw_costs {where}")
    return [tuple(one) for one in answer.result_rows]


def by_python(text: str) -> dict[str, Totals]:
    """The totals of a CSV text, by Python's csv and Decimal."""
    return {currency: Totals(*(found[name] for name in MONEY)) for currency, found in sums(text).items()}


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet text", "parquet decimals"])
@pytest.mark.parametrize("version", ["1.0", "1.4"])
def test_the_sums_of_the_files_are_the_sums_of_the_database(
    warehouse: Warehouse, tmp_path: Path, kind: str, version: str
) -> None:
    rows = random_rows(3000, 1) + random_rows(500, 2, BillingCurrency="EUR", ChargeCategory="Credit")
    rows += [row(ListCost=None, ContractedCost=None), row(ListCost=None, ContractedCost=None)]
    text = csv_text(rows, [*columns(version), "Id"])
    if kind.startswith("csv"):
        write_csv(tmp_path / f"a.{kind}", text)
    else:
        money = pa.decimal128(38, 18) if kind.endswith("decimals") else None
        write_parquet(tmp_path / "a.parquet", rows, columns(version), money)
    collection = PROVIDERS["focus"].collect(account(tmp_path), SEPTEMBER)
    loaded = load(warehouse.client, SLICE, 7, collection.batches)
    assert loaded.totals == by_python(text)
    assert loaded.line_items == 3502
    assert (loaded.first_charge_date, loaded.last_charge_date) == (date(2024, 9, 1), date(2024, 9, 29))
    warehouse.derive({7: SLICE})
    assert warehouse.unequal({7: (SLICE, loaded)}) == {}
    assert stored(warehouse, "count(), countIf(list_cost IS NULL)") == [(3502, 2)]


def test_every_column_arrives_as_it_was_sent(warehouse: Warehouse) -> None:
    """Different dictionaries in each batch, '' and null apart, maps, and the columns that place a row."""
    full = {name: f"{name} é" for name in columns("1.4")}
    first = row(**full) | row(
        ChargeClass="Correction",
        Tags='{"team": "web", "none": null, "n": 1.10}',
        Id="7",
        ResourceName="",
        SkuPriceDetails='{"a": 1.0}',
        AllocatedTags="{}",
        AllocatedMethodDetails='{"Elements": []}',
        ContractApplied="[]",
        CommitmentProgramEligibilityDetails='{"x_a": 1}',
    )
    for name in columns("1.4"):
        if (
            name.startswith(("Commitment", "Capacity", "Pricing", "Consumed", "List", "Contracted"))
            and "Id" not in name
        ):
            first[name] = None
    rows = [
        [first],
        [row(ServiceName="other", Id=None)],
        [row(ServiceName="Machines", RegionId="", Id="9")] * 3,
    ]
    batches = [batch([{**dict.fromkeys(first), **one} for one in group]) for group in rows]
    load(warehouse.client, SLICE, 7, batches)
    sent = [item for one in batches for item in one.to_pylist()]
    found = warehouse.client.query("SELECT * FROM raw_costs ORDER BY line_number")
    for number, (got, expected) in enumerate(zip(found.named_results(), sent, strict=True)):
        expected |= {"tags": dict(expected["tags"]), "x_columns": dict(expected["x_columns"])}
        place = {
            "customer_id": "acme",
            "provider": "focus",
            "account_id": "acme.files",
            "billing_period": date(2024, 9, 1),
            "generation": 7,
            "line_number": number,
        }
        assert got == place | expected


def test_identical_rows_stay_apart(warehouse: Warehouse) -> None:
    load(warehouse.client, SLICE, 7, [batch([row()] * 5), batch([row()] * 5)])
    assert stored(warehouse, "line_number", "ORDER BY line_number") == [(number,) for number in range(10)]


def test_sums_beyond_20_digits_do_not_wrap(warehouse: Warehouse) -> None:
    largest = "99999999999999999999.999999999999999999"
    rows = [row(BilledCost=largest, EffectiveCost=f"-{largest}")] * 3000
    loaded = load(warehouse.client, SLICE, 7, [batch(rows)] * 2)
    total = Decimal("599999999999999999999999.999999999999994")
    assert loaded.totals["USD"].billed_cost == total
    assert loaded.totals["USD"].effective_cost == total.copy_negate()
    found = stored(warehouse, "sum(toDecimal256(billed_cost, 18))")
    assert found == [(total,)]


def test_currencies_stay_apart_within_a_batch(warehouse: Warehouse) -> None:
    rows = [row(), row(BillingCurrency="EUR", BilledCost="-2"), row(BilledCost="0.25")]
    loaded = load(warehouse.client, SLICE, 7, [batch(rows)])
    assert {currency: totals.billed_cost for currency, totals in loaded.totals.items()} == {
        "USD": Decimal("1.5"),
        "EUR": Decimal("-2"),
    }


AMOUNTS = {"USD": 2, "JPY": 0, "KWD": 3, "XAU": 18}
"""Currencies and their fraction digits; troy ounces of gold have as many as we keep."""


@settings(max_examples=12)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(sorted(AMOUNTS)), st.integers(-(10**20) + 1, 10**20 - 1)), max_size=9),
        max_size=4,
    )
)
def test_every_currency_adds_up_by_itself(warehouse: Warehouse, drawn: list[list[tuple[str, int]]]) -> None:
    """Sent, stored and derived; whole yen beside thousandths of a dinar, in any mixture of batches."""
    amounts = [[(name, Decimal(units).scaleb(-AMOUNTS[name])) for name, units in one] for one in drawn]
    expected: dict[str, Decimal] = {}
    for name, amount in (pair for one in amounts for pair in one):
        expected[name] = expected.get(name, Decimal(0)) + amount
    # A collection refuses larger totals before it derives anything: derived columns hold no more.
    assume(all(abs(total) < BEYOND for total in expected.values()))
    batches = [
        batch([row(BillingCurrency=name, BilledCost=f"{amount:f}") for name, amount in one]) for one in amounts if one
    ]
    loaded = load(warehouse.client, SLICE, generation := next(GENERATIONS), batches)
    assert {name: totals.billed_cost for name, totals in loaded.totals.items()} == expected
    warehouse.derive({generation: SLICE})
    assert warehouse.unequal({generation: (SLICE, loaded)}) == {}
    sums = "billing_currency, sum(toDecimal256(billed_cost, 18))"
    for table in ("raw_costs", "cost_by_day"):
        found = warehouse.client.query(f"SELECT {sums} FROM {table} WHERE generation = {generation} GROUP BY 1")
        assert dict(found.result_rows) == expected, table


@pytest.mark.parametrize("batches", [[], [SCHEMA.empty_table().to_batches()]], ids=["no batch", "empty batches"])
def test_no_line_item_inserts_nothing(warehouse: Warehouse, batches: list[Any]) -> None:
    flat = [one for group in batches for one in group]
    assert load(warehouse.client, SLICE, 7, flat) == LoadResult(0, {}, None, None)
    assert stored(warehouse, "count()") == [(0,)]


def published(content: list[pa.RecordBatch]) -> str:
    """The hash that a publication of these line items has."""
    found = ContentHash()
    for one in content:
        found.add(one)
    return str(found)


def test_line_items_that_can_be_held_are_written_when_they_are_wanted(warehouse: Warehouse) -> None:
    content = [batch([row()] * 3), batch([row(BilledCost="7")])]
    items = LineItemBuffer(content)
    assert items.hold()
    assert (items.loaded.line_items, str(items.loaded.content)) == (4, published(content))
    assert stored(warehouse, "count()") == [(0,)]
    others = LineItemBuffer([batch([row(BilledCost="8")] * 2)])
    assert others.hold()
    insert(warehouse.client, [(SLICE, 7, items), (replace(SLICE, account_id="acme.other"), 8, others)])
    found = stored(warehouse, "generation, account_id, count(), sum(billed_cost), max(line_number)", "GROUP BY 1, 2")
    assert set(found) == {(7, "acme.files", 4, Decimal("10.75"), 3), (8, "acme.other", 2, Decimal(16), 1)}


def test_more_than_can_be_held_are_written_whole_while_they_are_read(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiinfra_assets.warehouse.loading.HELD_BYTES", 200_000)
    content = [batch(random_rows(200, seed)) for seed in range(9)]
    items = LineItemBuffer(content)
    assert not items.hold()
    assert 0 < items.loaded.line_items < 1800
    insert(warehouse.client, [(SLICE, 7, items)])
    assert str(items.loaded.content) == published(content)
    assert stored(warehouse, "count(), uniqExact(line_number)") == [(1800, 1800)]


@pytest.mark.parametrize("good", [0, 1, 40])
@pytest.mark.parametrize("error", [BadData("row 5 is bad"), OSError("the disk is gone")])
def test_a_failing_source_fails_the_insert_and_comes_through_unchanged(
    warehouse: Warehouse, good: int, error: Exception
) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from [batch([row()] * 2000)] * good
        raise error

    with pytest.raises(type(error)) as raised:
        load(warehouse.client, SLICE, 7, batches())
    assert raised.value is error
    assert not [thread for thread in threading.enumerate() if thread.name == "line items"]
    # What had arrived may be there, unpublished; the next generation is whole whatever it was.
    loaded = load(warehouse.client, SLICE, 8, [batch([row()] * 100)])
    assert stored(warehouse, "count()", "WHERE generation = 8") == [(loaded.line_items,)]
    assert stored(warehouse, f"count() < 2000 * {max(good, 1)}", "WHERE generation = 7") == [(1,)]


def test_an_insert_that_the_server_refuses_ends_the_reading_thread(warehouse: Warehouse) -> None:
    warehouse.client.command("DROP TABLE raw_costs")
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        load(warehouse.client, SLICE, 7, [batch([row()] * 2000)] * 50)
    assert not [thread for thread in threading.enumerate() if thread.name == "line items"]


def test_a_server_that_is_gone_is_named(settings: Settings, warehouse: Warehouse) -> None:
    gone = Warehouse.connect(settings)
    gone.client._backend.url = gone.client._backend._base_url = "http://127.0.0.1:9"
    with pytest.raises(WarehouseUnavailable, match="ClickHouse at"):
        load(gone.client, SLICE, 7, [batch([row()])])


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_error_of_the_reading_thread_shows_values_only_where_its_caller_may(
    warehouse: Warehouse, is_shown: bool
) -> None:
    """Rows are read in another thread than the one in which the call of the provider began."""

    def batches() -> Iterator[pa.RecordBatch]:
        raise BadData(f"value {quoted('4711')} is not accepted")
        yield

    with answers_shown(is_shown), pytest.raises(BadData) as caught:
        load(warehouse.client, SLICE, 1, batches())
    assert ("4711" in str(caught.value)) is is_shown
