"""Items and taxes of a Linode invoice: JSON in, `ChargeLine` out. The API dates items by ``from`` and ``to``, and sums taxes by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.running_totals.month import ChargeLine, completed
from optiinfra_assets.providers.running_totals.readings import MeasuredAmounts

TAX: Final = "tax"
"""The item type in the key of a tax line."""


def line(fields: JsonFields) -> ChargeLine:
    """Parse an item; its key is label, type and region."""
    key = (fields.text("label"), fields.text("type"), fields.text_or_none("region") or "")
    cost, price = fields.money("amount"), fields.money_or_none("unit_price") or Decimal(0)
    measure = MeasuredAmounts(cost, fields.money_or_none("quantity") or Decimal(0), cost)
    return ChargeLine(key, measure, price, *dates(fields))


def dates(fields: JsonFields) -> tuple[str, str]:
    """Return start (inclusive) and end (exclusive) of an item in UTC, as ISO texts; both are empty if either is null.

    The API's ``to`` is the last second of the item, so this adds one second.
    """
    if fields.text_or_none("from") is None or fields.text_or_none("to") is None:
        return "", ""
    start, end = fields.time("from", UTC), fields.time("to", UTC) + timedelta(seconds=1)
    return start.isoformat(), end.isoformat()


def taxes(fields: JsonFields) -> Iterator[ChargeLine]:
    """Yield the taxes of an invoice by name, and the part of its tax that has no name."""
    named = fields.objects("tax_summary") if fields.values.get("tax_summary") is not None else []
    found = [(tax.text("name"), tax.money("tax")) for tax in named]
    lines = (ChargeLine((name, TAX, ""), MeasuredAmounts(tax, list_cost=tax)) for name, tax in found if tax)
    return completed(lines, fields.money("tax"), ("Tax", TAX, ""))
