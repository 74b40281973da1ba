"""The tables of AWS Data Exports: turns a bill line into a row of FOCUS 1.2 or of the Cost and Usage Report 2.0, and rows into files.

CSV has decimal numbers with all digits; Parquet has doubles, as at AWS.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.aws.bill_lines import BillLineItem

Row = dict[str, Any]
"""Column to str, Decimal, aware datetime or dict; None and missing are null."""

_FOCUS: Final = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice",
    "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags", "x_Operation",
    "x_ServiceCode", "x_UsageType",
)  # fmt: skip

_REPORT: Final = (
    "bill_bill_type", "bill_billing_entity", "bill_billing_period_end_date", "bill_billing_period_start_date", "bill_invoice_id",
    "bill_invoicing_entity", "bill_payer_account_id", "bill_payer_account_name", "identity_line_item_id",
    "line_item_availability_zone", "line_item_blended_cost", "line_item_currency_code", "line_item_legal_entity",
    "line_item_line_item_description", "line_item_line_item_type", "line_item_operation", "line_item_product_code",
    "line_item_resource_id", "line_item_tax_type", "line_item_unblended_cost", "line_item_unblended_rate",
    "line_item_usage_account_id", "line_item_usage_account_name", "line_item_usage_amount", "line_item_usage_end_date",
    "line_item_usage_start_date", "line_item_usage_type", "pricing_public_on_demand_cost", "pricing_public_on_demand_rate",
    "pricing_term", "pricing_unit", "product", "product_region_code", "product_sku", "resource_tags",
)  # fmt: skip

_NUMBERS: Final = ("Cost", "Price", "Quantity", "_cost", "_rate", "_amount")
_TIMES: Final = ("PeriodStart", "PeriodEnd", "_date")
_MAPS: Final = ("Tags", "resource_tags", "product")


@dataclass(frozen=True, slots=True)
class ExportTable:
    """One table of Data Exports.

    Attributes:
        cost: name of the column with the billed cost.
        row: makes the row of a bill line; arguments: line, payer's id and name, period, invoice id or None.
    """

    columns: tuple[str, ...]
    cost: str
    row: Callable[[BillLineItem, tuple[str, str], BillingPeriod, str | None], Row]


def _focus_row(line: BillLineItem, payer: tuple[str, str], period: BillingPeriod, invoice_id: str | None) -> Row:
    charge, resource = line.charge, line.charge.resource
    category = {"purchase": "Purchase", "tax": "Tax", "credit": "Credit"}.get(charge.kind, "Usage")
    row: Row = {
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), charge.amount),
        "BillingAccountId": payer[0],
        "BillingAccountName": payer[1],
        "BillingAccountType": "Billing Account",
        "BillingCurrency": line.currency,
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "ChargeCategory": category,
        "ChargeClass": "Correction" if charge.is_correction else None,
        "ChargeDescription": charge.description,
        "ChargeFrequency": "Usage-Based" if charge.kind == "usage" else "One-Time",
        "ChargePeriodStart": _midnight(line),
        "ChargePeriodEnd": _midnight(line) + timedelta(days=1),
        "InvoiceId": invoice_id,
        "InvoiceIssuerName": "Amazon Web Services, Inc.",
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "RegionId": line.region,
        "ServiceCategory": line.service.category,
        "ServiceName": line.service.name,
        "SubAccountId": line.account,
        "SubAccountName": line.account_name,
        "x_ServiceCode": line.service.code,
    }
    if resource is not None:
        row |= {
            "ConsumedQuantity": charge.quantity,
            "ConsumedUnit": line.service.unit,
            "ListUnitPrice": resource.hourly_price,
            "PricingCategory": "Standard",
            "PricingQuantity": charge.quantity,
            "PricingUnit": line.service.unit,
            "ResourceId": resource.resource_id,
            "ResourceName": resource.name,
            "Tags": dict(resource.tags),
            "x_UsageType": resource.sku,
        }
    return row


def _report_row(line: BillLineItem, payer: tuple[str, str], period: BillingPeriod, invoice_id: str | None) -> Row:
    charge, resource = line.charge, line.charge.resource
    end = _midnight(line) + timedelta(days=1)
    row: Row = {
        "bill_bill_type": "Anniversary",
        "bill_billing_entity": "AWS",
        "bill_billing_period_start_date": period.start,
        "bill_billing_period_end_date": period.end,
        "bill_invoice_id": invoice_id,
        "bill_invoicing_entity": "Amazon Web Services, Inc.",
        "bill_payer_account_id": payer[0],
        "bill_payer_account_name": payer[1],
        "line_item_blended_cost": charge.amount,
        "line_item_currency_code": line.currency,
        "line_item_legal_entity": "Amazon Web Services, Inc.",
        "line_item_line_item_description": charge.description,
        "line_item_line_item_type": line.type,
        "line_item_product_code": line.service.code,
        "line_item_tax_type": "VAT" if charge.kind == "tax" else None,
        "line_item_unblended_cost": charge.amount,
        "line_item_usage_account_id": line.account,
        "line_item_usage_account_name": line.account_name,
        "line_item_usage_amount": charge.quantity,
        "line_item_usage_start_date": _day_start(line),
        "line_item_usage_end_date": end if resource else end - timedelta(seconds=1),
        "product": {"product_name": line.service.name},
        "product_region_code": line.region,
    }
    if resource is not None:
        row |= {
            "line_item_resource_id": resource.resource_id,
            "line_item_usage_type": resource.sku,
            "pricing_public_on_demand_cost": charge.amount,
            "pricing_public_on_demand_rate": resource.hourly_price,
            "pricing_term": "OnDemand",
            "pricing_unit": line.service.unit,
            "resource_tags": {f"user_{key}": value for key, value in resource.tags},
        }
    return row


TABLES: Final[Mapping[str, ExportTable]] = {
    "focus": ExportTable(_FOCUS, "BilledCost", _focus_row),
    "report": ExportTable(_REPORT, "line_item_unblended_cost", _report_row),
}


def _midnight(line: BillLineItem) -> datetime:
    return datetime(line.day.year, line.day.month, line.day.day, tzinfo=UTC)


def _day_start(line: BillLineItem) -> datetime:
    """Start of the line's day; for a credit of an earlier month the report has the day that the credit is for."""
    day = line.charge.day if line.charge.is_correction else line.day
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.000Z}"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def to_csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Return CSV text with a header."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row.get(name)) for name in columns] for row in rows)
    return file.getvalue()


def compressed(text: str) -> bytes:
    """Return the bytes of a ``.csv.gz`` without gzip's time of writing."""
    return gzip.compress(text.encode(), 1, mtime=0)


def to_parquet(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Return a Parquet file with doubles, timestamps of milliseconds and maps of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name in columns:
        values = [row.get(name) for row in rows]
        if name.endswith(_MAPS):
            pairs = [None if value is None else list(value.items()) for value in values]
            arrays[name] = pa.array(pairs, pa.map_(pa.string(), pa.string()))
        elif name.endswith(_TIMES):
            arrays[name] = pa.array(values, pa.timestamp("ms", "UTC"))
        elif name.endswith(_NUMBERS):
            numbers = [None if value is None else float(value) for value in values]
            arrays[name] = pa.array(numbers, pa.float64())
        else:
            arrays[name] = pa.array(values, pa.string())
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression="snappy")
    return file.getvalue()
