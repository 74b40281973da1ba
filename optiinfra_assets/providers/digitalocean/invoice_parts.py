"""The summary of an invoice: it states the sum of the products, and overage, tax and credits, which are not items. JSON in, amounts out.

All parts are added as they are; credits are negative. Totals that do not add up raise an error: a lost item, or a part that this module
does not know, would otherwise make a bill that looks right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.running_totals.readings import exact_sum

PRODUCTS: Final = "product_charges"
OVERAGES: Final = "overages"
TAXES: Final = "taxes"
CREDITS: Final = "credits_and_adjustments"


@dataclass(frozen=True, slots=True)
class InvoiceParts:
    """The amounts of a summary, in USD.

    Attributes:
        amount: total of the whole invoice.
        parts: amounts by name; zero for a part that the summary does not state.
    """

    amount: Decimal
    parts: dict[str, Decimal]
    _fields: JsonFields

    @classmethod
    def of(cls, summary: JsonFields) -> InvoiceParts:
        """Parse a summary.

        Raises:
            ContractChanged: an amount is missing or is not a number.
        """
        names = (PRODUCTS, OVERAGES, TAXES, CREDITS)
        return cls(summary.money("amount"), {name: _part(summary, name) for name in names}, summary)

    def check(self, amount: Decimal, itemised: Decimal, count: int) -> None:
        """Compare the summary with its invoice.

        Args:
            amount: amount of the invoice in the list of invoices.
            itemised: sum of its items, which may include the overage.
            count: number of items.

        Raises:
            ContractChanged: the amounts do not add up; the message names both figures.
        """
        if self.amount != amount:
            self._fields.refuse("amount", f"{amount:f}, which the list of invoices states,")
        stated = exact_sum(self.parts.values())
        if self.amount != stated:
            self._fields.refuse("amount", f"{stated:f}, the sum of {', '.join(self.parts)},")
        if itemised != self.parts[PRODUCTS] and not self._has_overages(itemised):
            products = self._fields.object(PRODUCTS)
            products.refuse("amount", f"{itemised:f}, the sum of the {count} items,")

    def beyond(self, itemised: Decimal) -> Iterator[tuple[str, str, Decimal]]:
        """Yield FOCUS ChargeCategory, name and amount of each part that the items, whose sum is `itemised`, do not include."""
        if self.parts[OVERAGES] and not self._has_overages(itemised):
            yield "Usage", "Overages", self.parts[OVERAGES]
        if self.parts[TAXES]:
            yield "Tax", "Taxes", self.parts[TAXES]
        if self.parts[CREDITS]:
            kind = "Credit" if self.parts[CREDITS] < 0 else "Adjustment"
            yield kind, "Credits & adjustments", self.parts[CREDITS]

    def _has_overages(self, itemised: Decimal) -> bool:
        return itemised == exact_sum((self.parts[PRODUCTS], self.parts[OVERAGES]))


def _part(summary: JsonFields, name: str) -> Decimal:
    part = summary.object_or_none(name)
    return part.money("amount") if part else Decimal(0)
