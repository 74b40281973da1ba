"""Summaries of invoices: what the items do not hold is added once, and what does not add up is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optiinfra_assets.domain.errors import ContractChanged
from optiinfra_assets.providers.digitalocean.invoice_parts import (
    CREDITS,
    OVERAGES,
    PRODUCTS,
    TAXES,
    InvoiceParts,
)
from optiinfra_assets.providers.http.json_fields import JsonFields

amounts = st.decimals(min_value=-10_000, max_value=10_000, places=2)


def summary(amount: Decimal, **parts: Decimal) -> InvoiceParts:
    stated = {name: {"name": name.title(), "amount": f"{part}"} for name, part in parts.items()}
    return InvoiceParts.of(JsonFields({"amount": f"{amount}", **stated}, "GET /summary"))


@given(amounts, amounts, amounts, amounts, st.booleans())
def test_items_and_what_is_beyond_them_are_the_invoice(
    products: Decimal, overages: Decimal, taxes: Decimal, credits: Decimal, is_itemised: bool
) -> None:
    amount = products + overages + taxes + credits
    itemised = products + overages if is_itemised else products
    parts = summary(
        amount,
        product_charges=products,
        overages=overages,
        taxes=taxes,
        credits_and_adjustments=credits,
    )
    parts.check(amount, itemised, 1)
    assert sum((part for _, _, part in parts.beyond(itemised)), itemised) == amount
    assert all(part for _, _, part in parts.beyond(itemised)), "nothing is said of nothing"


@given(amounts, amounts, amounts, amounts)
def test_an_item_that_got_lost_is_noticed(products: Decimal, overages: Decimal, taxes: Decimal, lost: Decimal) -> None:
    assume(lost not in (0, -overages))
    amount = products + overages + taxes
    parts = summary(amount, product_charges=products, overages=overages, taxes=taxes)
    with pytest.raises(ContractChanged, match=r"product_charges.amount: value .* the sum of the 2 items"):
        parts.check(amount, products - lost, 2)


@given(amounts, amounts, amounts)
def test_parts_that_are_not_all_are_noticed(products: Decimal, taxes: Decimal, unknown: Decimal) -> None:
    assume(unknown)
    amount = products + taxes + unknown
    parts = summary(amount, product_charges=products, taxes=taxes)
    with pytest.raises(ContractChanged, match=f"amount: value '{amount}' is not accepted: {products + taxes}"):
        parts.check(amount, products, 1)


@given(amounts, amounts)
def test_a_summary_of_another_amount_than_listed_is_noticed(products: Decimal, listed: Decimal) -> None:
    assume(listed != products)
    parts = summary(products, product_charges=products)
    with pytest.raises(ContractChanged, match=f"amount: value '{products}' .* {listed}, which the list"):
        parts.check(listed, products, 1)


def test_a_credit_is_negative_and_an_adjustment_is_not() -> None:
    kinds = {
        kind
        for amount in (Decimal(-5), Decimal(5))
        for kind, _, _ in summary(amount, credits_and_adjustments=amount).beyond(Decimal(0))
    }
    assert kinds == {"Credit", "Adjustment"}


def test_parts_are_known_by_the_names_of_the_answer() -> None:
    parts = summary(Decimal(1), product_charges=Decimal(1)).parts
    assert list(parts) == [PRODUCTS, OVERAGES, TAXES, CREDITS]
