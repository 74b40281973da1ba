"""Splits a change of cost into what its price did and what its use did: one function for comparisons and for causes of anomalies."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from optiinfra_assets.domain.exact_amounts import EXACT, exact_difference

_ROUNDING: Final = Context(prec=400, rounding=ROUND_HALF_EVEN)
LAST_DIGIT: Final = Decimal(1).scaleb(-18)
"""Of money."""


def rounded_ratio(
    amount: Decimal, numerator: Decimal, denominator: Decimal, last_digit: Decimal = LAST_DIGIT
) -> Decimal:
    """Return amount x numerator / denominator, rounded once, half-even, to the last digit of money, or another one."""
    return _ROUNDING.quantize(_ROUNDING.divide(EXACT.multiply(amount, numerator), denominator), last_digit)


def price_and_usage(
    old_cost: Decimal, old_quantity: Decimal, new_cost: Decimal, new_quantity: Decimal
) -> tuple[Decimal, Decimal]:
    """Return the effects of price (change of the unit price x old quantity) and of usage (change of the quantity x new unit price).

    They add up to the change of cost exactly: what rounding takes from one is in the other. Quantities are of one unit and not zero.
    """
    at_new_price = rounded_ratio(new_cost, old_quantity, new_quantity)
    return exact_difference(at_new_price, old_cost), exact_difference(new_cost, at_new_price)
