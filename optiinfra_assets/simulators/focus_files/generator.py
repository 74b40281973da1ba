"""Writes thirteen months of FOCUS files for a sample customer; the same seed and day give the same bytes.

Flow in: the catalogue, a seed, today. Flow out: one file a month; versions 1.0, 1.2, 1.4 and CSV, CSV.gz, Parquet alternate, as in a folder
that grew over years. Every amount is an exact Decimal. Names of files and billing accounts say "simulated".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.focus_files.catalog import Bill, SampleCustomer, Usage
from optiinfra_assets.simulators.focus_files.writers import WRITERS, Row

MONTHS: Final = 13
SEED: Final = "optiinfra"
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """Version and file type of one month's file."""

    version: focus.Version
    suffix: str


FORMS: Final = (
    FileFormat(focus.V1_0, "csv"),
    FileFormat(focus.V1_2, "csv.gz"),
    FileFormat(focus.V1_4, "parquet"),
)


def write(customer: SampleCustomer, folder: Path, today: date, seed: str = SEED) -> list[Path]:
    """Write the files of `customer` into `folder`, through `today` inclusive; files with the same content stay untouched.

    Returns:
        Paths of the files, oldest month first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest = BillingPeriod.of(today)
    paths = []
    for index in range(MONTHS):
        period, form = newest.shift(index - MONTHS + 1), FORMS[index % len(FORMS)]
        version = ".".join(map(str, form.version))
        path = folder / f"{customer.customer_id}-simulated-{period}-focus-{version}.{form.suffix}"
        rows = [row for bill in customer.bills for row in _month(bill, period, index, today, seed)]
        _write_if_changed(path, WRITERS[form.suffix](rows, form.version))
        paths.append(path)
    for stale in set(folder.iterdir()) - set(paths):
        stale.unlink()
    return paths


def _write_if_changed(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        fresh = path.with_name(f".{path.name}")
        fresh.write_bytes(content)
        fresh.replace(path)


def _noise(*parts: object) -> int:
    """Per cent around 100, from 92 to 108, computed from `parts` alone."""
    return 92 + hashlib.sha256("/".join(map(str, parts)).encode()).digest()[0] % 17


def _month(bill: Bill, period: BillingPeriod, index: int, today: date, seed: str) -> Iterator[Row]:
    """Yield all charges of one bill and billing period; `index` counts months from the oldest."""
    days = [day for day in _days(period) if day <= today]
    charges = [row for usage in bill.usage for day in days for row in _usage(bill, usage, period, day, index, seed)]
    charges += _committed(bill, period, days)
    if bill.credit is not None:
        charges.append(_monthly(bill, period, "Credit", "Promotional credit (simulated)", bill.credit))
    if index == MONTHS - 2:
        charges.append(_correction(bill, period, charges[0]))
    yield from charges
    if bill.tax:
        total = sum((row["BilledCost"] for row in charges), Decimal(0))
        tax = (total * bill.tax / 100).quantize(_CENT, ROUND_HALF_EVEN)
        yield _monthly(bill, period, "Tax", f"Tax {bill.tax} % (simulated)", tax)


def _days(period: BillingPeriod) -> Iterator[date]:
    day = period.start.date()
    while day < period.end.date():
        yield day
        day += timedelta(days=1)


def _base(bill: Bill, period: BillingPeriod) -> Row:
    return {
        "BillingAccountId": bill.account_id,
        "BillingAccountName": bill.account_name,
        "BillingAccountType": "Billing Account",
        "BillingCurrency": bill.currency,
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "HostProviderName": bill.provider,
        "InvoiceId": f"SIMULATED-{bill.currency}-{period}",
        "InvoiceIssuerName": bill.provider,
        "ProviderName": bill.provider,
        "PublisherName": bill.provider,
        "ServiceProviderName": bill.provider,
    }


def _usage(bill: Bill, usage: Usage, period: BillingPeriod, day: date, index: int, seed: str) -> Iterator[Row]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    usage, factor = _changed(bill, usage, period.shift(MONTHS - 1 - index), day)
    price = usage.list_price * (100 - bill.discount) / 100
    for number in range(1, usage.count + 1 if factor else 1):
        name = f"{usage.sub_account}-{usage.resource}-{number:02d}"
        noise = _noise(seed, bill.account_id, name, usage.service, day)
        quantity = _quantity(bill, usage, day, index, noise) * factor
        yield {
            **_base(bill, period),
            **_what(usage, name),
            "ChargeCategory": "Usage",
            "ChargeDescription": f"{usage.service}, {usage.resource}, per {usage.unit}",
            "ChargeFrequency": "Usage-Based",
            "ChargePeriodStart": start,
            "ChargePeriodEnd": start + timedelta(days=1),
            **_costs(quantity * price, quantity * price, quantity * usage.list_price, quantity * price),
            "ConsumedQuantity": quantity,
            "ConsumedUnit": usage.unit,
            "ContractedUnitPrice": price,
            "ListUnitPrice": usage.list_price,
            "PricingCategory": "Standard",
            "PricingQuantity": quantity,
            "PricingUnit": usage.unit,
        }


def _changed(bill: Bill, usage: Usage, newest: BillingPeriod, day: date) -> tuple[Usage, Decimal]:
    """Return a group with the prices and tags of a day, and how many times the units it uses."""
    factor = Decimal(1)
    for change in bill.changes:
        past = (day - change.first_day(newest)).days
        if change.concerns(usage) and past < 0 and change.is_start:
            factor = Decimal(0)
        if change.concerns(usage) and past >= 0:
            factor *= Decimal(change.units * 10 + change.leak * past) / 1000
            kept = {name: value for name, value in usage.tags.items() if name != change.lost_tag}
            usage = replace(usage, list_price=usage.list_price * change.price / 100, tags=kept)
    return usage, factor


def _quantity(bill: Bill, usage: Usage, day: date, index: int, noise: int) -> Decimal:
    """Units of one day: grown by month, scaled at weekends, with some noise, and many times more in a spike."""
    grown = usage.daily * (100 + usage.growth * index) * (usage.weekend if day.weekday() >= 5 else 100) * noise
    spike = bill.spike
    is_spike = (
        spike is not None
        and spike.service == usage.service
        and index == MONTHS - 1 - spike.months_ago
        and spike.first_day <= day.day <= spike.last_day
    )
    return Decimal(grown * (spike.times if spike and is_spike else 1)) / 1_000_000


def _what(usage: Usage, name: str) -> Row:
    return {
        "RegionId": usage.region,
        "RegionName": usage.region,
        "ResourceId": f"simulated/{name}",
        "ResourceName": name,
        "ResourceType": usage.resource,
        "ServiceCategory": usage.category,
        "ServiceName": usage.service,
        "ServiceSubcategory": usage.subcategory,
        "SkuId": f"SIM-{usage.service.replace(' ', '')}-{usage.resource}",
        "SkuPriceId": f"SIM-{usage.service.replace(' ', '')}-{usage.resource}-{usage.unit}",
        "SubAccountId": f"simulated-{usage.sub_account}",
        "SubAccountName": usage.sub_account,
        "Tags": usage.tags,
    }


def _costs(billed: Decimal, effective: Decimal, at_list: Decimal, contracted: Decimal) -> Row:
    return {
        "BilledCost": billed,
        "EffectiveCost": effective,
        "ListCost": at_list,
        "ContractedCost": contracted,
    }


def _monthly(bill: Bill, period: BillingPeriod, category: str, description: str, amount: Decimal) -> Row:
    """A charge of the whole month: its effective cost equals the billed cost (FOCUS 1.4, Tax and Credit)."""
    return {
        **_base(bill, period),
        **_costs(amount, amount, amount, amount),
        "ChargeCategory": category,
        "ChargeDescription": description,
        "ChargeFrequency": "Recurring",
        "ChargePeriodStart": period.start,
        "ChargePeriodEnd": period.end,
        "ServiceCategory": "Other",
        "ServiceName": description.split(" ")[0],
        "ServiceSubcategory": "Other (Other)",
    }


def _committed(bill: Bill, period: BillingPeriod, days: list[date]) -> Iterator[Row]:
    """A commitment: bought at the start of the month, used or unused in every hour; the effective costs add up to the purchase."""
    if not bill.commitment:
        return
    usage = bill.usage[0]
    hourly = usage.list_price * (100 - 2 * bill.discount) / 100 * bill.commitment
    fixed: Row = {
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountId": f"simulated/{bill.currency}/{period}",
        "CommitmentDiscountName": "One month, simulated",
        "CommitmentDiscountType": "Reserved",
        "PricingCategory": "Committed",
    }
    total = hourly * 24 * len(list(_days(period)))
    bought = _monthly(bill, period, "Purchase", "Commitment for one month (simulated)", total)
    yield {
        **bought,
        **fixed,
        "EffectiveCost": Decimal(0),
        "ServiceName": usage.service,
        "ServiceCategory": usage.category,
    }
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for status, hours in (
            ("Used", 22 if day.weekday() < 5 else 18),
            ("Unused", 2 if day.weekday() < 5 else 6),
        ):
            yield {
                **_base(bill, period),
                **(_what(usage, f"{usage.sub_account}-{usage.resource}-committed") if status == "Used" else {}),
                **fixed,
                **_costs(Decimal(0), hourly * hours, usage.list_price * bill.commitment * hours, hourly * hours),
                "ChargeCategory": "Usage",
                "ChargeDescription": f"Commitment, {status.lower()} hours (simulated)",
                "ChargeFrequency": "Usage-Based",
                "ChargePeriodStart": start,
                "ChargePeriodEnd": start + timedelta(days=1),
                "CommitmentDiscountStatus": status,
                "ServiceCategory": usage.category,
                "ServiceName": usage.service,
                "ServiceSubcategory": usage.subcategory,
            }


def _correction(bill: Bill, period: BillingPeriod, like: Row) -> Row:
    """A late refund: billed now for a day of the month before; without quantities, because it corrects cost alone."""
    start = period.shift(-1).start
    amount = Decimal("-12.3456789")
    kept = {name: value for name, value in like.items() if "Quantity" not in name and "Unit" not in name}
    return {
        **kept,
        **_costs(amount, amount, amount, amount),
        "ChargeClass": "Correction",
        "ChargeDescription": "Correction of the month before (simulated)",
        "ChargeFrequency": "One-Time",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
    }
