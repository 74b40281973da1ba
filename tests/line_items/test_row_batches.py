"""Line items made one by one, through the door; machines joined with them; snapshots in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, Rounding
from optiinfra_assets.line_items import (
    MANDATORY,
    NOT_NULL,
    SCHEMA,
    SOURCES,
    Layout,
    LayoutRejected,
    Normalizer,
)
from optiinfra_assets.line_items.row_batches import BATCH_ROWS, LineItemRow, Value, record_batches
from optiinfra_assets.providers.context import MemorySnapshots, Snapshot
from optiinfra_assets.providers.running_totals.instances import Instance, InstanceHistory
from tests.focus_samples import columns

COLUMNS = (*(column.name for column in focus.COLUMNS if column.until is None), "x_Plan")
MARCH = BillingPeriod(2026, 3)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def row(cost: Decimal, source: str = "api", **others: Value) -> LineItemRow:
    values: dict[str, Value] = {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "BillingAccountId": "a1",
        "BillingCurrency": "USD",
        "BillingPeriodStart": MARCH.start,
        "BillingPeriodEnd": MARCH.end,
        "ChargeCategory": "Usage",
        "ChargePeriodStart": NOON,
        "ChargePeriodEnd": NOON + timedelta(hours=1),
    }
    return LineItemRow(source, False, {**values, **others})


def test_values_arrive_as_they_were_given() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=2))).replace(microsecond=999_999)
    given_row = row(
        Decimal("12345678901234567890.123456789012345678"),
        ChargePeriodStart=local,
        Tags={"team": "web", "bare": None},
        x_Plan="p",
    )
    batches = list(record_batches([given_row], COLUMNS, Rounding(), where="here"))
    item = batches[0].to_pylist()[0]
    assert batches[0].schema == SCHEMA
    assert item["billed_cost"] == Decimal("12345678901234567890.123456789012345678")
    assert item["charge_period_start"] == NOON
    assert item["tags"] == [("team", "web"), ("bare", None)]
    assert item["x_columns"] == [("x_Plan", "p")]
    assert item["list_cost"] is None
    assert (item["source"], item["is_estimated"]) == ("api", False)


def test_order_and_sources_are_kept_over_many_batches() -> None:
    rows = [row(Decimal(number), "api" if number % 5000 else "invoice") for number in range(BATCH_ROWS * 2 + 10)]
    items = [
        item for batch in record_batches(iter(rows), COLUMNS, Rounding(), where="here") for item in batch.to_pylist()
    ]
    assert [item["billed_cost"] for item in items] == [one.values["BilledCost"] for one in rows]
    assert [item["source"] for item in items] == [one.source for one in rows]


def test_no_rows_are_no_batches() -> None:
    assert list(record_batches([], COLUMNS, Rounding(), where="here")) == []


def test_a_refused_value_is_named_with_its_row_over_all_batches() -> None:
    rows = [row(Decimal(1)) for _ in range(BATCH_ROWS + 5)]
    rows[BATCH_ROWS + 2] = row(Decimal(10) ** 20)
    batches = record_batches(rows, COLUMNS, Rounding(), where="invoice 7")
    next(batches)
    with pytest.raises(BadData, match=f"^invoice 7: row {BATCH_ROWS + 3}, column BilledCost: value '1[0]+'"):
        next(batches)


def test_the_row_of_a_refused_value_counts_all_rows_before_it_whatever_their_source() -> None:
    rows = [row(Decimal(1), source) for source in (SOURCES[0], SOURCES[0], SOURCES[1], SOURCES[0])]
    rows.append(row(Decimal(10) ** 20, SOURCES[1]))
    with pytest.raises(BadData, match=r"^here: row 5, column BilledCost: value"):
        list(record_batches(rows, COLUMNS, Rounding(), where="here"))


def test_more_than_18_fraction_digits_are_rounded_and_counted() -> None:
    rounding = Rounding()
    batches = list(record_batches([row(Decimal("0.0000000000000000015"))], COLUMNS, rounding, where="here"))
    assert batches[0].column("billed_cost")[0].as_py() == Decimal("0.000000000000000002")
    assert (rounding.values, rounding.total) == (2, Decimal("1E-18"))


def test_the_mandatory_columns_are_those_of_focus_1_4_and_enough() -> None:
    assert tuple(columns("1.4", only_mandatory=True)) == MANDATORY
    assert set(MANDATORY) > NOT_NULL
    (batch,) = record_batches([row(Decimal(1))], MANDATORY, Rounding(), where="here")
    assert (batch.schema, batch.num_rows) == (SCHEMA, 1)


@pytest.mark.parametrize("forgotten", MANDATORY)
def test_a_provider_that_forgets_a_mandatory_column_is_told(forgotten: str) -> None:
    """Without a ServiceProviderName the columns are those of FOCUS 1.2, which asks for the names before that."""
    names = [name for name in COLUMNS if name != forgotten]
    missing = {"ServiceProviderName": "ProviderName, PublisherName"}.get(forgotten, forgotten)
    with pytest.raises(LayoutRejected, match=f"mandatory column {missing} is missing"):
        list(record_batches([row(Decimal(1))], names, Rounding(), where="here"))


@pytest.mark.parametrize("empty", sorted(NOT_NULL))
def test_a_line_item_without_a_value_that_it_needs_is_refused(empty: str) -> None:
    with pytest.raises(BadData, match=f"^here: row 2, column {empty}: value null is not accepted"):
        list(record_batches([row(Decimal(1)), row(Decimal(1), **{empty: None})], COLUMNS, Rounding(), where="here"))


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_is_known_is_stored(source: str) -> None:
    (batch,) = record_batches([row(Decimal(1), source)], COLUMNS, Rounding(), where="here")
    assert batch.to_pylist()[0]["source"] == source


@pytest.mark.parametrize("source", ["", "API", "exports", "snapshot"])
def test_a_source_that_is_not_known_is_refused_before_a_line_item_is_made(source: str) -> None:
    accepted = "use one of api, export, focus file, invoice, snapshot difference"
    with pytest.raises(ValueError, match=f"^source: '{source}' is not accepted: {accepted}$"):
        list(record_batches([row(Decimal(1), source)], COLUMNS, Rounding(), where="here"))
    with pytest.raises(ValueError, match=accepted):
        Normalizer(Layout.of(COLUMNS), Rounding(), source=source)


def test_a_provider_that_forgets_to_declare_a_column_is_told() -> None:
    with pytest.raises(KeyError, match="x_Undeclared"):
        list(record_batches([row(Decimal(1), x_Undeclared="?")], COLUMNS, Rounding(), where="here"))


def machine(id_: str, name: str, address: str) -> Instance:
    return Instance(id_, name, "Instance", "fra", "small", (id_, address), {})


WEB, DB = machine("i1", "web", "192.0.2.1"), machine("i2", "db", "192.0.2.2")
LATER = machine("i3", "cache", "192.0.2.1")


@pytest.fixture
def machines() -> InstanceHistory:
    """web and db at noon of the 5th; a day later web is gone and its address is cache's."""
    lists = {b"1": [WEB, DB], b"2": [DB, LATER, replace(LATER, resource_id="i4", name="db", marks=("i4",))]}
    snapshots = [Snapshot("machines", MARCH, NOON + timedelta(days=day), body) for day, body in enumerate(lists)]
    return InstanceHistory(snapshots, lists.__getitem__)


