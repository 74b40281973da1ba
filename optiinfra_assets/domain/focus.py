"""The columns of FOCUS CostAndUsage, versions 1.0 to 1.4: names, types, nullability, first and last version.

Source: FOCUS specification, CostAndUsage dataset, tags v1.0, v1.1, v1.2 and the 1.3/1.4 data model (https://focus.finops.org).
Only this table defines the columns: the file readers, the ``raw_costs`` table, the select lists of statements
(`database.line_item_columns`), the GraphQL type and the writers follow it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Version = tuple[int, int]
V1_0, V1_1, V1_2, V1_3, V1_4 = (1, 0), (1, 1), (1, 2), (1, 3), (1, 4)
VERSIONS: Final[tuple[Version, ...]] = (V1_0, V1_1, V1_2, V1_3, V1_4)
BY_TEXT: Final[dict[str, Version]] = {f"{major}.{minor}": (major, minor) for major, minor in VERSIONS}
"""``1.2`` -> the version."""


class ColumnType(StrEnum):
    """The type of a column's values."""

    STRING = "string"
    DECIMAL = "decimal"
    TIME = "date/time"
    KEY_VALUE = "key-value JSON"
    JSON = "JSON object"


@dataclass(frozen=True, slots=True)
class Column:
    """One FOCUS column.

    Attributes:
        name: FOCUS name, such as ``BilledCost``.
        kind: type of its values.
        mandatory: in the versions that have the column, a file without it is not valid FOCUS.
        nullable: a row may leave it null.
        since: first version with the column.
        until: last version with the column, None if 1.4 still has it.
        accepted: the allowed values, empty if any value is allowed.
    """

    name: str
    kind: ColumnType
    mandatory: bool
    nullable: bool
    since: Version
    until: Version | None = None
    accepted: tuple[str, ...] = ()

    @property
    def snake(self) -> str:
        """The column's name in our tables: ``BilledCost`` -> ``billed_cost``."""
        return snake_case(self.name)


