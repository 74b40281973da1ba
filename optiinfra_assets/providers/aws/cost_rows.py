"""Maps costs of Cost Explorer to FOCUS rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.line_items import MANDATORY
from optiinfra_assets.line_items.row_batches import LineItemRow, Value
from optiinfra_assets.providers.aws.cost_explorer import DailyCost
from optiinfra_assets.providers.aws.record_types import (
    charge_category,
    charge_frequency,
    is_plan,
    is_refund,
    service_category,
)

COLUMNS: Final = (
    *MANDATORY, "ChargeFrequency", "RegionId", "SubAccountId", "SubAccountName", "x_CostBasis", "x_RecordType",
)  # fmt: skip


def row(figure: DailyCost, period: BillingPeriod, payer: str, names: Mapping[str, str], basis: str) -> LineItemRow:
    """Returns one line item as a row of `COLUMNS`.

    Args:
        figure: the line item.
        period: billing period that bills it.
        payer: id of the payer account.
        names: known account names by account id.
        basis: which costs these are, ``net`` or ``unblended``.
    """
    gives_back_plan = is_refund(figure.record_type) and is_plan(figure.service)
    # What is refunded of an advance payment has no effective cost, as the payment had none.
    effective = Decimal(0) if gives_back_plan else figure.effective
    of_purchase = gives_back_plan or bool(figure.billed and not figure.effective)
    category = charge_category(figure.record_type, of_purchase=of_purchase)
    has_no_price = category in ("Credit", "Tax")
    start = datetime(figure.day.year, figure.day.month, figure.day.day, tzinfo=UTC)
    values: dict[str, Value] = {
        "BilledCost": figure.billed,
        "EffectiveCost": effective,
        **dict.fromkeys(("ListCost", "ContractedCost"), figure.billed if has_no_price else None),
        "BillingAccountId": payer,
        "BillingAccountName": names.get(payer),
        "BillingCurrency": figure.currency,
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "ChargeCategory": category,
        "ChargeDescription": f"{figure.service}, {figure.record_type}",
        "ChargeFrequency": charge_frequency(figure.record_type),
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
        "HostProviderName": "AWS",
        "InvoiceIssuerName": "AWS",
        "ServiceProviderName": "AWS",
        "RegionId": figure.region,
        "ServiceCategory": service_category(figure.service),
        "ServiceName": figure.service,
        "SubAccountId": figure.account,
        "SubAccountName": names.get(figure.account),
        "x_CostBasis": basis,
        "x_RecordType": figure.record_type,
    }
    return LineItemRow("api", figure.is_estimated, values)
