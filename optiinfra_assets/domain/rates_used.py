"""Says for people by which rates a budget was converted: `conversions` of a status as GraphQL answers it in -> sentences out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

CONVERSIONS: Final = "conversions { currency isExpected lowestRate highestRate firstRateDate lastRateDate source }"
"""What is asked for that."""


def rates_used(conversions: Iterable[Mapping[str, Any]], into: str, shown: Callable[[str], str] = str) -> list[str]:
    """Return a sentence for each currency that was converted, of what is spent and of what is expected.

    Args:
        conversions: as `CONVERSIONS` answers them.
        into: the currency of the budget. Its own costs need no word.
        shown: writes a date, which is ``YYYY-MM-DD``.
    """
    return [_sentence(one, into, shown) for one in conversions if one["currency"] != into]


def _sentence(one: Mapping[str, Any], into: str, shown: Callable[[str], str]) -> str:
    rates = _span(f"{Decimal(one[name]):.6g}" for name in ("lowestRate", "highestRate"))
    dates = _span(shown(one[name]) for name in ("firstRateDate", "lastRateDate"))
    what = "Expected" if one["isExpected"] else "Spent"
    return f"{what} in {one['currency']} at {rates} {into} ({one['source']}, {dates})."


def _span(ends: Iterable[str]) -> str:
    return " to ".join(dict.fromkeys(ends))
