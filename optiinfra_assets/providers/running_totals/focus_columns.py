"""FOCUS columns that every cloud computes alike from a charge: costs, periods, account, seller and issuer of the invoice.

This is for clouds that sell at one price, without commitments: the billed cost is also the effective and the contracted cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.line_items import MANDATORY
from optiinfra_assets.line_items.row_batches import Value
from optiinfra_assets.providers.running_totals.month import ChargeLine

COLUMNS: Final = (
    *MANDATORY, "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "InvoiceId", "RegionId", "ResourceId", "ResourceName",
    "ResourceType", "Tags", "x_Method", "x_Plan",
)  # fmt: skip
"""The columns that `BillingColumns.values`, `consumed_columns`, `Instance.values` and the providers fill."""


@dataclass(frozen=True, slots=True)
class BillingColumns:
    """Values that all line items of a collection share.

    Attributes:
        payer: id and name of the billing account.
        seller: name of the cloud.
        issuer: name of the company that sends the invoice.
    """

    period: BillingPeriod
    payer: tuple[str, str | None]
    currency: str
    seller: str
    issuer: str

    def values(
        self,
        category: str,
        cost: Decimal,
        list_cost: Decimal,
        start: datetime,
        end: datetime,
        invoice_id: str | None,
        method: str,
    ) -> dict[str, Value]:
        """Return the columns of one charge.

        Args:
            category: FOCUS ChargeCategory.
            cost: billed cost in `currency`.
            list_cost: cost at list prices.
            start: inclusive UTC instant.
            end: exclusive UTC instant.
            invoice_id: None while there is no invoice.
            method: how the charge was computed, for ``x_Method``.
        """
        return {
            "BilledCost": cost,
            "EffectiveCost": cost,
            "ContractedCost": cost,
            "ListCost": list_cost,
            "BillingAccountId": self.payer[0],
            "BillingAccountName": self.payer[1],
            "BillingCurrency": self.currency,
            "BillingPeriodStart": self.period.start,
            "BillingPeriodEnd": self.period.end,
            "ChargeCategory": category,
            "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
            "InvoiceId": invoice_id,
            "InvoiceIssuerName": self.issuer,
            "HostProviderName": self.seller,
            "ServiceProviderName": self.seller,
            "x_Method": method,
        }


def charge_class(line: ChargeLine, begin: datetime) -> str | None:
    """FOCUS ChargeClass: Correction for a refund for days before the month's `begin` (UTC), which corrects an issued invoice; else None."""
    span = line.span if line.measure.cost < 0 else None
    return "Correction" if span is not None and span[1] <= begin else None


def service_category(product: str, categories: Iterable[tuple[str, re.Pattern[str]]]) -> str:
    """FOCUS ServiceCategory: the first of `categories` whose pattern occurs in the name of a product, else Other."""
    return next((category for category, words in categories if words.search(product)), "Other")


def consumed_columns(quantity: Decimal, unit: str) -> dict[str, Value]:
    """Return the columns of a quantity whose pricing unit is the unit in which it is measured."""
    return {
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
    }
