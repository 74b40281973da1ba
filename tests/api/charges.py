"""Line items of the API's tests, and what the API must say about them, computed here in Python decimals from the same objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.publications import MEASURES, Totals

BASES = {"BILLED": "billed", "EFFECTIVE": "effective", "LIST": "list_", "CONTRACTED": "contracted"}


@dataclass(frozen=True, slots=True)
class Charge:
    """One line item, in the columns that the tests vary. A null price is absent, not zero."""

    day: date
    billed: Decimal
    effective: Decimal = Decimal(0)
    list_: Decimal | None = None
    contracted: Decimal | None = None
    currency: str = "USD"
    service: str = "Compute"
    region: str | None = None
    sub_account: str | None = None
    category: str = "Usage"
    class_: str | None = None
    frequency: str | None = None
    pricing: str | None = None
    resource: str | None = None
    name: str | None = None
    type_: str = "Machine"
    tags: dict[str, str | None] = field(default_factory=dict)
    hour: int = 0
    service_provider: str = ""
    service_category: str = ""
    invoice: str | None = None
    sku: str | None = None
    commitment: str | None = None
    quantity: Decimal | None = None
    unit: str | None = None

    @property
    def start(self) -> datetime:
        """When the charge period begins."""
        return datetime(self.day.year, self.day.month, self.day.day, self.hour, tzinfo=UTC)

    def row(self, slice_: Slice, generation: int, line_number: int) -> dict[str, Any]:
        """As a row of ``raw_costs``."""
        return {
            "customer_id": slice_.customer_id,
            "provider": slice_.provider,
            "account_id": slice_.account_id,
            "billing_period": slice_.billing_period.start.date(),
            "generation": generation,
            "line_number": line_number,
            "billed_cost": self.billed,
            "effective_cost": self.effective,
            "list_cost": self.list_,
            "contracted_cost": self.contracted,
            "billing_currency": self.currency,
            "charge_period_start": self.start,
            "charge_period_end": self.start + timedelta(hours=1),
            "charge_category": self.category,
            "charge_class": self.class_,
            "charge_frequency": self.frequency,
            "pricing_category": self.pricing,
            "service_name": self.service,
            "region_id": self.region,
            "sub_account_id": self.sub_account,
            "resource_id": self.resource,
            "resource_name": None if self.resource is None else self.name or f"Name of {self.resource}",
            "resource_type": None if self.resource is None else self.type_,
            "tags": self.tags,
            "service_provider_name": self.service_provider,
            "service_category": self.service_category,
            "invoice_id": self.invoice,
            "sku_id": self.sku,
            "commitment_discount_id": self.commitment,
            "pricing_quantity": self.quantity,
            "pricing_unit": self.unit,
        }

    def tag(self, name: str, ignore_case: bool) -> str | None:
        """The value of a tag; of names that differ in case, of the one that is asked, then of the first, if it has a value."""
        if not ignore_case:
            return self.tags.get(name)
        same = sorted((key != name, key) for key in self.tags if key.lower() == name.lower())
        return next((value for _, key in same if (value := self.tags[key]) is not None), None)


@dataclass(frozen=True, slots=True)
class Held:
    """A charge and the slice it is published in."""

    charge: Charge
    slice: Slice


@dataclass(frozen=True, slots=True)
class Sent:
    """What a loader knows of what it sent; for `Warehouse.verify`."""

    line_items: int
    totals: dict[str, Totals]
    first_charge_date: date | None
    last_charge_date: date | None

    @classmethod
    def of(cls, charges: Iterable[Charge]) -> Sent:
        """Counted and summed here."""
        charges = list(charges)
        days = [one.day for one in charges]
        totals = {
            currency: Totals(
                **{f"{measure}": _sum(group, basis) for measure, basis in zip(MEASURES, BASES, strict=True)}
            )
            for currency, group in _grouped(charges, lambda one: one.currency).items()
        }
        return cls(len(charges), totals, min(days, default=None), max(days, default=None))


def _grouped(items: Iterable[Any], key: Callable[[Any], Hashable]) -> dict[Any, list[Any]]:
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def _sum(charges: Iterable[Charge], basis: str) -> Decimal:
    with localcontext(prec=100):
        return sum((getattr(one, BASES[basis]) or Decimal(0) for one in charges), Decimal(0))


def text(value: Decimal) -> str:
    """`value` as the API must write it: plain digits, no exponent, no trailing zeros. Written apart from the product's own."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    whole = "".join(map(str, digits)) + "0" * max(exponent, 0)
    places = max(-exponent, 0)
    whole = whole.rjust(places + 1, "0")
    integer, fraction = (whole[:-places], whole[-places:].rstrip("0")) if places else (whole, "")
    integer = integer.lstrip("0") or "0"
    plain = f"{integer}.{fraction}" if fraction else integer
    return f"-{plain}" if sign and plain != "0" else plain


