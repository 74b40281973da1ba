"""Items and taxes of an invoice as charge lines, of an API that dates items by ``from`` and ``to`` and sums taxes up by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.running_totals.month import ChargeLine, completed
from optiinfra_assets.providers.running_totals.readings import MeasuredAmounts

TAX: Final = "tax"
"""Kind of a line that is a tax."""


def line(fields: JsonFields) -> ChargeLine:
    """An item; its key is label, type and region."""
    key = (fields.text("label"), fields.text("type"), fields.text_or_none("region") or "")
    cost, price = fields.money("amount"), fields.money_or_none("unit_price") or Decimal(0)
    measure = MeasuredAmounts(cost, fields.money_or_none("quantity") or Decimal(0), cost)
    return ChargeLine(key, measure, price, *dates(fields))


def dates(fields: JsonFields) -> tuple[str, str]:
    """Beginning and end of an item. The last second of its time is included in ``to``; both are empty where one of them is null."""
    if fields.text_or_none("from") is None or fields.text_or_none("to") is None:
        return "", ""
    start, end = fields.time("from", UTC), fields.time("to", UTC) + timedelta(seconds=1)
    return start.isoformat(), end.isoformat()


def taxes(fields: JsonFields) -> Iterator[ChargeLine]:
    """The taxes of an invoice by name, and what of its tax has none."""
    named = fields.objects("tax_summary") if fields.values.get("tax_summary") is not None else []
    found = [(tax.text("name"), tax.money("tax")) for tax in named]
    lines = (ChargeLine((name, TAX, ""), MeasuredAmounts(tax, list_cost=tax)) for name, tax in found if tax)
    return completed(lines, fields.money("tax"), ("Tax", TAX, ""))
