"""Which charges are meant: the one filter that cost queries, budgets and forecasts have, with its form in statements and its stored form.

A further dimension is a line in `FILTERS` and in `LINE_ITEMS`, an attribute of `ChargeFilter`, a condition in
``fragments/line_item_filters.sql``, and a field of `SeriesKey`; all three have it then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.focus import CHARGE_CATEGORIES

FILTERS: Final = {
    "provider": "providers",
    "account": "accounts",
    "sub_account": "sub_accounts",
    "service": "services",
    "region": "regions",
    "charge_category": "charge_categories",
    "currency": "currencies",
    "service_provider": "service_providers",
    "service_category": "service_categories",
    "invoice": "invoices",
    "billing_period": "billing_periods",
    "sku": "skus",
    "pricing_category": "pricing_categories",
    "commitment": "commitments",
}
"""Name of a filter -> the attribute of `ChargeFilter` that holds its accepted values."""

LINE_ITEMS: Final = {
    "provider": "provider",
    "account": "account_id",
    "period": "period_key",
    "service": "service_name",
    "charge_category": "charge_category",
    "sub_account": "sub_account_key",
    "region": "region_key",
    "charge_class": "class_key",
    "charge_frequency": "frequency_key",
    "pricing_category": "pricing_key",
    "service_provider": "service_provider_name",
    "service_category": "service_category",
    "invoice": "invoice_key",
    "sku": "sku_key",
    "commitment": "commitment_key",
    "tag": "tag_key",
    "tags": "tags_key",
    "resource": "nothing",
}
"""All dimensions, with their columns or aliases in statements over line items (``fragments/line_item_names.sql``)."""

_DERIVED: Final = frozenset({"sub_account", "service", "region", "charge_category"})
"""Filtered dimensions of `ChargeFilter.filtered` that derived tables of resources and attributes have, too."""

_CHOOSING: Final = ("providers", "accounts", "billing_periods")
"""These choose generations; statements bind the others."""


@dataclass(frozen=True, slots=True)
class TagCondition:
    """Accepts line items by one tag. `values`: null first, for line items without a value of it. `in_any_case`: tags of that name in any
    case are one tag."""

    name: str
    values: tuple[str | None, ...]
    in_any_case: bool = False

    def marked(self) -> list[str]:
        """The values as ``fragments/tag_filter.sql`` compares them."""
        return ["" if value is None else f"={value}" for value in self.values]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFilter:
    """Accepts charges by their dimensions and tags.

    An empty tuple filters nothing. `billing_periods` are months as ``YYYY-MM``. The first tag in its case is `tag_filter`, others are in
    `more_tags`. A null value in a filter is '', as the tables store it; but of a tag, null and '' are two values.
    """

    providers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    sub_accounts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    charge_categories: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    tag_filter: str = ""
    tag_values: tuple[str | None, ...] = ()
    resources: tuple[str, ...] = ()
    service_providers: tuple[str, ...] = ()
    service_categories: tuple[str, ...] = ()
    invoices: tuple[str, ...] = ()
    billing_periods: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    pricing_categories: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()
    more_tags: tuple[TagCondition, ...] = ()

    @property
    def tags(self) -> tuple[TagCondition, ...]:
        """The conditions on tags, all of which have to be met."""
        own = (TagCondition(self.tag_filter, self.tag_values),) if self.tag_values else ()
        return (*own, *self.more_tags)

    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The accepted values of each filter of `FILTERS` that there are any of."""
        return {name: values for name, of in FILTERS.items() if (values := getattr(self, of))}

    def bound(self) -> dict[str, Any]:
        """The parameters of statements, without those of the filters that choose generations."""
        values: dict[str, Any] = {name: list(getattr(self, name)) for name in _LISTS}
        values["tag_filter"] = self.tag_filter
        for prefix, in_any_case in (("more", False), ("any_case", True)):
            chosen = [one for one in self.more_tags if one.in_any_case == in_any_case]
            values |= {f"{prefix}_tags": [one.name for one in chosen]}
            values |= {f"{prefix}_tag_values": [one.marked() for one in chosen]}
        return values

    def filtered(self) -> frozenset[str]:
        """Dimensions that the filters need and that not every table has."""
        others = {"tag": self.tag_values or self.more_tags, "resource": self.resources}
        found = (name for name in self.chosen() if name not in ("provider", "account", "billing_period", "currency"))
        return frozenset((*found, *(name for name, values in others.items() if values)))

    @property
    def is_of_accounts(self) -> bool:
        """Whether it filters by nothing but provider and account."""
        return not (self.filtered() or self.currencies or self.billing_periods)

    @property
    def needs_line_items(self) -> bool:
        """Whether a filter needs what no derived table has beside the attributes and resources of charges."""
        return not self.filtered() <= _DERIVED | {"resource"}

    def stored(self) -> dict[str, Any]:
        """As JSON, with null for ''."""
        found: dict[str, Any] = {name: [one or None for one in values] for name, values in self.chosen().items()}
        if self.tag_values:
            found["tag"] = {"key": self.tag_filter, "values": list(self.tag_values)}
        if self.more_tags:
            found["tags"] = [
                {"key": one.name, "values": list(one.values), "ignore_case": one.in_any_case} for one in self.more_tags
            ]
        return found

    @classmethod
    def of(cls, stored: Mapping[str, Any], tags: Sequence[TagCondition] = ()) -> Self:
        """Make one of what `stored` returned, with further `tags`.

        Raises:
            ValueError: it has a filter that is not known.
        """
        if unknown := stored.keys() - {*FILTERS, "tag", "tags"}:
            raise ValueError(f"filters: {sorted(unknown)[0]!r} is not known")
        values = {FILTERS[name]: tuple(one or "" for one in stored[name] or ()) for name in FILTERS.keys() & stored}
        own = [*((stored["tag"],) if stored.get("tag") else ()), *(stored.get("tags") or ())]
        conditions = [TagCondition(one["key"], tuple(one["values"]), bool(one.get("ignore_case"))) for one in own]
        conditions += tags
        first = next((one for one in conditions if not one.in_any_case), None)
        return cls(
            **values,
            tag_filter=first.name if first else "",
            tag_values=first.values if first else (),
            more_tags=tuple(one for one in conditions if one is not first),
        )

    def check(self) -> None:
        """Check values that are of a known form.

        Raises:
            ValueError: one is not; the message names it and what is accepted.
        """
        for value in self.charge_categories:
            if value not in CHARGE_CATEGORIES:
                raise ValueError(f"chargeCategory: {value!r} is not accepted: use {', '.join(CHARGE_CATEGORIES)}")
        for value in self.billing_periods:
            BillingPeriod.parse(value)

    def is_apart_from(self, other: ChargeFilter) -> bool:
        """Whether no charge can match both: they have no value in common in some dimension, or of the same tag."""
        own, others = self.chosen(), other.chosen()
        tags = {(one.name, one.in_any_case): set(one.values) for one in other.tags}
        return any(not set(own[name]) & set(others[name]) for name in own.keys() & others.keys()) or any(
            not set(one.values) & tags[one.name, one.in_any_case]
            for one in self.tags
            if (one.name, one.in_any_case) in tags
        )


_LISTS: Final = (*(values for values in FILTERS.values() if values not in _CHOOSING), "tag_values", "resources")
