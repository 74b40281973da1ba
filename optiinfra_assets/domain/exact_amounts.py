"""Adds amounts to the last digit: Python's default context rounds to 28 digits, also in ``-x`` and ``abs(x)``, and money has up to 38."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
"""Inexact is trapped, so a wrong digit cannot pass."""

_WRITTEN: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,18})?")


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of any amounts, to the last digit."""
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def exact_difference(amount: Decimal, other: Decimal) -> Decimal:
    """Return `amount` less `other`, to the last digit."""
    return EXACT.subtract(amount, other)


def written(name: str, text: str) -> Decimal:
    """Return an amount that a person has written: from 0 to below 10^15, with at most 18 digits after the point.

    Python accepts more as a number: ``1_000``, digits of other scripts, True.

    Raises:
        ValueError: it is none; the message begins with `name`.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"{name}: {text[:100]!r} is not accepted: use a number from 0 to below 10^15, such as 1250.50")
    return Decimal(text)


def plain(amount: Decimal | str) -> str:
    """Return an amount without exponent and trailing zeros, as GraphQL answers it: the same text for 10, 10.0 and 1E+1."""
    text = f"{Decimal(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
