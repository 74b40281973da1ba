"""Adds amounts to the last digit: Python's default context rounds to 28 digits, also in ``-x`` and ``abs(x)``, and money has up to 38."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
"""Inexact is trapped, so a wrong digit cannot pass."""


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of any amounts, to the last digit."""
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def exact_difference(amount: Decimal, other: Decimal) -> Decimal:
    """Return `amount` less `other`, to the last digit."""
    return EXACT.subtract(amount, other)


def plain(amount: Decimal | str) -> str:
    """Return an amount without exponent and trailing zeros, as GraphQL answers it: the same text for 10, 10.0 and 1E+1."""
    text = f"{Decimal(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
