"""Reading of numbers: any text, double, decimal or integer becomes exactly what Python's Decimal says, or is refused at its row."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.line_items import RejectedValue
from optiinfra_assets.line_items.decimals import ACCEPTED, TOO_LARGE, to_decimals

EXACT = Context(prec=3000, rounding=ROUND_HALF_EVEN, Emax=999_999_999, Emin=-999_999_999)
GRAMMAR = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?", re.ASCII)

digits = st.text("0123456789", min_size=1, max_size=25)
nines = st.text("09", min_size=1, max_size=45)
numbers = st.builds(
    lambda sign, whole, point, fraction, exponent: f"{sign}{whole}{point}{fraction if point else ''}{exponent}",
    st.sampled_from(["", "-"]),
    digits | nines,
    st.sampled_from(["", "."]),
    st.text("0123456789", max_size=45) | nines | st.text("05", max_size=30),
    st.sampled_from([""] * 4 + ["e-7", "E-12", "e5", "E-05", "e18", "e-40", "E30", "e-500"]),
)
anything = st.text("0123456789.eE+-, $€_\u0663NaInf", max_size=12) | st.text(max_size=6)


def oracle(text: str | None) -> Decimal | str | None:
    """What the reader must make of one text: the number, None, or why it is refused."""
    if text is None or text == "":
        return None
    if not GRAMMAR.fullmatch(text):
        return ACCEPTED
    try:
        rounded = EXACT.quantize(Decimal(text), Decimal(1).scaleb(-18))
    except InvalidOperation:
        return TOO_LARGE
    return TOO_LARGE if rounded.adjusted() >= 20 else rounded


def check(texts: list[str | None], values: pa.Array) -> None:
    """Compare the reader with the oracle: numbers, rounding, or the first refusal."""
    expected = [oracle(text) for text in texts]
    refused = next((n for n, answer in enumerate(expected) if isinstance(answer, str)), None)
    rounding = Rounding()
    if refused is not None:
        with pytest.raises(RejectedValue) as raised:
            to_decimals(values, rounding)
        assert (raised.value.index, raised.value.accepted) == (refused, expected[refused])
        return
    assert to_decimals(values, rounding).to_pylist() == expected
    changes = [
        EXACT.subtract(Decimal(text), number).copy_abs()
        for text, number in zip(texts, expected, strict=True)
        if text and isinstance(number, Decimal)
    ]
    assert rounding.values == sum(1 for change in changes if change)
    total = Decimal(0)
    for change in changes:
        total = EXACT.add(total, change)
    assert EXACT.subtract(rounding.total, total).copy_abs() <= Decimal("1e-1000")


@settings(max_examples=400)
@given(st.lists(st.none() | numbers, max_size=8), st.booleans())
@example(["99999999999999.9999999999999999999"], False)  # Arrow's own rounding is wrong here
@example(["1", "1234567890123456789012345"], False)  # Arrow's own cast wraps here
@example(["0.0000000000000000005", "-0.0000000000000000015"], False)  # ties go to even
@example(["99999999999999999999.9999999999999999995"], False)  # rounds up to 21 digits
def test_numeric_text_is_exact_or_refused(texts: list[str | None], encoded: bool) -> None:
    values = pa.array(texts, pa.string())
    check(texts, values.dictionary_encode() if encoded else values)


@settings(max_examples=400)
@given(st.lists(st.none() | numbers | anything, max_size=5))
@example(["+1"])
@example(["1E+5"])
@example(["$10,000.00 "])
@example(["1,000"])
@example([" 1"])
@example(["1 "])
@example(["NaN"])
@example(["inf"])
@example(["\u0661\u0662"])
@example(["--1"])
@example(["1-2"])
@example(["1.2.3"])
@example(["."])
@example(["-"])
@example(["1e"])
@example(["0x10"])
@example(["1\n"])
def test_whatever_is_not_a_number_is_refused_at_its_row(texts: list[str | None]) -> None:
    check(texts, pa.array(texts, pa.string()))


@pytest.mark.parametrize(("text", "number"), [(".5", "0.5"), ("5.", "5"), ("-0", "0"), ("007", "7"), ("0E-10", "0")])
def test_what_databases_write_is_accepted(text: str, number: str) -> None:
    assert to_decimals(pa.array([text]), Rounding()).to_pylist() == [Decimal(number)]


@settings(max_examples=300)
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=20), st.integers(1, 60))
@example([5e-324, 1e-21, 9.999999999999999e19], 1)
def test_doubles_count_as_their_shortest_text(doubles: list[float | None], repeat: int) -> None:
    doubles = doubles * repeat
    texts = [None if value is None else repr(value).replace("e+", "e") for value in doubles]
    check(texts, pa.array(doubles, pa.float64()))


NINES = "9" * 20
BEYOND = "1" + "0" * 20
TYPES = (
    pa.decimal128(38, 0),
    pa.decimal128(38, 17),
    pa.decimal256(40, 10),
    pa.decimal256(76, 38),
    pa.decimal256(76, 0),
    pa.decimal256(76, 50),
)
"""Each of them holds 21 integer digits, and is converted in one of the three ways."""


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    ("largest", "beyond"),
    [
        (NINES, BEYOND),
        (NINES, "9" * 21),
        (NINES, "9" * 40),
        (f"{NINES}.{'9' * 18}", f"{BEYOND}.{'0' * 17}1"),
        (f"{NINES}.{'9' * 18}4", f"{NINES}.{'9' * 18}5"),
        (f"{NINES}.{'9' * 18}{'4' * 30}", f"{BEYOND}.{'4' * 48}"),
        ("9" * 19 + "e1", "1e20"),
        ("1e19", "9" * 20 + "e1"),
        (f"{NINES}00e-2", f"{BEYOND}00e-2"),
    ],
    ids=[
        "whole", "21 nines", "40 digits", "with fraction", "rounded up to 21 digits", "48 fraction digits", "exponent",
        "exponent of many", "negative exponent",
    ],
)  # fmt: skip
def test_twenty_integer_digits_and_not_one_more_in_text(sign: str, largest: str, beyond: str) -> None:
    (found,) = to_decimals(pa.array([sign + largest]), Rounding()).to_pylist()
    assert found == EXACT.quantize(Decimal(sign + largest), Decimal(1).scaleb(-18))
    for values in ([sign + beyond], ["1", sign + largest, sign + beyond]):
        with pytest.raises(RejectedValue) as raised:
            to_decimals(pa.array(values), Rounding())
        assert (raised.value.index, raised.value.accepted) == (len(values) - 1, TOO_LARGE)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_twenty_integer_digits_and_not_one_more_in_decimals(kind: pa.DataType, sign: int) -> None:
    largest, beyond = sign * Decimal(NINES), sign * Decimal(BEYOND)
    assert to_decimals(pa.array([largest], kind), Rounding()).to_pylist() == [largest]
    with pytest.raises(RejectedValue) as raised:
        to_decimals(pa.array([largest, None, beyond], kind), Rounding())
    assert (raised.value.index, raised.value.accepted) == (2, TOO_LARGE)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_twenty_integer_digits_and_not_one_more_in_doubles(kind: type[np.floating[Any]], sign: int) -> None:
    beyond = kind(1e20)
    while Decimal(str(beyond).replace("e+", "e")) < Decimal(BEYOND):
        beyond = np.nextafter(beyond, kind(np.inf))
    largest = np.nextafter(beyond, kind(0))
    (found,) = to_decimals(pa.array(np.array([sign * largest])), Rounding()).to_pylist()
    assert found == Decimal(str(sign * largest).replace("e+", "e"))
    with pytest.raises(RejectedValue) as raised:
        to_decimals(pa.array(np.array([sign * largest, sign * beyond])), Rounding())
    assert (raised.value.index, raised.value.accepted) == (1, TOO_LARGE)


@pytest.mark.parametrize(
    ("text", "number", "rounded"),
    [
        (f"0.{'0' * 17}1", "1E-18", 0),
        (f"0.{'0' * 17}15", "2E-18", 1),
        (f"1.{'0' * 37}1", "1", 1),
        (f"1.{'0' * 38}1", "1", 1),
        (f"0.{'0' * 18}5{'0' * 40}1", "1E-18", 1),
    ],
    ids=["18", "19", "38", "39", "60"],
)
def test_eighteen_fraction_digits_are_kept_and_more_are_rounded(text: str, number: str, rounded: int) -> None:
    rounding = Rounding()
    assert to_decimals(pa.array([text]), rounding).to_pylist() == [Decimal(number)]
    assert (rounding.values, rounding.total) == (
        rounded,
        EXACT.subtract(Decimal(text), Decimal(number)).copy_abs(),
    )


@settings(max_examples=200)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_single_precision_counts_as_its_own_shortest_text(singles: list[float]) -> None:
    values = np.array(singles, np.float32)
    texts = [str(value).replace("e+", "e") for value in values]
    check(texts, pa.array(values))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_double_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(RejectedValue) as raised:
        to_decimals(pa.array([1.0, value]), Rounding())
    assert raised.value.index == 1


@settings(max_examples=300)
@given(st.data())
def test_typed_decimals_of_any_precision_and_scale(data: st.DataObject) -> None:
    precision = data.draw(st.integers(1, 76))
    scale = data.draw(st.integers(0, precision))
    kind = (
        pa.decimal128(precision, scale)
        if precision <= 38 and data.draw(st.booleans())
        else pa.decimal256(precision, scale)
    )
    unscaled = data.draw(st.lists(st.none() | st.integers(-(10**precision) + 1, 10**precision - 1), max_size=6))
    values = [None if number is None else Decimal(number).scaleb(-scale, EXACT) for number in unscaled]
    check([None if value is None else f"{value:f}" for value in values], pa.array(values, kind))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()])
def test_integers_are_exact_to_their_limits(kind: pa.DataType) -> None:
    limits = {"int8": (-128, 127), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}[str(kind)]
    assert to_decimals(pa.array(limits, kind), Rounding()).to_pylist() == [Decimal(limit) for limit in limits]


def test_a_type_without_numbers_is_refused_as_a_whole() -> None:
    with pytest.raises(RejectedValue, match="type bool is not accepted: decimals, integers, doubles or text"):
        to_decimals(pa.array([True]), Rounding())


def test_nothing_but_nulls_is_accepted_in_any_type() -> None:
    assert to_decimals(pa.nulls(2), Rounding()).to_pylist() == [None, None]
    assert to_decimals(pa.nulls(2, pa.bool_()), Rounding()).to_pylist() == [None, None]


def test_a_value_in_a_slice_is_found_at_its_own_row() -> None:
    values = pa.array(["x", "1", "2", "y"])
    assert to_decimals(values.slice(1, 2), Rounding()).to_pylist() == [Decimal(1), Decimal(2)]
    with pytest.raises(RejectedValue) as raised:
        to_decimals(values.slice(1), Rounding())
    assert (raised.value.index, raised.value.value) == (2, "y")