@pytest.mark.parametrize(
    ("marks", "name", "start", "end", "found"),
    [
        (["192.0.2.1"], "web", 0, 0, WEB),
        (["192.0.2.1"], None, 0, 0, WEB),
        (["192.0.2.1"], None, 1, 2, LATER),
        (["192.0.2.1"], "web", 0, 1, WEB),
        (["192.0.2.1"], "web", 1, 2, None),
        (["192.0.2.9"], "web", 0, 0, WEB),
        ([], "db", 0, 0, DB),
        ([], "db", 1, 2, None),
        ([], None, 0, 0, None),
        (["192.0.2.2"], None, -9, -8, DB),
    ],
    ids=[
        "address and name",
        "address alone",
        "address used again",
        "gone at the end, there at the start",
        "address of another by now",
        "name alone, address unknown",
        "name alone",
        "name of two",
        "nothing said",
        "before the first list",
    ],
)
def test_which_machine_a_line_is_for(
    machines: InstanceHistory,
    marks: list[str],
    name: str | None,
    start: int,
    end: int,
    found: Instance | None,
) -> None:
    assert machines.find(marks, name, NOON + timedelta(days=start), NOON + timedelta(days=end)) == found


def test_no_list_no_machine() -> None:
    assert InstanceHistory([], lambda body: []).find(["192.0.2.1"], "web", NOON, NOON) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([b"a", b"b"])), max_size=30))
def test_memory_keeps_what_is_newer_and_different(given_snapshots: list[tuple[int, bytes]]) -> None:
    kept = MemorySnapshots()
    for minute, body in given_snapshots:
        before = kept.newest("k", MARCH)
        snapshot = Snapshot("k", MARCH, NOON + timedelta(minutes=minute), body)
        is_news = before is None or (before.taken_at < snapshot.taken_at and before.body != body)
        assert kept.add(snapshot) == is_news
        assert (kept.newest("k", MARCH) == snapshot) or not is_news
    taken = kept.taken("k", MARCH)
    assert [snapshot.taken_at for snapshot in kept.read("k", MARCH)] == sorted(taken) == list(taken)
    assert [snapshot.taken_at for snapshot in kept.read("k", MARCH, taken[::2])] == list(taken[::2])
    assert kept.read("other", MARCH) == ()