def sum_fields(held: Iterable[Held], basis: str, currency: str) -> dict[str, Any]:
    """The fields of `Sum` for these charges."""
    charges = [one.charge for one in held]
    return {
        "cost": {"amount": text(_sum(charges, basis)), "currency": currency},
        "lineItems": len(charges),
        "unpricedLineItems": sum(getattr(one, BASES[basis]) is None for one in charges),
    }


def total(held: Iterable[Held], basis: str) -> list[dict[str, Any]]:
    """`totals` of totalCost."""
    groups = _grouped(held, lambda one: one.charge.currency)
    return [sum_fields(groups[currency], basis, currency) for currency in sorted(groups)]


DIMENSIONS: dict[str, tuple[str, Callable[[Held], str | None]]] = {
    "PROVIDER": ("provider", lambda one: one.slice.provider),
    "ACCOUNT": ("account", lambda one: one.slice.account_id),
    "BILLING_PERIOD": ("billingPeriod", lambda one: str(one.slice.billing_period)),
    "SUB_ACCOUNT": ("subAccount", lambda one: one.charge.sub_account),
    "SERVICE": ("service", lambda one: one.charge.service or None),
    "REGION": ("region", lambda one: one.charge.region),
    "CHARGE_CATEGORY": ("chargeCategory", lambda one: one.charge.category),
    "PRICING_CATEGORY": ("pricingCategory", lambda one: one.charge.pricing),
    "SERVICE_PROVIDER": ("serviceProvider", lambda one: one.charge.service_provider or None),
    "SERVICE_CATEGORY": ("serviceCategory", lambda one: one.charge.service_category or None),
    "INVOICE": ("invoice", lambda one: one.charge.invoice),
    "SKU": ("sku", lambda one: one.charge.sku),
    "COMMITMENT": ("commitment", lambda one: one.charge.commitment),
}
"""In the order in which groups of the same sum are answered."""
BUCKETS: dict[str, Callable[[date], date]] = {
    "DAILY": lambda day: day,
    "WEEKLY": lambda day: day - timedelta(days=day.weekday()),
    "MONTHLY": lambda day: day.replace(day=1),
}


