"""Text, tags and columns beyond FOCUS at the door."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.focus import CHARGE_CATEGORIES
from optiinfra_assets.line_items import RejectedValue
from optiinfra_assets.line_items.json_parsing import to_json
from optiinfra_assets.line_items.normalizer import as_text
from optiinfra_assets.line_items.parquet_types import canonical_array
from optiinfra_assets.line_items.strings import (
    to_currencies,
    to_dictionary_strings,
    to_enum_strings,
    to_strings,
)
from optiinfra_assets.line_items.tags import to_tag_maps
from optiinfra_assets.line_items.x_columns import columns_to_maps

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | TEXT | st.integers(-(10**30), 10**30)


def as_pairs(tags: dict[str, object]) -> list[tuple[str, str | None]]:
    """What a tag object must become: numbers and booleans in the letters of JSON, text as it is."""
    return [
        (key, value if value is None or isinstance(value, str) else json.dumps(value)) for key, value in tags.items()
    ]


@settings(max_examples=300)
@given(
    st.lists(st.none() | st.dictionaries(TEXT, SCALARS, max_size=4), max_size=6),
    st.booleans(),
    st.integers(1, 4),
)
def test_tags_of_json_text(tags: list[dict[str, object] | None], ascii_only: bool, repeat: int) -> None:
    tags = tags * repeat
    texts = [None if one is None else json.dumps(one, ensure_ascii=ascii_only) for one in tags]
    for values in (pa.array(texts, pa.string()), pa.array(texts, pa.string()).dictionary_encode()):
        assert to_tag_maps(values).to_pylist() == [as_pairs(one or {}) for one in tags]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('{"a":1.10}', [("a", "1.10")]),
        ('{"a":1e400,"b":-0}', [("a", "1e400"), ("b", "-0")]),
        (' { "a" : "b" } ', [("a", "b")]),
        ('{"a":"x","b":"y"}', [("a", "x"), ("b", "y")]),
        ('{"a": "\\u00e9\\n"}', [("a", "é\n")]),
        ('{"": ""}', [("", "")]),
        ("", []),
        ("{}", []),
    ],
)
def test_tags_keep_the_letters_of_the_file(text: str, pairs: list[tuple[str, str]]) -> None:
    assert to_tag_maps(pa.array([text])).to_pylist() == [pairs]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}}',
        '{"a": [1]}',
        "[]",
        '"a"',
        '"a": "b"',
        "{'a': 'b'}",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1,}',
        '{"a": "b"} {"c": "d"}',
        '{"a": "b", "a": "c"}',
        '{"a": 1, "a": 1}',
        '{"a": "\\ud800"}',
        '{"a": "b"',
        '{"a": "line\nend"}',
        "[" * 100_000,
        "x",
    ],
)
@pytest.mark.parametrize("before", [['{"a": "b"}'], ['{"a": "b"}'] * 9, ['{"n": 1}'], [None]])
def test_other_tags_are_refused_at_their_row(text: str, before: list[str | None]) -> None:
    with pytest.raises(RejectedValue, match="a flat JSON object such as") as raised:
        to_tag_maps(pa.array([*before, text]))
    assert (raised.value.index, raised.value.value) == (len(before), text)


@settings(max_examples=200)
@given(st.lists(st.none() | st.dictionaries(TEXT, st.none() | TEXT, max_size=3), max_size=6), st.integers(0, 2))
def test_tags_of_typed_files(tags: list[dict[str, str | None] | None], skip: int) -> None:
    """Maps, and lists of key-value structs, also as slices of longer arrays."""
    expected = [list((one or {}).items()) for one in tags][skip:]
    maps = pa.array([None if one is None else list(one.items()) for one in tags], pa.map_(pa.string(), pa.string()))
    assert to_tag_maps(maps.slice(skip)).to_pylist() == expected
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
    pairs = [None if one is None else [{"key": k, "value": v} for k, v in one.items()] for one in tags]
    assert to_tag_maps(pa.array(pairs, kind).slice(skip)).to_pylist() == expected


def test_tags_of_a_struct_are_its_fields_that_are_not_null() -> None:
    values = pa.array([{"team": "web", "size": 3}, None, {"team": None, "size": 4}])
    assert to_tag_maps(values).to_pylist() == [[("team", "web"), ("size", "3")], [], [("size", "4")]]


def test_tags_of_a_map_with_numbers() -> None:
    assert to_tag_maps(pa.array([[("n", 5)]], pa.map_(pa.string(), pa.int64()))).to_pylist() == [[("n", "5")]]


def pair_list(*rows: object, **others: pa.DataType) -> pa.Array:
    """Rows of lists of structs of key and value, and of `others`."""
    fields = [("key", pa.string()), ("value", pa.string()), *others.items()]
    return pa.array(list(rows), pa.list_(pa.struct(fields)))


def test_of_lists_of_structs_key_and_value_count() -> None:
    """Google's view has three more fields."""
    more = {"x_type": "label", "x_inherited": False, "x_namespace": None}
    kinds = {"x_type": pa.string(), "x_inherited": pa.bool_(), "x_namespace": pa.string()}
    values = pair_list([{"key": "a", "value": "b", **more}, {"key": "c", "value": None}], None, [], **kinds)
    for one in (values, values.cast(pa.large_list(values.type.value_type))):
        assert to_tag_maps(one).to_pylist() == [[("a", "b"), ("c", None)], [], []]
        assert to_tag_maps(one.slice(1)).to_pylist() == [[], []]


