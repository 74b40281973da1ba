"""Simulates Google's billing export: charges of the world in, append-only rows of the three exports out, each with its export time.

Rows never change: the export restates a day by negative rows and new rows, and late usage is a row for an earlier day. Usage is split at
midnight in California, where Google's days and invoice months begin, so the previous month's invoice bills the first hours (UTC) of a
month. Costs are before discounts; ``credits`` contains the discounts and promotional credits. FLOAT64 has 15 to 17 digits, so several rows
make up an amount with more digits.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.scenario import Charge
from optiinfra_assets.simulators.world.spend import MILLIONTH, midnight, rounded
from optiinfra_assets.simulators.world.world import World

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
NANO: Final = Decimal("0.000000001")
"""Smallest step of NUMERIC. A world with a smaller quantum gets BIGNUMERIC, which the real FOCUS export does not have."""

Row = dict[str, Any]

_FOCUS_TEXTS: Final = (
    "AvailabilityZone", "BillingAccountId", "BillingAccountName", "BillingCurrency", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "ConsumedUnit", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "ResourceId", "ResourceName",
    "ServiceName", "SkuId", "SubAccountId", "SubAccountName", "x_CostType", "x_ServiceId",
)  # fmt: skip
_FOCUS_NUMBERS: Final = (
    "BilledCost", "ConsumedQuantity", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity",
)  # fmt: skip
_SERVICES: Final = {
    "compute": ("6F81-5844-456A", "Compute Engine"),
    "gpu": ("6F81-5844-456A", "Compute Engine"),
    "database": ("9662-B51E-5089", "Cloud SQL"),
    "storage": ("95FF-2EF5-5EA1", "Cloud Storage"),
    "network": ("E505-1604-58F8", "Networking"),
}
_DISCOUNTS: Final = {
    "compute": (("SUSTAINED_USAGE_DISCOUNT", Decimal("0.10")), ("COMMITTED_USAGE_DISCOUNT", Decimal("0.25"))),
    "database": (("COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE", Decimal("0.15")),),
}
_OTHERS: Final = {
    "tax": ("Invoice", "Tax", "tax"),
    "refund": ("Compute Engine", "Refund", "adjustment"),
    "purchase": ("Compute Engine", "Commitment v1: Cpu in Americas for 1 Year", "regular"),
    "credit": ("Compute Engine", "Promotion", "regular"),
}


def focus_schema(quantum: Decimal) -> dict[str, Any]:
    """Return the columns of the FOCUS export that this simulator fills, with their types."""
    number = "NUMERIC" if quantum >= NANO else "BIGNUMERIC"
    times = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart", "x_ExportTime")
    return {
        **dict.fromkeys(_FOCUS_TEXTS, "STRING"),
        **dict.fromkeys(_FOCUS_NUMBERS, number),
        **dict.fromkeys(times, "TIMESTAMP"),
        "x_Credits": [{"Name": "STRING", "Amount": number, "FullName": "STRING", "Id": "STRING", "Type": "STRING"}],
        "x_Labels": [{"Key": "STRING", "Value": "STRING"}],
        "x_Tags": [{"Key": "STRING", "Value": "STRING", "Inherited": "BOOLEAN", "Namespace": "STRING"}],
    }


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """The part of a charge that one row exports.

    Attributes:
        month: month whose invoice bills it.
        start: inclusive UTC instant.
        end: exclusive UTC instant.
        share: share of the charge's quantity, negative if the row withdraws something.
        exported: UTC instant from which the export contains it.
    """

    charge: Charge
    month: BillingPeriod
    start: datetime
    end: datetime
    share: Decimal
    amount: Decimal
    exported: datetime


@dataclass(slots=True)
class BillingExport:
    """All rows of one account's export, made month by month as the clock advances.

    Attributes:
        is_focus: the rows have the columns of FOCUS; if False, those of the detailed export.
        halves: the export splits each usage row into two.
        expiration: age at which the table drops loading days; None: it keeps all.
        first_month: first month in a table that was created again; None: the table has all months.
    """

    world: World
    payer: str
    is_focus: bool
    halves: bool = False
    expiration: timedelta | None = None
    first_month: BillingPeriod | None = None
    _pieces: list[ExportedRow] = field(default_factory=list, init=False, repr=False)
    _rows: dict[tuple[int, bool], list[Row]] = field(default_factory=dict, init=False, repr=False)
    _built: int = field(default=0, init=False, repr=False)

    def pieces(self, now: datetime) -> list[ExportedRow]:
        """Return what the export contains at a UTC instant, oldest first."""
        periods = self.world.periods(now)
        if len(periods) > self._built:
            fresh = [
                piece
                for period in periods[self._built :]
                for charge in self.world.ledger(period)
                for piece in self._cut(charge)
            ]
            self._pieces = sorted([*self._pieces, *fresh], key=lambda piece: piece.exported)
            self._built = len(periods)
        return self._pieces[: bisect_right(self._pieces, now, key=lambda piece: piece.exported)]

    def rows(self, now: datetime) -> Iterator[Row]:
        """Yield the rows of all pieces that the table still has, oldest first."""
        for piece in self._kept(now):
            key = (id(piece), self.halves)
            if key not in self._rows:
                self._rows[key] = list(self._told(piece))
            yield from self._rows[key]

    def count(self, now: datetime) -> int:
        """Return the number of rows."""
        return sum(1 for _ in self.rows(now))

    def _kept(self, now: datetime) -> list[ExportedRow]:
        """Pieces that the table has not dropped."""
        pieces = self.pieces(now)
        if self.expiration is not None:
            first = _day(now - self.expiration)
            pieces = [piece for piece in pieces if piece.exported >= first]
        return [piece for piece in pieces if self.first_month is None or piece.month >= self.first_month]

    def _told(self, piece: ExportedRow) -> Iterator[Row]:
        discounts = self._discounts(piece)
        is_given = piece.charge.kind == "credit"
        gross = Decimal(0) if is_given else piece.amount - sum(amount for _, amount in discounts)
        credits_ = [("PROMOTION", piece.amount)] if is_given else discounts
        parts = [gross] if self.is_focus else doubles(gross)
        if self.halves and piece.charge.kind == "usage":
            half = rounded(parts[0] / 2, max(self.world.quantum, MILLIONTH))
            parts = [parts[0] - half, half, *parts[1:]]
        for number, cost in enumerate(parts):
            yield self._row(piece, cost, credits_ if number == 0 else [], is_first=number == 0)

    def smallest(self, month: BillingPeriod, sku: str) -> Row:
        """Return a row of the smallest amount in a closed month."""
        resource = self.world.scenario.resources[0]
        exported = self.world.invoiced_at(month)
        charge = Charge(
            key=sku, kind="extra", day=month.start.date(), billing_period=month, resource=replace(resource, sku=sku),
            description=sku, quantity=Decimal(1), amount=self.world.quantum, posted_at=exported,
        )  # fmt: skip
        end = month.start + timedelta(days=1)
        piece = ExportedRow(charge, month, month.start, end, Decimal(1), charge.amount, exported)
        return self._row(piece, charge.amount, [], is_first=True)

    def _cut(self, charge: Charge) -> Iterator[ExportedRow]:
        begin = midnight(charge.day)
        end = begin + timedelta(days=1)
        spans = [(begin, end, Decimal(1), charge.amount, charge.posted_at)]
        if charge.kind == "usage" and not charge.is_correction:
            edge = begin.replace(hour=_pacific_midnight(begin))
            share = Decimal(edge.hour) / 24
            first = rounded(charge.amount * share, self.world.quantum)
            delay = self.world.scenario.posting_delay
            is_late = charge.posted_at > end + delay
            shown = charge.posted_at if is_late else edge + delay
            spans = [
                (begin, edge, share, first, shown),
                (edge, end, 1 - share, charge.amount - first, charge.posted_at),
            ]
        for start, stop, share, amount, exported in spans:
            yield ExportedRow(charge, self._month(charge, start, exported), start, stop, share, amount, exported)
            if charge.withdrawn_at is not None:
                month = self._month(charge, start, charge.withdrawn_at)
                yield ExportedRow(charge, month, start, stop, -share, -amount, charge.withdrawn_at)

    def _month(self, charge: Charge, start: datetime, exported: datetime) -> BillingPeriod:
        """Month in California if its invoice can still bill the piece and the account existed; else the charge's own."""
        period = charge.billing_period
        local = start.astimezone(PACIFIC)
        before = BillingPeriod(local.year, local.month)
        is_usage = charge.kind == "usage" and not charge.is_correction
        is_open = exported <= self.world.invoiced_at(before) and before >= BillingPeriod.of(self.world.scenario.start)
        return before if is_usage and before < period and is_open else period

    def _discounts(self, piece: ExportedRow) -> list[tuple[str, Decimal]]:
        resource = piece.charge.resource
        if resource is None or piece.charge.kind != "usage":
            return []
        found = _DISCOUNTS.get(resource.service, ())
        step = max(self.world.quantum, MILLIONTH)
        return [(kind, -rounded(piece.amount * share, step)) for kind, share in found]

    def _row(self, piece: ExportedRow, cost: Decimal, credits_: list[tuple[str, Decimal]], *, is_first: bool) -> Row:
        charge, resource = piece.charge, piece.charge.resource
        quantity = (charge.quantity * piece.share).quantize(MILLIONTH) if is_first else Decimal(0)
        if resource is None:
            service, sku, cost_type = _OTHERS[charge.kind]
            ids = ("0000-0000-0000", service)
        else:
            ids, sku, cost_type = (
                _SERVICES[resource.service],
                f"{resource.sku} in {resource.region}",
                "regular",
            )
        project = None if resource is None else resource.sub_account
        facts: Row = {
            "service": ids, "sku": (_sku_id(sku), sku), "cost_type": cost_type, "cost": cost, "credits": credits_,
            "quantity": quantity, "unit": "hour" if resource else None, "project": project,
            "tags": resource.tags if resource else (), "region": resource.region if resource else None,
            "resource": (resource.resource_id, resource.name) if resource else (None, None),
        }  # fmt: skip
        return self._focus_row(piece, facts) if self.is_focus else self._usage_row(piece, facts)

    def _usage_row(self, piece: ExportedRow, facts: Row) -> Row:
        (service_id, service), (sku_id, sku), project = facts["service"], facts["sku"], facts["project"]
        adjusted = facts["cost_type"] == "adjustment"
        region = facts["region"]
        return {
            "_PARTITIONTIME": _day(piece.exported),
            "billing_account_id": self.payer,
            "service": {"id": service_id, "description": service},
            "sku": {"id": sku_id, "description": sku},
            "usage_start_time": piece.start,
            "usage_end_time": piece.end,
            "project": {
                "id": project,
                "number": None,
                "name": project and f"{project} (simulated)",
                "labels": [],
            },
            "labels": [{"key": key, "value": value} for key, value in facts["tags"]],
            "system_labels": [{"key": "compute.googleapis.com/cores", "value": "2"}],
            "location": {
                "location": region,
                "country": None,
                "region": region,
                "zone": region and f"{region}-a",
            },
            "resource": {"name": facts["resource"][1], "global_name": facts["resource"][0]},
            "tags": [
                {"key": key, "value": f"{value}-tag", "inherited": False, "namespace": "1"}
                for key, value in facts["tags"]
            ],
            "price": {"effective_price": None, "unit": None},
            "transaction_type": None,
            "seller_name": None,
            "export_time": piece.exported,
            "cost": facts["cost"],
            "currency": self.world.scenario.currency,
            "currency_conversion_rate": Decimal(1),
            "usage": {
                "amount": facts["quantity"] * 3600,
                "unit": facts["unit"] and "seconds",
                "amount_in_pricing_units": facts["quantity"],
                "pricing_unit": facts["unit"],
            },
            "credits": [
                {
                    "name": kind.capitalize(),
                    "amount": amount,
                    "full_name": kind.capitalize(),
                    "id": kind,
                    "type": kind,
                }
                for kind, amount in facts["credits"]
            ],
            "invoice": {"month": f"{piece.month.year}{piece.month.month:02d}", "publisher_type": "GOOGLE"},
            "cost_type": facts["cost_type"],
            "adjustment_info": {
                "id": "adj-1" if adjusted else None,
                "description": piece.charge.description if adjusted else None,
                "mode": "MANUAL_ADJUSTMENT" if adjusted else None,
                "type": "GENERAL_ADJUSTMENT" if adjusted else None,
            },
            "cost_at_list": facts["cost"],
        }

    def _focus_row(self, piece: ExportedRow, facts: Row) -> Row:
        charge, project = piece.charge, facts["project"]
        category = {"regular": "Usage", "tax": "Tax"}.get(facts["cost_type"], "Adjustment")
        category = {"credit": "Credit", "purchase": "Purchase"}.get(charge.kind, category)
        billed = facts["cost"] + sum(amount for _, amount in facts["credits"])
        return {
            "_PARTITIONTIME": _day(piece.exported),
            **dict.fromkeys(_FOCUS_TEXTS),
            "BilledCost": billed,
            "EffectiveCost": billed,
            "ContractedCost": facts["cost"],
            "ListCost": facts["cost"],
            "ConsumedQuantity": facts["quantity"] * 3600,
            "PricingQuantity": facts["quantity"],
            "ConsumedUnit": facts["unit"] and "seconds",
            "PricingUnit": facts["unit"],
            "BillingAccountId": self.payer,
            "BillingAccountName": f"{self.world.scenario.name} (simulated)",
            "BillingCurrency": self.world.scenario.currency,
            "BillingPeriodStart": _pacific_start(piece.month),
            "BillingPeriodEnd": _pacific_start(piece.month.shift(1)),
            "ChargePeriodStart": piece.start,
            "ChargePeriodEnd": piece.end,
            "ChargeCategory": category,
            "ChargeClass": "Correction" if charge.is_correction else None,
            "ChargeDescription": facts["sku"][1],
            "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
            "ProviderName": "Google Cloud",
            "PublisherName": "Google Cloud",
            "RegionId": facts["region"],
            "ResourceId": facts["resource"][0],
            "ResourceName": facts["resource"][1],
            "ServiceName": facts["service"][1],
            "SkuId": facts["sku"][0],
            "SubAccountId": project,
            "SubAccountName": project and f"{project} (simulated)",
            "x_CostType": facts["cost_type"],
            "x_ServiceId": facts["service"][0],
            "x_ExportTime": piece.exported,
            "x_Credits": [
                {"Name": kind, "Amount": amount, "FullName": kind, "Id": kind, "Type": kind}
                for kind, amount in facts["credits"]
            ],
            "x_Labels": [{"Key": key, "Value": value} for key, value in facts["tags"]],
            "x_Tags": [],
        }


def doubles(amount: Decimal) -> list[Decimal]:
    """Return numbers that FLOAT64 stores to the last digit of their text, and whose sum is `amount`."""
    parts = [Decimal(repr(float(amount)))]
    while rest := amount - sum(parts):
        parts.append(Decimal(repr(float(rest))))
    return parts


def _pacific_midnight(begin: datetime) -> int:
    """Hour (UTC) of a day at which it is midnight in California: 7 or 8."""
    local = datetime(begin.year, begin.month, begin.day, tzinfo=PACIFIC)
    return local.astimezone(UTC).hour


def _pacific_start(period: BillingPeriod) -> datetime:
    return datetime(period.year, period.month, 1, tzinfo=PACIFIC).astimezone(UTC)


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _sku_id(sku: str) -> str:
    if sku.startswith("extra-"):
        return sku.split(" ")[0]
    digest = hashlib.sha256(sku.encode()).hexdigest().upper()
    return f"{digest[:4]}-{digest[4:8]}-{digest[8:12]}"
