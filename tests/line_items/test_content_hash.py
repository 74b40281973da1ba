"""The content hash is a hash of a multiset of line items, over every column, whatever the batches they come in."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiinfra_assets.line_items.content_hash import LONG, ContentHash
from optiinfra_assets.line_items.schema import SCHEMA

Row = dict[str, Any]

FULL: Row = {
    "source": "api",
    "is_estimated": False,
    "billed_cost": Decimal("1.5"),
    "list_cost": Decimal(0),
    "charge_period_start": datetime(2026, 10, 1, tzinfo=UTC),
    "service_name": "Compute",
    "resource_id": "i-1",
    "charge_description": "",
    "sku_id": None,
    "tags": {"team": "a", "env": None},
    "x_columns": {"x_Id": "7"},
}

texts = st.text(alphabet="aé\0", max_size=20) | st.sampled_from(["", "x" * LONG, "x" * (LONG + 1), "x" * LONG + "y"])
rows = st.fixed_dictionaries(
    {
        "billed_cost": st.decimals(-1000, 1000, places=18) | st.sampled_from([Decimal(10) ** 19, -(Decimal(10) ** 19)]),
        "list_cost": st.none() | st.sampled_from([Decimal(0), Decimal(1), Decimal(-1)]),
        "is_estimated": st.booleans(),
        "charge_period_start": st.sampled_from([datetime(1969, 1, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)]),
        "service_name": st.none() | texts,
        "resource_id": st.none() | texts,
        "tags": st.none() | st.dictionaries(texts, st.none() | texts, max_size=3),
    }
)


def batch(content: Sequence[Row]) -> pa.RecordBatch:
    """One batch of the schema; a column that no row has is null."""
    maps = ("tags", "x_columns")
    of_arrow = [{**one, **{name: list(one[name].items()) for name in maps if one.get(name)}} for one in content]
    return pa.RecordBatch.from_pylist([{**dict.fromkeys(SCHEMA.names), **one} for one in of_arrow], schema=SCHEMA)


def hash_of(*batches: pa.RecordBatch) -> str:
    """The hash of all of them."""
    found = ContentHash()
    for one in batches:
        found.add(one)
    return str(found)


def canonical(content: Sequence[Row]) -> Counter[Any]:
    """The line items as a multiset, by Python's own comparison; a missing map is an empty one."""
    comparable = [{**one, "tags": tuple(sorted((one["tags"] or {}).items(), key=repr))} for one in content]
    return Counter(tuple(sorted(one.items())) for one in comparable)


def pieces(content: pa.RecordBatch, bounds: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The batch in parts, which share its memory."""
    for first, last in zip([0, *bounds], [*bounds, content.num_rows], strict=True):
        yield content.slice(first, last - first)


@given(first=st.lists(rows, max_size=6), data=st.data())
def test_equal_means_the_same_line_items_in_any_order_and_any_batches(first: list[Row], data: st.DataObject) -> None:
    """Drawn so that both answers occur: a permutation, one with a line item doubled, lost or changed, or something else."""
    second = list(data.draw(st.permutations(first)))
    change = data.draw(st.sampled_from(["nothing", "double", "lose", "other", "one value"]))
    if change == "double":
        second += second[:1]
    elif change == "lose":
        second = second[1:]
    elif change == "other":
        second = data.draw(st.lists(rows, max_size=6))
    elif second:
        name = data.draw(st.sampled_from(sorted(second[0])))
        second[0] = {**second[0], name: data.draw(rows)[name]}
    bounds = sorted(data.draw(st.lists(st.integers(0, len(second)), max_size=3)))
    assert (hash_of(batch(first)) == hash_of(*pieces(batch(second), bounds))) == (canonical(first) == canonical(second))


@given(st.lists(rows, min_size=2, max_size=5), st.integers(0, 4))
def test_values_that_change_places_between_line_items_are_other_line_items(content: list[Row], at: int) -> None:
    names = sorted(content[0])
    swapped = [dict(one) for one in content]
    name = names[at % len(names)]
    swapped[0][name], swapped[1][name] = content[1][name], content[0][name]
    assert (hash_of(batch(content)) == hash_of(batch(swapped))) == (canonical(content) == canonical(swapped))


def test_the_hash_of_published_line_items_never_changes() -> None:
    """Every slice of every installation would be published once more."""
    assert (
        hash_of(batch([FULL, {**FULL, "resource_id": string.printable * 3}])) == "v2:2:9963b9b946c80bd3b0821cc903e1d787"
    )


def test_nothing_is_not_everything_cancelled() -> None:
    one, minus = batch([FULL]), batch([{**FULL, "billed_cost": -FULL["billed_cost"]}])
    assert len({hash_of(), hash_of(one), hash_of(one, one), hash_of(one, minus)}) == 4


def test_null_and_empty_differ_but_for_whole_maps() -> None:
    def tagged(tags: dict[str, str | None] | None) -> str:
        return hash_of(batch([{**FULL, "tags": tags}]))

    assert len({tagged({"a": None}), tagged({"a": ""}), tagged({"": "a"}), tagged({})}) == 4
    assert tagged(None) == tagged({})


def other_value(kind: pa.DataType, value: Any) -> Any:
    """A value of an Arrow type that is not `value`, as near as there is."""
    if pa.types.is_map(kind):
        return {**(value or {}), "planted": "1"}
    if pa.types.is_decimal(kind):
        return (value or Decimal(0)) + Decimal("1E-18")
    if pa.types.is_timestamp(kind):
        return datetime(2031, 1, 1, tzinfo=UTC)
    return not value if pa.types.is_boolean(kind) else f"{value or ''}\0"


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_change_of_any_column_changes_the_hash(name: str) -> None:
    kind = SCHEMA.field(name).type
    blank: Any = Decimal(0) if pa.types.is_decimal(kind) else ""
    variants = [FULL, {**FULL, name: other_value(kind, FULL.get(name))}]
    if pa.types.is_decimal(kind) or pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        variants += [{**FULL, name: None}, {**FULL, name: blank}]
    different = {repr({**dict.fromkeys(SCHEMA.names), **one}) for one in variants}
    assert len({hash_of(batch([one])) for one in variants}) == len(different)


@example("a", "b")
@given(texts, texts)
def test_the_same_values_in_other_columns_are_other_line_items(first: str, second: str) -> None:
    one = {**FULL, "resource_id": first, "resource_name": second}
    other = {**FULL, "resource_id": second, "resource_name": first}
    assert (hash_of(batch([one])) == hash_of(batch([other]))) == (first == second)
