"""The summary of an invoice: it states the sum of the products, and overage, tax and credits, which are not items. JSON in, amounts out.

All parts are added as they are; credits are negative. The amount of the invoice is the fact, and the summary explains it: what its parts
and the items lack of that amount, be it a difference by rounding or a part that this module does not know, becomes a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum
from optiinfra_assets.providers.http.json_fields import JsonFields

PRODUCTS: Final = "product_charges"
OVERAGES: Final = "overages"
TAXES: Final = "taxes"
CREDITS: Final = "credits_and_adjustments"


BEYOND: Final = "Not itemised"

Part = tuple[str, str, Decimal]
"""FOCUS ChargeCategory, name and amount in USD of a part."""


@dataclass(frozen=True, slots=True)
class InvoiceParts:
    """The amounts of a summary, in USD.

    Attributes:
        parts: amounts by name; zero for a part that the summary does not state.
    """

    parts: dict[str, Decimal]

    @classmethod
    def of(cls, summary: JsonFields, amount: Decimal) -> InvoiceParts:
        """Parse the summary of an invoice of this amount.

        Raises:
            ContractChanged: the summary has no sum of products, or is of another amount.
        """
        summary.object(PRODUCTS)
        if summary.optional("amount", JsonFields.money, amount) != amount:
            summary.refuse("amount", f"{amount:f}, which the list of invoices states,")
        return cls({name: _part(summary, name) for name in (PRODUCTS, OVERAGES, TAXES, CREDITS)})

    def beyond(self, amount: Decimal | None, itemised: Decimal) -> Iterator[Part]:
        """Yield the parts of an invoice beyond its items, whose sum is `itemised`, and last what is still lacking of `amount`, if given."""
        found = [itemised]
        for part in self._known(itemised):
            found.append(part[2])
            yield part
        rest = exact_difference(amount, exact_sum(found)) if amount is not None else None
        if rest:
            yield "Adjustment", BEYOND, rest

    def _known(self, itemised: Decimal) -> Iterator[Part]:
        if self.parts[OVERAGES] and not self._has_overages(itemised):
            yield "Usage", "Overages", self.parts[OVERAGES]
        if self.parts[TAXES]:
            yield "Tax", "Taxes", self.parts[TAXES]
        if self.parts[CREDITS]:
            kind = "Credit" if self.parts[CREDITS] < 0 else "Adjustment"
            yield kind, "Credits & adjustments", self.parts[CREDITS]

    def _has_overages(self, itemised: Decimal) -> bool:
        """Whether the items are nearer to the products with overage than to those without."""
        products = self.parts[PRODUCTS]
        return abs(itemised - products - self.parts[OVERAGES]) < abs(itemised - products)


UNKNOWN: Final = InvoiceParts(dict.fromkeys((PRODUCTS, OVERAGES, TAXES, CREDITS), Decimal(0)))
"""Parts of a summary that cannot be read."""


def _part(summary: JsonFields, name: str) -> Decimal:
    part = summary.optional(name, JsonFields.object_or_none, None)
    return part.optional("amount", JsonFields.money, Decimal(0)) if part else Decimal(0)
