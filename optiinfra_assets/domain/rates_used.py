"""Says for people by which rates a budget was converted: `rates` of a status as GraphQL answers it in -> sentences out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any


def rates_used(rates: Iterable[Mapping[str, Any]], into: str, shown: Callable[[str], str] = str) -> list[str]:
    """Return a sentence for each currency that was converted, of what is spent and of what is expected.

    Args:
        rates: each with currency, rate, rateDate, source and isExpected, in the order of their days.
        into: the currency of the budget. Its own costs need no word.
        shown: writes a date, which is ``YYYY-MM-DD``.
    """
    found: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for one in rates:
        if one["currency"] != into:
            found.setdefault((one["currency"], one["isExpected"]), []).append(one)
    return [
        f"{'Expected' if is_expected else 'Spent'} in {currency} at {_values(of)} {into} ({_quotes(of, shown)})."
        for (currency, is_expected), of in found.items()
    ]


def _values(rates: list[Mapping[str, Any]]) -> str:
    return _span(f"{one:.6g}" for one in sorted(Decimal(one["rate"]) for one in rates))


def _quotes(rates: list[Mapping[str, Any]], shown: Callable[[str], str]) -> str:
    sources = ", ".join(sorted({one["source"] for one in rates}))
    return f"{sources}, {_span(shown(one) for one in sorted(one['rateDate'] for one in rates))}"


def _span(values: Iterable[str]) -> str:
    known = list(values)
    return " to ".join(dict.fromkeys((known[0], known[-1])))
