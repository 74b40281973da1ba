"""Maps the charges of a month to FOCUS rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.invoices import InvoicePart
from optiinfra_assets.line_items.row_batches import LineItemRow, Value
from optiinfra_assets.providers.digitalocean.billing_api import SUMMARY, BillingApi, Invoice
from optiinfra_assets.providers.digitalocean.daily_estimates import ESTIMATE, DailyCharge, InvoiceLine
from optiinfra_assets.providers.digitalocean.invoice_parts import UNKNOWN
from optiinfra_assets.providers.running_totals import focus_columns
from optiinfra_assets.providers.running_totals.focus_columns import service_category
from optiinfra_assets.providers.running_totals.instances import InstanceHistory
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE

SO_FAR: Final = "month so far"

COLUMNS: Final = (*focus_columns.COLUMNS, "SkuId", "SubAccountId", "x_Group", "x_Project")

_SERVICE_CATEGORIES: Final = (
    ("AI and Machine Learning", re.compile(r"gradient|gen ?ai|inference|agent", re.I)),
    ("Databases", re.compile(r"database", re.I)),
    ("Storage", re.compile(r"spaces|volume|snapshot|backup|storage|file share|nfs", re.I)),
    ("Networking", re.compile(r"load balancer|bandwidth|\bip|cdn|gateway|vpc|dns|overage", re.I)),
    ("Compute", re.compile(r"droplet|kubernetes|app platform|function|gpu|container", re.I)),
)
_SKUS: Final = (("-DROP-", "Droplets"), ("-K8SWN-", "Kubernetes Clusters"))
"""Products by a part of their SKU: the two SKUs that the vendor's documents show."""


def row_of(
    charge: DailyCharge, billing: focus_columns.BillingColumns, urn: str, machines: InstanceHistory
) -> LineItemRow:
    """Return the line item of a charge; `urn` is that of the payer."""
    line = charge.line
    group, description = charge.key
    region, sku, team = charge.place or ("", "", "")
    category = line.category if line else "Usage"
    product = line.product if line and line.product else _product(sku)
    amount = charge.amount
    values = billing.values(category, amount, amount, charge.start, charge.end, charge.invoice_id, charge.method) | {
        "ChargeDescription": description,
        "ServiceName": product,
        "ServiceCategory": service_category(product, _SERVICE_CATEGORIES) if category == "Usage" else "Other",
        "RegionId": region or None,
        "SkuId": sku or None,
        "SubAccountId": uuid_of(team) if team not in ("", urn) else None,
        "x_Group": group or None,
    }
    if line is not None:
        values |= _of_line(charge, line, billing.period, machines)
    is_estimated = charge.method in (ESTIMATE, SO_FAR)
    return LineItemRow("api" if is_estimated else "invoice", is_estimated, values)


def stated_parts(billing: BillingApi, invoice: Invoice) -> Iterator[InvoicePart]:
    """Yield the items of an invoice, and what its summary states beyond them, by the category and service that `row_of` gives them."""
    itemised = Decimal(0)
    for line in billing.lines(invoice.uuid, invoice.period):
        itemised = exact_sum((itemised, line.amount))
        yield InvoicePart(line.category, line.amount, line.product or _product(""))
    parts = SUMMARY.read(billing.context, lambda: billing.parts(invoice), UNKNOWN)
    for category, name, amount in parts.beyond(invoice.amount, itemised):
        yield InvoicePart(category, amount, name)


def _of_line(
    charge: DailyCharge, line: InvoiceLine, period: BillingPeriod, machines: InstanceHistory
) -> dict[str, Value]:
    """Columns that an item adds: its resource and project, and its quantity if the whole item is one charge."""
    values: dict[str, Value] = {"x_Project": line.project}
    if line.end <= period.start and charge.amount < 0:
        values["ChargeClass"] = "Correction"
    if charge.method == INVOICE_LINE:
        values |= {"ConsumedQuantity": line.quantity, "ConsumedUnit": line.unit}
    if line.resource:
        machine = machines.find(line.resource, None, charge.start, charge.end)
        values |= {"ResourceName": line.key[-1], "ResourceType": line.product or None}
        values |= machine.values() if machine else {}
        values["ResourceId"] = line.resource[0]
    return values


def _product(sku: str) -> str:
    """Product of a line that only insights have: taken from the SKU where that is known, else the SKU itself."""
    return next((product for part, product in _SKUS if part in sku), sku or "Unknown")


def uuid_of(urn: str) -> str:
    """Return the last part of a urn."""
    return urn.rsplit(":", 1)[-1]
