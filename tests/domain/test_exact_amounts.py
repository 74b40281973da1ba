"""Amounts of 38 digits are added and compared to the last one, wherever Python's default context would round to 28."""

from __future__ import annotations

import ast
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.cli.spending import by_currency
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum
from optiinfra_assets.domain.publications import Totals
from optiinfra_assets.ingestion import slice_attempt
from optiinfra_assets.providers.azure import query_api
from optiinfra_assets.warehouse.loading import LoadResult

ROOT = Path(__file__).parents[2]
LARGEST = Decimal("99999999999999999999.999999999999999999")
AMOUNTS = st.decimals(-LARGEST, LARGEST, places=18)


@given(st.lists(AMOUNTS), AMOUNTS, AMOUNTS)
def test_nothing_is_rounded(amounts: list[Decimal], one: Decimal, other: Decimal) -> None:
    assert Fraction(exact_sum(amounts)) == sum(map(Fraction, amounts))
    assert Fraction(exact_difference(one, other)) == Fraction(one) - Fraction(other)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_total_that_the_tables_hold_is_accepted(sign: int) -> None:
    amount = LARGEST if sign > 0 else LARGEST.copy_negate()
    slice_attempt._refuse_too_large(LoadResult(totals={"IDR": Totals(billed_cost=amount)}))
    with pytest.raises(BadData, match="billed_cost of all line items adds up to"):
        slice_attempt._refuse_too_large(LoadResult(totals={"IDR": Totals(billed_cost=sign * slice_attempt.BEYOND)}))


def test_days_of_azure_add_up_to_the_last_digit() -> None:
    days = {(date(2026, 11, 1), "IDR"): LARGEST, (date(2026, 11, 2), "IDR"): LARGEST}
    assert query_api.by_currency(days) == {"IDR": exact_sum([LARGEST, LARGEST])}


def test_groups_that_differ_in_the_last_digit_only_are_in_their_order() -> None:
    amounts = {"a": "99999999999999999999.999999999999999998", "b": f"{LARGEST}"}
    series = [
        {"service": name, "currency": "IDR", "cost": {"amount": amount}, "dates": [], "amounts": []}
        for name, amount in amounts.items()
    ]
    assert [row.group for row in by_currency(series, None, "service")["IDR"]] == ["b", "a"]


def test_no_amounts_are_added_by_the_default_context() -> None:
    """`sum` with a Decimal to begin with rounds each step to 28 digits. Simulated clouds bill whole multiples of a small amount."""
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for package in ("optiinfra_api", "optiinfra_assets")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "simulators" not in path.parts
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "sum"
        and "Decimal(0)" in map(ast.unparse, call.args)
    ]
    assert wrong == []
