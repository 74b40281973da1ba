"""Shows costs in one currency, on pages and in tools: their GraphQL documents ask for converted amounts too, which replace the others.

They know nothing of it: they get answers in which all costs are in one currency, each group once. If anything has no rate, they get
their answers as billed, and the reader is told why: a sum that lacks a part is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum, plain
from optiinfra_assets.domain.rates import CURRENCY

PARAMETER: Final = "display"
CURRENCIES: Final = (
    *("EUR", "USD", "GBP", "CHF", "JPY", "AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "HKD", "HUF", "IDR", "ILS"),
    *("INR", "ISK", "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "ZAR"),
)  # fmt: skip
"""What is offered: the currencies that the European Central Bank quotes, and the euro."""

_COSTS: Final = re.compile(r"\b(totalCost|costTrends|costsByResource|compareCosts|resource)\(([^()]*)\)([^{}()]*) \{")
_MONEY: Final = re.compile(r"\b(cost|before|after|difference|priceEffect|usageEffect) \{ amount\b")
_LISTS: Final = ("totals", "series", "nodes", "groups")
_COLUMNS: Final = frozenset({"dates", "amounts"})


def chosen_display(asked: str | None) -> str:
    """The currency that an address asks for; '' for none, or if it is no code of a currency."""
    return asked if asked and CURRENCY.fullmatch(asked) else ""


def in_currency(document: str, currency: str) -> str:
    """A document that also asks for converted amounts; as it is without a currency, and where it shows no cost.

    `currency` is a code that was checked: it becomes a part of the document.
    """
    if not currency or not _MONEY.search(document):
        return document
    asked = _COSTS.sub(rf'\1(displayCurrency: "{currency}", \2)\3 {{ conversion {{ total warnings }}', document)
    asked = asked.replace("dates amounts", "dates amounts convertedAmounts")
    return _MONEY.sub(r"\1 { converted { amount } amount", asked)


def converted(found: dict[str, Any], currency: str) -> tuple[dict[str, Any], str]:
    """The answer to such a document with converted amounts in the place of the others; or as it is, and a sentence that says why."""
    costs = {name: one for name, one in found.items() if isinstance(one, dict) and one.get("conversion")}
    warnings = list(dict.fromkeys(text for one in costs.values() for text in one["conversion"]["warnings"]))
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        return (
            found,
            f"Costs are shown as billed, since not all of them can be shown in {currency}. {warnings[0]}{more}",
        )
    return found | {name: _converted(one, currency) for name, one in costs.items()}, ""


def _converted(answer: Mapping[str, Any], currency: str) -> dict[str, Any]:
    found = dict(answer)
    for name in _LISTS:
        if isinstance(found.get(name), list):
            merged: dict[str, dict[str, Any]] = {}
            for one in found[name]:
                row = _in(one, currency)
                key = repr([(field, value) for field, value in row.items() if not _is_summed(field, value)])
                merged[key] = _sum(merged[key], row) if key in merged else row
            found[name] = sorted(merged.values(), key=_place)
    return found


def _is_money(value: object) -> bool:
    return isinstance(value, dict) and "amount" in value


def _is_summed(field: str, value: object) -> bool:
    """Whether a value belongs to the amounts of a row, rather than saying which group it is."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number or _is_money(value) or field in _COLUMNS or field.endswith("Effect")


def _place(row: Mapping[str, Any]) -> tuple[bool, Decimal]:
    """Largest first: the cost, or of a comparison the movement, with what was left out at the end."""
    if "cost" in row:
        return False, -Decimal(row["cost"]["amount"])
    before, after = (Decimal(row[name]["amount"]) for name in ("before", "after"))
    return bool(row.get("isOther")), -exact_difference(after, before).copy_abs()


def _in(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """A row in the currency. An effect that is not known in it is not known."""
    found = {name: value for name, value in row.items() if name != "convertedAmounts"}
    for name, value in row.items():
        if _is_money(value):
            amount = (value["converted"] or {}).get("amount")
            found[name] = None if amount is None else {"amount": amount, "currency": currency}
    if "currency" in row:
        found["currency"] = currency
    if "amounts" in row:
        found["amounts"] = row["convertedAmounts"]
    return found


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two rows of the same group that were billed in two currencies as one."""
    found = dict(one)
    for name, value in one.items():
        if _is_money(value) and _is_money(other[name]):
            found[name] = {**value, "amount": _added(value["amount"], other[name]["amount"])}
        elif name.endswith("Effect"):
            found[name] = None
        elif _is_summed(name, value) and name not in _COLUMNS and (name != "groups" or one.get("isOther")):
            found[name] = value + other[name]
    if "amounts" in one:
        days = dict(zip(one["dates"], one["amounts"], strict=True))
        for day, amount in zip(other["dates"], other["amounts"], strict=True):
            days[day] = _added(days.get(day, "0"), amount)
        found["dates"], found["amounts"] = sorted(days), [days[day] for day in sorted(days)]
    return found


def _added(one: str, other: str) -> str:
    return plain(exact_sum((Decimal(one), Decimal(other))))