def snake_case(name: str) -> str:
    """Convert a FOCUS name to a name of our tables: ``BillingAccountId`` -> ``billing_account_id``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


CHARGE_CATEGORIES: Final = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")

_S, _D, _T, _KV, _J = (
    ColumnType.STRING,
    ColumnType.DECIMAL,
    ColumnType.TIME,
    ColumnType.KEY_VALUE,
    ColumnType.JSON,
)

COLUMNS: Final[tuple[Column, ...]] = (
    Column("AllocatedMethodDetails", _J, False, True, V1_3),
    Column("AllocatedMethodId", _S, False, True, V1_3),
    Column("AllocatedResourceId", _S, False, True, V1_3),
    Column("AllocatedResourceName", _S, False, True, V1_3),
    Column("AllocatedTags", _KV, False, True, V1_3),
    Column("AvailabilityZone", _S, False, True, V1_0),
    Column("BilledCost", _D, True, False, V1_0),
    Column("BillingAccountId", _S, True, False, V1_0),
    Column("BillingAccountName", _S, True, True, V1_0),
    Column("BillingAccountType", _S, False, False, V1_2),
    Column("BillingCurrency", _S, True, False, V1_0),
    Column("BillingPeriodEnd", _T, True, False, V1_0),
    Column("BillingPeriodStart", _T, True, False, V1_0),
    Column("CapacityReservationId", _S, False, True, V1_1),
    Column("CapacityReservationStatus", _S, False, True, V1_1, accepted=("Used", "Unused")),
    Column("ChargeCategory", _S, True, False, V1_0, accepted=CHARGE_CATEGORIES),
    Column("ChargeClass", _S, True, True, V1_0, accepted=("Correction",)),
    Column("ChargeDescription", _S, True, True, V1_0),
    Column("ChargeFrequency", _S, False, False, V1_0, accepted=("One-Time", "Recurring", "Usage-Based")),
    Column("ChargePeriodEnd", _T, True, False, V1_0),
    Column("ChargePeriodStart", _T, True, False, V1_0),
    Column("CommitmentDiscountCategory", _S, False, True, V1_0, accepted=("Spend", "Usage")),
    Column("CommitmentDiscountId", _S, False, True, V1_0),
    Column("CommitmentDiscountName", _S, False, True, V1_0),
    Column("CommitmentDiscountQuantity", _D, False, True, V1_1),
    Column("CommitmentDiscountStatus", _S, False, True, V1_0, accepted=("Used", "Unused")),
    Column("CommitmentDiscountType", _S, False, True, V1_0),
    Column("CommitmentDiscountUnit", _S, False, True, V1_1),
    Column("CommitmentProgramEligibilityDetails", _J, False, True, V1_4),
    Column("ConsumedQuantity", _D, False, True, V1_0),
    Column("ConsumedUnit", _S, False, True, V1_0),
    Column("ContractApplied", _J, False, True, V1_3),
    Column("ContractedCost", _D, True, False, V1_0),
    Column("ContractedUnitPrice", _D, False, True, V1_0),
    Column("EffectiveCost", _D, True, False, V1_0),
    Column("HostProviderName", _S, True, True, V1_3),
    Column("InvoiceDetailId", _S, False, True, V1_4),
    Column("InvoiceId", _S, False, True, V1_2),
    Column("InvoiceIssuerName", _S, True, False, V1_0),
    Column("ListCost", _D, True, False, V1_0),
    Column("ListUnitPrice", _D, False, True, V1_0),
    Column("PricingCategory", _S, False, True, V1_0, accepted=("Standard", "Dynamic", "Committed", "Other")),
    Column("PricingCurrency", _S, False, True, V1_2),
    Column("PricingCurrencyContractedUnitPrice", _D, False, True, V1_2),
    Column("PricingCurrencyEffectiveCost", _D, False, True, V1_2),
    Column("PricingCurrencyListUnitPrice", _D, False, True, V1_2),
    Column("PricingQuantity", _D, True, True, V1_0),
    Column("PricingUnit", _S, True, True, V1_0),
    Column("ProviderName", _S, True, False, V1_0, until=V1_3),
    Column("PublisherName", _S, True, False, V1_0, until=V1_3),
    Column("RegionId", _S, False, True, V1_0),
    Column("RegionName", _S, False, True, V1_0),
    Column("ResourceId", _S, False, True, V1_0),
    Column("ResourceName", _S, False, True, V1_0),
    Column("ResourceType", _S, False, True, V1_0),
    Column("ServiceCategory", _S, True, False, V1_0),
    Column("ServiceName", _S, True, False, V1_0),
    Column("ServiceProviderName", _S, True, False, V1_3),
    Column("ServiceSubcategory", _S, False, False, V1_1),
    Column("SkuId", _S, False, True, V1_0),
    Column("SkuMeter", _S, False, True, V1_1),
    Column("SkuPriceDetails", _KV, False, True, V1_1),
    Column("SkuPriceId", _S, False, True, V1_0),
    Column("SubAccountId", _S, False, True, V1_0),
    Column("SubAccountName", _S, False, True, V1_0),
    Column("SubAccountType", _S, False, True, V1_2),
    Column("Tags", _KV, False, True, V1_0),
)

BY_NAME: Final[dict[str, Column]] = {column.name: column for column in COLUMNS}


def columns_of(version: Version) -> tuple[Column, ...]:
    """Return the columns of a FOCUS version, in the order of `COLUMNS`, which is the specification's: by name, in every version."""
    return tuple(
        column for column in COLUMNS if column.since <= version and (column.until is None or column.until >= version)
    )


STORED: Final = columns_of(V1_4)
"""The columns that we store: those of FOCUS 1.4."""

NOT_NULL: Final = frozenset(
    {
        "BilledCost",
        "EffectiveCost",
        "BillingCurrency",
        "BillingAccountId",
        "ChargeCategory",
        "BillingPeriodStart",
        "BillingPeriodEnd",
        "ChargePeriodStart",
        "ChargePeriodEnd",
    }
)
"""Columns in which null is rejected: without them a charge has no amount, no time or no owner."""

NULL_AS_EMPTY: Final = frozenset({"InvoiceIssuerName", "ServiceCategory", "ServiceName", "ServiceProviderName"})
"""Mandatory text columns that real files leave null; stored as '' because the table's columns are not nullable."""

EMPTY_AS_NULL: Final = NULL_AS_EMPTY | {"BillingAccountId"}
"""Text columns in which readers get a stored '' as null."""

PRE_1_0_NAMES: Final[dict[str, str]] = {
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "InvoiceIssuer": "InvoiceIssuerName",
}
"""Column names from before 1.0 that converters still write -> the names of 1.0."""