def test_a_typed_pair_that_stands_twice_counts_once() -> None:
    """Google repeats a key for each namespace it has a value in."""
    same = [("a", "b"), ("c", None), ("a", "b"), ("c", None), ("d", "e")]
    expected = [[("x", "y")], [("a", "b"), ("c", None), ("d", "e")], [("z", None)]]
    maps = pa.array([[("x", "y")], same, [("z", None)]], pa.map_(pa.string(), pa.string()))
    assert to_tag_maps(maps).to_pylist() == expected
    assert to_tag_maps(maps.slice(1)).to_pylist() == expected[1:]
    lists = pair_list(*([{"key": k, "value": v} for k, v in one] for one in maps.to_pylist()))
    assert to_tag_maps(lists).to_pylist() == expected


@pytest.mark.parametrize(
    "values",
    [
        pair_list([{"key": "a", "value": "b"}], [None]),
        pair_list([{"key": "a", "value": "b"}], [{"key": None, "value": "b"}]),
        pair_list([{"key": "a", "value": "b"}], [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]),
        pa.array([[], [("a", 1), ("b", 2), ("a", None)]], pa.map_(pa.string(), pa.int64())),
        pa.array([[], [(b"a", b"\xff")]], pa.map_(pa.binary(), pa.binary())),
        pa.array([[], [(b"\xff", "b")]], pa.map_(pa.binary(), pa.string())),
    ],
)
def test_typed_pairs_that_are_none_are_refused_at_their_row(values: pa.Array) -> None:
    with pytest.raises(RejectedValue, match="key-value pairs in UTF-8, no key null, none with two values") as raised:
        to_tag_maps(values)
    assert (raised.value.index, raised.value.value) == (1, values[1].as_py())
    with pytest.raises(RejectedValue):
        to_json(values, is_flat=True)


def test_the_first_of_several_rows_that_are_refused_counts() -> None:
    values = pair_list([], [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}], [None])
    with pytest.raises(RejectedValue) as raised:
        to_tag_maps(values)
    assert raised.value.index == 1


def test_bytes_in_tags_of_a_struct_are_text() -> None:
    assert to_tag_maps(pa.array([{"a": b"b"}])).to_pylist() == [[("a", "b")]]
    with pytest.raises(RejectedValue, match="text in UTF-8") as raised:
        to_tag_maps(pa.array([{"a": b"b"}, {"a": b"\xff"}]))
    assert raised.value.index == 1


@pytest.mark.parametrize("values", [pa.array([1]), pa.array([["a"]]), pa.array([{"a": {"b": 1}}])])
def test_tags_of_another_type_are_refused_as_a_whole(values: pa.Array) -> None:
    with pytest.raises(RejectedValue, match="is not accepted: JSON text or key-value pairs"):
        to_tag_maps(values)


