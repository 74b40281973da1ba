"""An invoice whose items are not all of it: a summary states what the products come to, and overage, tax and credits beside them.

All parts are added up as they are, credits negative. What does not add up is refused: an item that got lost, or a part that nobody knows
of yet, would make a bill that looks right.
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
    """What a summary states.

    Attributes:
        amount: of the whole invoice.
        parts: by name; one that is not stated is zero.
    """

    amount: Decimal
    parts: dict[str, Decimal]
    _fields: JsonFields

    @classmethod
    def of(cls, summary: JsonFields) -> InvoiceParts:
        """Read a summary.

        Raises:
            ContractChanged: an amount is missing or none.
        """
        names = (PRODUCTS, OVERAGES, TAXES, CREDITS)
        return cls(summary.money("amount"), {name: _part(summary, name) for name in names}, summary)

    def check(self, amount: Decimal, itemised: Decimal, count: int) -> None:
        """Compare the summary with the invoice it is of.

        Args:
            amount: of the invoice, from elsewhere.
            itemised: sum of its items, which may hold the overage.
            count: how many items.

        Raises:
            ContractChanged: something does not add up; names both figures.
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
        """Charge category, name and amount of each part that items coming to `itemised` do not hold."""
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
