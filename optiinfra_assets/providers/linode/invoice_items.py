"""Items and taxes of a Linode invoice: JSON in, `ChargeLine` out. The API dates items by ``from`` and ``to``, and sums taxes by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.running_totals.month import ChargeLine, completed
from optiinfra_assets.providers.running_totals.readings import MeasuredAmounts

TAX: Final = "tax"
"""The item type in the key of a tax line."""


def line(fields: JsonFields) -> ChargeLine:
    """Parse an item; its key is label, type and region."""
    label, type_, region = (fields.optional(name, JsonFields.text, "") for name in ("label", "type", "region"))
    quantity, price = (fields.optional(name, JsonFields.money, Decimal(0)) for name in ("quantity", "unit_price"))
    cost = fields.money("amount")
    return ChargeLine((label, type_, region), MeasuredAmounts(cost, quantity, cost), price, *dates(fields))


def dates(fields: JsonFields) -> tuple[str, str]:
    """Return start (inclusive) and end (exclusive) of an item in UTC, as ISO texts; both are empty if either is not a time.

    The API's ``to`` is the last second of the item, so this adds one second.
    """
    start, end = (fields.optional(name, utc_time, None) for name in ("from", "to"))
    if start is None or end is None:
        return "", ""
    return start.isoformat(), (end + timedelta(seconds=1)).isoformat()


def taxes(fields: JsonFields) -> Iterator[ChargeLine]:
    """Yield the taxes of an invoice by name, and the part of its tax that has no name.

    Both are optional: what an invoice states beyond its items and its known taxes becomes a line of its own.
    """
    named = fields.optional("tax_summary", JsonFields.objects, ())
    found = [
        (tax.optional("name", JsonFields.text, "Tax"), tax.optional("tax", JsonFields.money, None)) for tax in named
    ]
    lines = [ChargeLine((name, TAX, ""), MeasuredAmounts(tax, list_cost=tax)) for name, tax in found if tax]
    stated = exact_sum(line.measure.cost for line in lines)
    return completed(lines, fields.optional("tax", JsonFields.money, stated), ("Tax", TAX, ""))


def utc_time(fields: JsonFields, name: str) -> datetime:
    """Return a time of this API, which are all in UTC without saying so."""
    return fields.time(name, UTC)