@settings(max_examples=200)
@given(st.lists(st.none() | st.dictionaries(TEXT, st.none() | TEXT, max_size=3), max_size=6), st.integers(0, 2))
@example([{'"\\\x00': "\u2028"}], 0)
def test_maps_become_json_that_reads_back(tags: list[dict[str, str | None] | None], skip: int) -> None:
    maps = pa.array([None if one is None else list(one.items()) for one in tags], pa.map_(pa.string(), pa.string()))
    texts = to_json(maps.slice(skip)).to_pylist()
    assert [None if text is None else json.loads(text) for text in texts] == tags[skip:]


def test_json_text_stays_as_it_is_written() -> None:
    texts = ['{"a": [1.10, {"b": null}]}', "[]", None, "", '{"a":"b"}']
    assert to_json(pa.array(texts)).to_pylist() == [
        '{"a": [1.10, {"b": null}]}',
        "[]",
        None,
        None,
        '{"a":"b"}',
    ]


@pytest.mark.parametrize("text", ["x", "1", '"a"', "{", '{"a": NaN}', "null"])
def test_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RejectedValue, match="a JSON object or array") as raised:
        to_json(pa.array(['{"a": 1}', text]))
    assert raised.value.index == 1


def test_nested_values_become_json() -> None:
    assert to_json(pa.array([{"a": [1, 2]}, None])).to_pylist() == ['{"a": [1, 2]}', None]


NESTED = {
    "n": None,
    "t": 'say "é"\n',
    "i": -5,
    "d": Decimal("4.0"),
    "f": 0.5,
    "b": True,
    "l": [None, 1],
    "s": {"x": []},
    "e": "",
}
IN_JSON = '{"n": null, "t": "say \\"é\\"\\n", "i": -5, "d": 4.0, "f": 0.5, "b": true, "l": [null, 1], "s": {"x": []}, "e": ""}'


@pytest.mark.parametrize("of", [to_json, as_text])
def test_nested_values_of_every_type_become_json(of: object) -> None:
    """A decimal is a number with all its digits."""
    assert callable(of)
    values = pa.array([None, NESTED, None, NESTED])
    for one in (values, values.slice(1), values.slice(2)):
        assert of(one).to_pylist() == [None if row is None else IN_JSON for row in one.to_pylist()]
    lists = pa.array([[], [NESTED, None], None])
    assert of(lists).to_pylist() == ["[]", f"[{IN_JSON}, null]", None]
    assert of(lists.slice(1)).to_pylist() == [f"[{IN_JSON}, null]", None]


@settings(max_examples=200)
@given(
    st.lists(
        st.none() | st.fixed_dictionaries({"a": st.none() | TEXT, "b": st.lists(st.none() | TEXT)}),
        max_size=5,
    ),
    st.integers(0, 2),
)
def test_nested_values_read_back(rows: list[dict[str, object] | None], skip: int) -> None:
    kind = pa.struct([("a", pa.string()), ("b", pa.list_(pa.string()))])
    texts = to_json(pa.array(rows, kind).slice(skip)).to_pylist()
    assert [text and json.loads(text) for text in texts] == rows[skip:]


def test_typed_pairs_of_a_flat_column_become_an_object() -> None:
    maps = pa.array([[("a", 1.5), ("b", None)], None, []], pa.map_(pa.string(), pa.float64()))
    assert to_json(maps, is_flat=True).to_pylist() == ['{"a": 1.5, "b": null}', None, "{}"]
    assert to_json(maps.slice(1), is_flat=True).to_pylist() == [None, "{}"]
    lists = pair_list([{"key": "a", "value": "b"}, {"key": 'c"', "value": None}], None, [])
    assert to_json(lists, is_flat=True).to_pylist() == ['{"a": "b", "c\\"": null}', None, "{}"]
    assert to_json(lists).to_pylist()[0] == '[{"key": "a", "value": "b"}, {"key": "c\\"", "value": null}]'
    decimals = pa.array([[("a", Decimal("1.50"))]], pa.map_(pa.string(), pa.decimal128(38, 2)))
    assert to_json(decimals, is_flat=True).to_pylist() == ['{"a": 1.50}']


