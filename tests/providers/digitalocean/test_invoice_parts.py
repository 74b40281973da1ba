"""Summaries of invoices: what the items do not hold is added once, and the rest of the amount is a line of its own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optiinfra_assets.domain.errors import ContractChanged
from optiinfra_assets.providers.digitalocean.invoice_parts import (
    BEYOND,
    CREDITS,
    OVERAGES,
    PRODUCTS,
    TAXES,
    InvoiceParts,
)
from optiinfra_assets.providers.http.json_fields import JsonFields

amounts = st.decimals(min_value=-10_000, max_value=10_000, places=2)
cents = st.decimals(min_value=-1, max_value=1, places=2)


def summary(amount: Decimal, **parts: Decimal) -> InvoiceParts:
    stated = {name: {"name": name.title(), "amount": f"{part}"} for name, part in parts.items()}
    return InvoiceParts.of(JsonFields({"amount": f"{amount}", **stated}, "GET /summary"), amount)


@given(amounts, amounts, amounts, amounts, st.booleans(), cents)
def test_items_and_what_is_beyond_them_are_the_invoice(
    products: Decimal, overages: Decimal, taxes: Decimal, credits: Decimal, is_itemised: bool, off: Decimal
) -> None:
    """Also if the amounts are off by rounding, or by a part that nobody knows."""
    amount = products + overages + taxes + credits + off
    itemised = products + overages if is_itemised else products
    parts = summary(
        amount,
        product_charges=products,
        overages=overages,
        taxes=taxes,
        credits_and_adjustments=credits,
    )
    beyond = list(parts.beyond(amount, itemised))
    assert sum((part for _, _, part in beyond), itemised) == amount
    assert all(part for _, _, part in beyond), "nothing is said of nothing"
    assert sum(part for _, name, part in beyond if name == BEYOND) == off, "overage is not counted twice"


@given(amounts, amounts)
def test_without_an_amount_nothing_is_said_of_the_rest(products: Decimal, taxes: Decimal) -> None:
    parts = summary(Decimal(7), product_charges=products, taxes=taxes)
    assert sum(part for _, _, part in parts.beyond(None, Decimal(1))) == taxes


@given(amounts, amounts)
def test_a_summary_of_another_amount_than_listed_is_noticed(products: Decimal, listed: Decimal) -> None:
    assume(listed != products)
    stated = {"amount": f"{products}", "product_charges": {"amount": f"{products}"}}
    with pytest.raises(ContractChanged, match=f"amount: value '{products}' .* {listed}, which the list"):
        InvoiceParts.of(JsonFields(stated, "GET /summary"), listed)


def test_a_credit_is_negative_and_an_adjustment_is_not() -> None:
    kinds = {
        kind
        for amount in (Decimal(-5), Decimal(5))
        for kind, _, _ in summary(amount, product_charges=Decimal(0), credits_and_adjustments=amount).beyond(
            amount, Decimal(0)
        )
    }
    assert kinds == {"Credit", "Adjustment"}


def test_parts_are_known_by_the_names_of_the_answer() -> None:
    parts = summary(Decimal(1), product_charges=Decimal(1)).parts
    assert list(parts) == [PRODUCTS, OVERAGES, TAXES, CREDITS]
