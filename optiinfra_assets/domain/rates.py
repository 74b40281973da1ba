"""What is accepted as a currency and as a rate, from wherever it comes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

CURRENCY: Final = re.compile(r"[A-Z]{3}")
_RATE: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def checked_rate(value: str, where: str) -> Decimal:
    """Return a rate from its text.

    Raises:
        ValueError: it is no number above 0 of at most 18 digits before and after the point; the message begins with `where`.
    """
    rate = Decimal(value) if _RATE.fullmatch(value) else Decimal(0)
    if rate <= 0:
        raise ValueError(f"{where}: {value!r} is not accepted: use a number above 0, such as 1.0842")
    return rate


def check_pair(currency: str, into: str) -> None:
    """Check the currencies of a rate.

    Raises:
        ValueError: one is no code of a currency, or they are the same.
    """
    for one in (currency, into):
        if not CURRENCY.fullmatch(one):
            raise ValueError(f"currency: {one!r} is not accepted: use an ISO 4217 code, such as USD")
    if currency == into:
        raise ValueError(f"currency: {into!r} is not accepted: use two currencies; one is 1 in itself")