def test_maps_inside_other_values_of_focus_columns_are_objects() -> None:
    kind = pa.struct([("Elements", pa.list_(pa.map_(pa.string(), pa.int64())))])
    values = pa.array([{"Elements": [[("a", 1)], None]}], kind)
    assert to_json(values).to_pylist() == ['{"Elements": [{"a": 1}, null]}']


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_not(number: float) -> None:
    """Refused in FOCUS columns, as they are in JSON text; text in columns beyond it."""
    struct, maps = (
        pa.array([{"a": 0.5}, {"a": number}]),
        pa.array([[], [("a", number)]], pa.map_(pa.string(), pa.float64())),
    )
    for values, is_flat in ((struct, False), (struct, True), (maps, True)):
        with pytest.raises(RejectedValue, match="a JSON object or array") as raised:
            to_json(values, is_flat=is_flat)
        assert raised.value.index == 1
    assert [json.loads(text) for text in as_text(struct).to_pylist()] == [{"a": 0.5}, {"a": str(number)}]


def test_nested_times_and_bytes_of_columns_beyond_focus() -> None:
    """Years that Python has not, too."""
    moments = pa.array(
        [{"at": datetime(2024, 9, 1, tzinfo=UTC), "on": None}],
        pa.struct([("at", pa.timestamp("s")), ("on", pa.date32())]),
    )
    assert as_text(moments).to_pylist() == ['{"at": "2024-09-01 00:00:00", "on": null}']
    late = pa.array([[10**7]], pa.list_(pa.date32()))
    assert as_text(late).to_pylist() == ['["29349-01-26"]']
    assert as_text(pa.array([[5 * 10**14]], pa.list_(pa.timestamp("ms")))).to_pylist() == [
        '["17814-05-16 00:53:20.000"]'
    ]
    assert as_text(pa.array([[b"a", b"\xff"]])).to_pylist() == ['["a", "0xff"]']


def test_maps_of_columns_beyond_focus() -> None:
    numbers = pa.array([[("rate", 0.5)], None], pa.map_(pa.string(), pa.float64()))
    assert as_text(numbers).to_pylist() == ['[["rate", 0.5]]', None]
    assert as_text(pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string()))).to_pylist() == ['{"1": "a"}']
    assert as_text(pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64()))).to_pylist() == ["[[1, 2]]"]


@pytest.mark.parametrize("to_text", [to_strings, to_dictionary_strings])
def test_text_keeps_case_spaces_and_the_difference_of_empty_and_null(to_text: object) -> None:
    assert callable(to_text)
    texts = [" A ", "a", "", None, "NULL"]
    for kind in (
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.large_string()),
    ):
        assert to_text(pa.array(texts, pa.string()).cast(kind)).to_pylist() == texts
    assert to_text(pa.array([b"a", None])).to_pylist() == ["a", None]
    assert to_text(pa.array([123456789012, None])).to_pylist() == ["123456789012", None]


def test_an_id_that_went_through_a_double_is_refused() -> None:
    with pytest.raises(RejectedValue, match="type double is not accepted: text"):
        to_strings(pa.array([1.23456789012e11]))


def test_bytes_that_are_not_utf8_are_refused_at_their_row() -> None:
    with pytest.raises(RejectedValue, match="text in UTF-8") as raised:
        to_strings(pa.array([b"a", b"\xff"]))
    assert raised.value.index == 1


def test_a_dictionary_with_equal_values_or_nulls_is_made_anew() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([2, 1, 0, 3]), pa.array(["a", "b", "b", None]))
    found = to_dictionary_strings(encoded)
    assert found.to_pylist() == ["b", "b", "a", None]
    assert found.dictionary.to_pylist() == ["b", "a"]


def test_closed_lists() -> None:
    assert to_enum_strings(pa.array(["Usage", None, "", "Tax"]), CHARGE_CATEGORIES).to_pylist() == [
        "Usage",
        None,
        None,
        "Tax",
    ]
    with pytest.raises(RejectedValue, match="one of Usage, Purchase, Tax, Credit, Adjustment") as raised:
        to_enum_strings(pa.array(["Usage", "usage"]), CHARGE_CATEGORIES)
    assert (raised.value.index, raised.value.value) == (1, "usage")
    with pytest.raises(RejectedValue, match="value 'x' is not accepted: Correction or nothing"):
        to_enum_strings(pa.array(["x"]), ("Correction",))


