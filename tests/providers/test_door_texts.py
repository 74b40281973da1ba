"""Text, tags and columns beyond FOCUS at the door."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optiinfra_assets.focus import CHARGE_CATEGORIES
from optiinfra_assets.line_items import Refused
from optiinfra_assets.line_items.door import as_text
from optiinfra_assets.line_items.extras import pairs_of_columns
from optiinfra_assets.line_items.json_texts import to_json
from optiinfra_assets.line_items.maps import to_maps
from optiinfra_assets.line_items.texts import to_currencies, to_listed_texts, to_repeated_texts, to_texts

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | TEXT | st.integers(-(10**30), 10**30)


def as_pairs(tags: dict[str, object]) -> list[tuple[str, str | None]]:
    """What a tag object must become: numbers and booleans in the letters of JSON, text as it is."""
    return [
        (key, value if value is None or isinstance(value, str) else json.dumps(value))
        for key, value in tags.items()
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.none() | st.dictionaries(TEXT, SCALARS, max_size=4), max_size=6),
    st.booleans(),
    st.integers(1, 4),
)
def test_tags_of_json_text(tags: list[dict[str, object] | None], ascii_only: bool, repeat: int) -> None:
    tags = tags * repeat
    texts = [None if one is None else json.dumps(one, ensure_ascii=ascii_only) for one in tags]
    for values in (pa.array(texts, pa.string()), pa.array(texts, pa.string()).dictionary_encode()):
        assert to_maps(values).to_pylist() == [as_pairs(one or {}) for one in tags]


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
    assert to_maps(pa.array([text])).to_pylist() == [pairs]


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
    with pytest.raises(Refused, match="a flat JSON object such as") as raised:
        to_maps(pa.array([*before, text]))
    assert (raised.value.index, raised.value.value) == (len(before), text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.none() | st.dictionaries(TEXT, st.none() | TEXT, max_size=3), max_size=6), st.integers(0, 2)
)
def test_tags_of_typed_files(tags: list[dict[str, str | None] | None], skip: int) -> None:
    """Maps, and lists of key-value structs, also as slices of longer arrays."""
    expected = [list((one or {}).items()) for one in tags][skip:]
    maps = pa.array(
        [None if one is None else list(one.items()) for one in tags], pa.map_(pa.string(), pa.string())
    )
    assert to_maps(maps.slice(skip)).to_pylist() == expected
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
    pairs = [None if one is None else [{"key": k, "value": v} for k, v in one.items()] for one in tags]
    assert to_maps(pa.array(pairs, kind).slice(skip)).to_pylist() == expected


def test_tags_of_a_struct_are_its_fields_that_are_not_null() -> None:
    values = pa.array([{"team": "web", "size": 3}, None, {"team": None, "size": 4}])
    assert to_maps(values).to_pylist() == [[("team", "web"), ("size", "3")], [], [("size", "4")]]


def test_tags_of_a_map_with_numbers() -> None:
    assert to_maps(pa.array([[("n", 5)]], pa.map_(pa.string(), pa.int64()))).to_pylist() == [[("n", "5")]]


@pytest.mark.parametrize("values", [pa.array([1]), pa.array([["a"]]), pa.array([{"a": {"b": 1}}])])
def test_tags_of_another_type_are_refused_as_a_whole(values: pa.Array) -> None:
    with pytest.raises(Refused, match="is not accepted: JSON text or key-value pairs"):
        to_maps(values)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.none() | st.dictionaries(TEXT, st.none() | TEXT, max_size=3), max_size=6), st.integers(0, 2)
)
@example([{'"\\\x00': "\u2028"}], 0)
def test_maps_become_json_that_reads_back(tags: list[dict[str, str | None] | None], skip: int) -> None:
    maps = pa.array(
        [None if one is None else list(one.items()) for one in tags], pa.map_(pa.string(), pa.string())
    )
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
    with pytest.raises(Refused, match="a JSON object or array") as raised:
        to_json(pa.array(['{"a": 1}', text]))
    assert raised.value.index == 1


def test_nested_values_become_json() -> None:
    assert to_json(pa.array([{"a": [1, 2]}, None])).to_pylist() == ['{"a": [1, 2]}', None]


@pytest.mark.parametrize("to_text", [to_texts, to_repeated_texts])
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
    with pytest.raises(Refused, match="type double is not accepted: text"):
        to_texts(pa.array([1.23456789012e11]))


def test_bytes_that_are_not_utf8_are_refused_at_their_row() -> None:
    with pytest.raises(Refused, match="text in UTF-8") as raised:
        to_texts(pa.array([b"a", b"\xff"]))
    assert raised.value.index == 1


def test_a_dictionary_with_equal_values_or_nulls_is_made_anew() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([2, 1, 0, 3]), pa.array(["a", "b", "b", None]))
    found = to_repeated_texts(encoded)
    assert found.to_pylist() == ["b", "b", "a", None]
    assert found.dictionary.to_pylist() == ["b", "a"]


def test_closed_lists() -> None:
    assert to_listed_texts(pa.array(["Usage", None, "", "Tax"]), CHARGE_CATEGORIES).to_pylist() == [
        "Usage",
        None,
        None,
        "Tax",
    ]
    with pytest.raises(Refused, match="one of Usage, Purchase, Tax, Credit, Adjustment") as raised:
        to_listed_texts(pa.array(["Usage", "usage"]), CHARGE_CATEGORIES)
    assert (raised.value.index, raised.value.value) == (1, "usage")
    with pytest.raises(Refused, match="value 'x' is not accepted: Correction or nothing"):
        to_listed_texts(pa.array(["x"]), ("Correction",))


def test_a_wrong_value_that_only_stands_in_the_dictionary_is_not_refused() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["Usage", "never used"]))
    assert to_listed_texts(encoded, CHARGE_CATEGORIES).to_pylist() == ["Usage", "Usage"]


@pytest.mark.parametrize("text", ["usd", "US", "USDT", "$", "EU R", "ÄÖÜ", "USD\n"])
def test_currencies_are_three_capital_letters(text: str) -> None:
    assert to_currencies(pa.array(["USD", "EUR", ""])).to_pylist() == ["USD", "EUR", None]
    with pytest.raises(Refused, match="three capital letters such as USD"):
        to_currencies(pa.array(["USD", text]))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_columns_beyond_focus_leave_nulls_out(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 5))
    columns = data.draw(
        st.dictionaries(TEXT, st.lists(st.none() | TEXT, min_size=rows, max_size=rows), max_size=4)
    )
    found = pairs_of_columns(
        list(columns), [pa.array(values, pa.string()) for values in columns.values()], rows
    )
    expected = [[(name, v[n]) for name, v in columns.items() if v[n] is not None] for n in range(rows)]
    assert found.to_pylist() == expected


def test_any_type_has_a_text() -> None:
    assert as_text(pa.array([1.5, 1e-7])).to_pylist() == ["1.5", "1e-7"]
    assert as_text(pa.array([True, None])).to_pylist() == ["true", None]
    assert as_text(pa.array([[1, 2]])).to_pylist() == ["[1, 2]"]
    assert as_text(pa.array([None, None])).to_pylist() == [None, None]