@dataclass(frozen=True, slots=True)
class Groups:
    """What sums are told apart by, as the arguments of GraphQL say it."""

    by: list[str]
    tag: str | None = None
    tags: list[str] = field(default_factory=list)
    ignore_case: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The variables of an operation."""
        return {
            "groupBy": self.by,
            "groupByTag": self.tag,
            "groupByTags": self.tags,
            "ignoreTagCase": self.ignore_case,
        }

    def fields(self, one: Held) -> tuple[tuple[str, Any], ...]:
        """The fields of a group that say which one it is."""
        tag = None if self.tag is None else one.charge.tag(self.tag, self.ignore_case)
        tags = tuple(one.charge.tag(name, self.ignore_case) for name in self.tags) or None
        values = ((name, read(one) if key in self.by else None) for key, (name, read) in DIMENSIONS.items())
        return (*values, ("tag", tag), ("tags", tags))


def grouped(held: Iterable[Held], groups: Groups) -> dict[tuple[str, tuple[tuple[str, Any], ...]], list[Held]]:
    """Charges by currency and the fields of their group."""
    return _grouped(held, lambda one: (one.charge.currency, groups.fields(one)))


def fields_of(values: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The fields of a group as they are answered."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def trends(held: Iterable[Held], basis: str, granularity: str, groups: Groups) -> list[dict[str, Any]]:
    """`series` of costTrends, sorted by `series_key`."""
    found = []
    for (currency, values), members in grouped(held, groups).items():
        found.append({**fields_of(values), **over_time(members, basis, granularity, currency)})
    return sorted(found, key=series_key)


def over_time(held: Iterable[Held], basis: str, granularity: str, currency: str) -> dict[str, Any]:
    """The fields of `OverTime` for these charges."""
    members = list(held)
    buckets = _grouped(members, lambda one: BUCKETS[granularity](one.charge.day))
    return {
        "currency": currency,
        "dates": [str(day) for day in sorted(buckets)],
        "amounts": [text(_sum((one.charge for one in buckets[day]), basis)) for day in sorted(buckets)],
        **sum_fields(members, basis, currency),
    }


def series_key(series: dict[str, Any]) -> tuple[Any, ...]:
    """The order of costTrends: currency, then largest first, then the dimensions; a missing tag comes after every text."""
    return series["currency"], -Decimal(series["cost"]["amount"]), *names_key(series)


def names_key(series: dict[str, Any]) -> tuple[Any, ...]:
    """The order of groups of the same sum."""
    dimensions = [series[name] or "" for name, _ in DIMENSIONS.values()]
    return *dimensions, *((one is None, one or "") for one in (series["tag"], *(series["tags"] or ())))


def by_type(held: Iterable[Held], basis: str) -> list[dict[str, Any]]:
    """`types` of costsByType."""

    def group(one: Held) -> tuple[Any, ...]:
        return (
            one.charge.currency,
            one.charge.category,
            one.charge.class_,
            one.charge.frequency,
            one.charge.pricing,
        )

    names = ("chargeCategory", "chargeClass", "chargeFrequency", "pricingCategory")
    found = [
        {**dict(zip(names, values, strict=True)), **sum_fields(members, basis, currency)}
        for (currency, *values), members in _grouped(held, group).items()
    ]
    return sorted(
        found,
        key=lambda one: (
            one["cost"]["currency"],
            -Decimal(one["cost"]["amount"]),
            *(one[name] or "" for name in names),
        ),
    )


def by_resource(held: Iterable[Held], basis: str) -> list[dict[str, Any]]:
    """`nodes` of costsByResource over all pages, in the fields that need no other table."""

    def group(one: Held) -> tuple[Any, ...]:
        return one.charge.currency, one.slice.provider, one.slice.account_id, one.charge.resource

    found = [
        {
            "provider": provider,
            "account": account,
            "resourceId": resource,
            **sum_fields(members, basis, currency),
        }
        for (currency, provider, account, resource), members in _grouped(held, group).items()
    ]
    return sorted(
        found,
        key=lambda one: (
            one["cost"]["currency"],
            -Decimal(one["cost"]["amount"]),
            one["account"],
            one["resourceId"] or "",
        ),
    )


def slice_of(customer: str, account: str, period: BillingPeriod, provider: str = "focus") -> Slice:
    """The slice of ``<customer>.<account>``."""
    return Slice(customer, provider, f"{customer}.{account}", period)


__all__ = [
    "BASES",
    "BUCKETS",
    "DIMENSIONS",
    "Charge",
    "Groups",
    "Held",
    "Sent",
    "by_resource",
    "by_type",
    "fields_of",
    "grouped",
    "names_key",
    "over_time",
    "replace",
    "series_key",
    "slice_of",
    "sum_fields",
    "text",
    "total",
    "trends",
]