def test_a_wrong_value_that_only_stands_in_the_dictionary_is_not_refused() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["Usage", "never used"]))
    assert to_enum_strings(encoded, CHARGE_CATEGORIES).to_pylist() == ["Usage", "Usage"]


@pytest.mark.parametrize("text", ["usd", "US", "USDT", "$", "EU R", "ÄÖÜ", "USD\n"])
def test_currencies_are_three_capital_letters(text: str) -> None:
    assert to_currencies(pa.array(["USD", "EUR", ""])).to_pylist() == ["USD", "EUR", None]
    with pytest.raises(RejectedValue, match="three capital letters such as USD"):
        to_currencies(pa.array(["USD", text]))


@settings(max_examples=200)
@given(st.data())
def test_columns_beyond_focus_leave_nulls_out(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 5))
    columns = data.draw(st.dictionaries(TEXT, st.lists(st.none() | TEXT, min_size=rows, max_size=rows), max_size=4))
    found = columns_to_maps(list(columns), [pa.array(values, pa.string()) for values in columns.values()], rows)
    expected = [[(name, v[n]) for name, v in columns.items() if v[n] is not None] for n in range(rows)]
    assert found.to_pylist() == expected


ID = UUID("306048ef-14ab-4a40-8da3-c4a02b02b915")


def of_uuids(*values: bytes | None) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(list(values), pa.binary(16)))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(["a", None, "é"], pa.string_view()), pa.string()),
        (pa.array([b"a", None, b"\xff"], pa.binary_view()), pa.binary()),
        (pa.array([[1, None], None, []], pa.list_view(pa.int8())), pa.list_(pa.int8())),
        (pa.array([["a"], None, ["b", "c"]], pa.list_(pa.string_view())), pa.list_(pa.string())),
        (
            pa.array([[["a"], None], None, [[]]], pa.large_list_view(pa.list_view(pa.string_view()))),
            pa.list_(pa.list_(pa.string())),
        ),
        (
            pa.array([[("a", "b")], None, [("c", None), ("d", "e")]], pa.map_(pa.string(), pa.string_view())),
            pa.map_(pa.string(), pa.string()),
        ),
        (
            pa.array([{"a": "b"}, None, {"a": None}], pa.struct([("a", pa.string_view())])),
            pa.struct([("a", pa.string())]),
        ),
        (of_uuids(ID.bytes, None, bytes(16)), pa.string()),
        (
            pa.StructArray.from_arrays([of_uuids(ID.bytes, None, ID.bytes)], ["a"]),
            pa.struct([("a", pa.string())]),
        ),
    ],
    ids=lambda value: "" if isinstance(value, pa.Array) else str(value),
)
def test_types_that_some_writers_have_become_usual_ones(values: pa.Array, kind: pa.DataType) -> None:
    for one in (values, values[1:], values[2:], values[:0]):
        found = canonical_array(one)
        found.validate(full=True)
        assert found.type == kind
        expected = one.to_pylist()
        assert json.dumps(found.to_pylist(), default=str) == json.dumps(expected, default=str)


def test_usual_types_stay_as_they_are() -> None:
    values = pa.array([[("a", [1])]], pa.map_(pa.string(), pa.list_(pa.int64())))
    assert canonical_array(values) is values


def test_any_type_has_a_text() -> None:
    assert as_text(pa.array([1.5, 1e-7])).to_pylist() == ["1.5", "1e-7"]
    assert as_text(pa.array([True, None])).to_pylist() == ["true", None]
    assert as_text(pa.array([[1, 2]])).to_pylist() == ["[1, 2]"]
    assert as_text(pa.array([None, None])).to_pylist() == [None, None]
    assert as_text(pa.array([b"a", b"\xff\x00", None])).to_pylist() == ["a", "0xff00", None]
    assert as_text(pa.array([b"ab", b"\xff\x00", None], pa.binary(2))).to_pylist() == ["ab", "0xff00", None]
    assert as_text(pa.array([b"\0\x01"])).to_pylist() == ["0x0001"]
    unknown = pa.array([0], pa.timestamp("s", "Nowhere/Land"))
    assert as_text(unknown).to_pylist() == ["1970-01-01 00:00:00Z"]
