"""Turns charges of the world into lines of AWS's bill: service, region, account and type, named as exports and Cost Explorer name them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.scenario import Charge
from optiinfra_assets.simulators.world.world import World


@dataclass(frozen=True, slots=True)
class BilledService:
    """One service of AWS.

    Attributes:
        name: its name in exports.
        explored: its name in Cost Explorer, which differs for some services.
        code: product code.
    """

    name: str
    explored: str
    code: str
    category: str
    unit: str


_SERVICES: Final = {
    "compute": BilledService(
        "Amazon Elastic Compute Cloud",
        "Amazon Elastic Compute Cloud - Compute",
        "AmazonEC2",
        "Compute",
        "Hrs",
    ),
    "gpu": BilledService("Amazon SageMaker", "Amazon SageMaker", "AmazonSageMaker", "AI and Machine Learning", "Hrs"),
    "database": BilledService(
        "Amazon Relational Database Service",
        "Amazon Relational Database Service",
        "AmazonRDS",
        "Databases",
        "Hrs",
    ),
    "storage": BilledService(
        "Amazon Simple Storage Service", "Amazon Simple Storage Service", "AmazonS3", "Storage", "GB-Hrs"
    ),
    "network": BilledService("Elastic Load Balancing", "Amazon Elastic Load Balancing", "AWSELB", "Networking", "Hrs"),
}
_TAX: Final = BilledService("Tax", "Tax", "AmazonEC2", "Other", "")
_PLANS: Final = BilledService(
    "Savings Plans for AWS Compute usage",
    "Savings Plans for AWS Compute usage",
    "ComputeSavingsPlans",
    "Compute",
    "",
)
_TYPES: Final = {
    "usage": "Usage", "purchase": "Fee", "tax": "Tax", "credit": "Credit", "refund": "Refund",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BillLineItem:
    """One line of a bill.

    Attributes:
        day: day of the line: the charge's own day, or the day on which it was posted if its own is before the bill's month.
        type: line item type, which Cost Explorer calls record type.
        account: id of the linked account.
        region: None if the charge has no region.
        currency: of its amounts.
    """

    charge: Charge
    day: date
    type: str
    service: BilledService
    account: str
    account_name: str
    region: str | None
    currency: str


def payer_of(world: World) -> tuple[str, str]:
    """Id and name of the payer account."""
    return _number(world.scenario.name), f"{world.scenario.name} (simulated)"


def member_of(world: World, sub_account: str) -> tuple[str, str]:
    """Id and name of a member account of the organization."""
    return _number(f"{world.scenario.name}/{sub_account}"), f"{sub_account} (simulated)"


def lines_of(world: World, charges: list[Charge], *, twice: bool = False) -> list[BillLineItem]:
    """Return the lines of a bill; with `twice` each usage charge gives two lines that differ only in their numbers."""
    parts = [part for charge in charges for part in (_halves(charge, world.quantum) if twice else [charge])]
    return [_line(world, charge) for charge in parts]


def region_of(region: str) -> str:
    """Map a region of the scenario to a region of AWS."""
    return region if region[-1:].isdigit() else f"{region}-1"


def _line(world: World, charge: Charge) -> BillLineItem:
    resource = charge.resource
    account, name = member_of(world, resource.sub_account) if resource else payer_of(world)
    service = _SERVICES[resource.service] if resource else _besides(charge)
    first = charge.billing_period.start.date()
    day = charge.day if charge.day >= first else max(first, charge.posted_at.date())
    region = region_of(resource.region) if resource else None
    currency = world.scenario.currency
    return BillLineItem(charge, day, _TYPES[charge.kind], service, account, name, region, currency)


def _besides(charge: Charge) -> BilledService:
    if charge.kind == "tax":
        return _TAX
    return _PLANS if charge.kind == "purchase" else _SERVICES["compute"]


def _halves(charge: Charge, quantum: Decimal) -> list[Charge]:
    if charge.kind != "usage":
        return [charge]
    half = (charge.amount / 2 / quantum).to_integral_value() * quantum
    return [
        replace(charge, amount=half, quantity=charge.quantity - 1),
        replace(charge, amount=charge.amount - half, quantity=Decimal(1)),
    ]


def is_invoiced(world: World, period: BillingPeriod) -> bool:
    """Whether the invoice of a period was issued before the cloud last refreshed its data."""
    return world.invoice(period, refreshed_at(world)) is not None


def refreshed_at(world: World) -> datetime:
    """When the cloud last refreshed its data: here at midnight (UTC); AWS refreshes up to three times a day."""
    return world.clock().replace(hour=0, minute=0, second=0, microsecond=0)


def _number(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{int(digest[:12], 16) % 10**12:012d}"
