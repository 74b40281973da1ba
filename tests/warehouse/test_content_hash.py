"""The content hash is a hash of a multiset of line items, over every column that is content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warehouse_samples import SLICE, Line, write

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.warehouse.warehouse import Warehouse

NOT_CONTENT = {"customer_id", "provider", "account_id", "billing_period", "generation", "line_number"}
FULL = Line(
    columns={
        "resource_id": "i-1",
        "charge_description": "",
        "sku_id": None,
        "tags": {"team": "a", "env": None},
    }
)

lines = st.builds(
    Line,
    billed=st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-1000, max_value=1000),
    currency=st.sampled_from(["USD", "EUR", "JPY"]),
    day=st.integers(1, 31),
    columns=st.fixed_dictionaries({"resource_id": st.sampled_from(["a", "b", "", None])}),
)


class Counter:
    """Generation numbers of one test, which hypothesis runs many times on one database."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.generation = 0

    def hash(self, content: Sequence[Line], slice_: Slice = SLICE) -> str:
        self.generation += 1
        write(self.warehouse, self.generation, content, slice_)
        return self.warehouse.content_hash(slice_, self.generation)


@pytest.fixture
def hashes(warehouse: Warehouse) -> Counter:
    return Counter(warehouse)


def canonical(content: Sequence[Line]) -> list[str]:
    return sorted(repr(line) for line in content)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(lines, max_size=6), data=st.data())
def test_equal_means_the_same_line_items_in_any_order(hashes: Counter, first: list[Line], data: st.DataObject) -> None:
    """Drawn so that both answers occur: a permutation, a permutation with one doubled or lost, or something else."""
    second = data.draw(st.permutations(first))
    change = data.draw(st.sampled_from(["nothing", "double", "lose", "other"]))
    if change == "double":
        second = [*second, *second[:1]]
    elif change == "lose":
        second = second[1:]
    elif change == "other":
        second = data.draw(st.lists(lines, max_size=6))
    assert (hashes.hash(first) == hashes.hash(second)) == (canonical(first) == canonical(second))


def test_slice_and_generation_are_not_content(hashes: Counter) -> None:
    elsewhere = Slice("other", "aws", "other.main", BillingPeriod(2026, 10))
    assert hashes.hash([FULL]) == hashes.hash([FULL], elsewhere)


def test_nothing_is_not_everything_cancelled(hashes: Counter) -> None:
    assert len({hashes.hash([]), hashes.hash([Line()]), hashes.hash([Line(), Line()])}) == 3


def test_the_order_of_tags_does_not_matter_but_null_and_empty_differ(hashes: Counter) -> None:
    def tagged(tags: dict[str, str | None]) -> str:
        return hashes.hash([Line(columns={"tags": tags})])

    assert tagged({"a": "1", "b": "2"}) == tagged({"b": "2", "a": "1"})
    assert len({tagged({"a": None}), tagged({"a": ""}), tagged({})}) == 3


def other_value(type_name: str, value: Any) -> Any:
    """A value of a ClickHouse type that is not `value`."""
    if type_name.startswith("Map"):
        return {**value, "planted": "1"}
    if "Decimal" in type_name:
        return (value or Decimal(0)) + Decimal("1E-18")
    if "DateTime" in type_name:
        return datetime(2031, 1, 1, tzinfo=UTC)
    if type_name == "Bool":
        return not value
    return f"{value or ''}x"


def test_a_change_of_any_column_changes_the_hash(warehouse: Warehouse) -> None:
    """Also null against the empty string or zero, where a column can be null. One generation for each variant."""
    types = {row[0]: row[1] for row in warehouse.client.query("DESCRIBE raw_costs").result_rows}
    write(warehouse, 1, [FULL])
    (whole,) = warehouse.client.query("SELECT * FROM raw_costs").named_results()
    row = {name: value for name, value in whole.items() if name not in NOT_CONTENT}
    variants = {"nothing": row}
    for name, value in row.items():
        variants[f"{name}: other"] = {**row, name: other_value(types[name], value)}
        if types[name].startswith(("Nullable", "LowCardinality(Nullable")):
            blank = "" if "String" in types[name] else Decimal(0)
            variants[f"{name}: null"] = {**row, name: None}
            variants[f"{name}: blank"] = {**row, name: blank}
    lines = [Line(columns={**one, "generation": at}) for at, one in enumerate(variants.values(), start=2)]
    write(warehouse, 2, lines)
    content: dict[str, str] = {}
    for at, (label, one) in enumerate(variants.items(), start=2):
        found = warehouse.content_hash(SLICE, at)
        assert content.setdefault(found, repr(one)) == repr(one), label
    assert len(content) == len({repr(one) for one in variants.values()})
    assert len(content) > len(row)
