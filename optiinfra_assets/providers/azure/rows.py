"""Maps lines of Cost Management to FOCUS rows. What its queries do not give stays null: quantities, list and contracted cost, tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.line_items import MANDATORY
from optiinfra_assets.line_items.row_batches import Value
from optiinfra_assets.providers.azure.amortized_join import CostLine

COLUMNS: Final = (
    *MANDATORY, "ChargeFrequency", "RegionId", "ResourceId", "ResourceName", "ResourceType", "SubAccountId", "SubAccountName",
    "x_ChargeType", "x_ResourceGroupName",
)  # fmt: skip

_CHARGES: Final[dict[str, tuple[str, str | None]]] = {
    "Usage": ("Usage", None),
    "UnusedReservation": ("Usage", None),
    "UnusedSavingsPlan": ("Usage", None),
    "Purchase": ("Purchase", None),
    "Refund": ("Purchase", "Correction"),
    "Tax": ("Tax", None),
    "Credit": ("Credit", None),
}
"""ChargeCategory and ChargeClass, as in Microsoft's own conversion to FOCUS. RoundingAdjustment and unknown types become Adjustment."""

_SERVICE_CATEGORIES: Final = (
    ("AI and Machine Learning", re.compile(r"openai|cognitive|machine learning|foundry|\bai\b|bot service", re.I)),
    ("Databases", re.compile(r"sql|cosmos|database|redis|cache", re.I)),
    ("Analytics", re.compile(r"data factory|databricks|synapse|stream analytics|hdinsight|fabric|data explorer|purview", re.I)),
    ("Storage", re.compile(r"storage|backup|netapp|\bdisk", re.I)),
    ("Networking", re.compile(r"network|bandwidth|load balancer|vpn|gateway|expressroute|\bdns|front door|cdn|firewall|traffic", re.I)),
    ("Security", re.compile(r"defender|key vault|sentinel|security|ddos", re.I)),
    ("Management and Governance", re.compile(r"monitor|log analytics|automation|insights|advisor|policy", re.I)),
    ("Integration", re.compile(r"service bus|event grid|event hubs|logic apps|api management|notification", re.I)),
    ("Identity", re.compile(r"active directory|entra", re.I)),
    ("Internet of Things", re.compile(r"\biot\b|digital twins", re.I)),
    ("Developer Tools", re.compile(r"devops|dev box|app configuration|load testing", re.I)),
    ("Compute", re.compile(r"virtual machines|compute|container|kubernetes|functions|app service|batch|vmware", re.I)),
)  # fmt: skip

_RESOURCE: Final = re.compile(
    r"(?P<subscription>/subscriptions/[^/]+)(/resourcegroups/(?P<group>[^/]+))?(/providers/(?P<type>[^/]+/[^/]+).*/(?P<name>[^/]+))?"
)


@dataclass(frozen=True, slots=True)
class MonthColumns:
    """The values that all lines of a month share.

    Attributes:
        account_id: id of the scope.
        name: display name of the scope, or of its subscription.
        subscription: id of the one subscription; None if each line names its own.
    """

    period: BillingPeriod
    account_id: str
    name: str | None
    subscription: str | None


def values_of(line: CostLine, billed: MonthColumns) -> Mapping[str, Value]:
    """Returns the values of one row, by FOCUS or ``x_`` name."""
    start = datetime.fromisoformat(line.day).replace(tzinfo=UTC)
    category, charge_class = _CHARGES.get(line.charge_type, ("Adjustment", None))
    return {
        "BilledCost": line.billed,
        "EffectiveCost": line.effective,
        "BillingAccountId": billed.account_id,
        "BillingAccountName": billed.name,
        "BillingCurrency": line.currency,
        "BillingPeriodStart": billed.period.start,
        "BillingPeriodEnd": billed.period.end,
        "ChargeCategory": category,
        "ChargeClass": charge_class,
        "ChargeFrequency": "Usage-Based" if line.charge_type == "Usage" else None,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
        "HostProviderName": "Microsoft",
        "InvoiceIssuerName": "Microsoft",
        "ServiceProviderName": "Microsoft",
        "ServiceName": line.service,
        "ServiceCategory": _service_category(line.service),
        "x_ChargeType": line.charge_type,
        **(_of_resource(line, billed) if billed.subscription else _of_subscription(line)),
    }


def _of_resource(line: CostLine, billed: MonthColumns) -> dict[str, Value]:
    parts = _RESOURCE.fullmatch(line.owner)
    return {
        "SubAccountId": billed.subscription,
        "SubAccountName": billed.name,
        "RegionId": line.attribute or None,
        "ResourceId": line.owner or None,
        "ResourceName": parts["name"] if parts else None,
        "ResourceType": parts["type"] if parts else None,
        "x_ResourceGroupName": parts["group"] if parts else None,
    }


def _of_subscription(line: CostLine) -> dict[str, Value]:
    id_ = line.owner.removeprefix("/subscriptions/")
    return {
        "SubAccountId": f"/subscriptions/{id_}" if id_ else None,
        "SubAccountName": line.attribute or None,
    }


def _service_category(service: str) -> str:
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(service)), "Other")
