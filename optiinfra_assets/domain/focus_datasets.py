"""Tells the datasets of FOCUS apart. Only CostAndUsage has costs by charge; the others explain it and may lie beside it.

Source: FOCUS specification 1.3 (ContractCommitment) and 1.4 (BillingPeriod, ContractCommitment, InvoiceDetail).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from optiinfra_assets.domain.focus import CHARGE_CATEGORIES, Column, ColumnType

COST_AND_USAGE: Final = "CostAndUsage"

BILLING_PERIOD: Final = "BillingPeriod"
CONTRACT_COMMITMENT: Final = "ContractCommitment"
INVOICE_DETAIL: Final = "InvoiceDetail"
CLOSED: Final = "Closed"
"""Value of BillingPeriodStatus: its issuer changes the period no more."""

_V1_4: Final = (1, 4)
_S, _D, _T, _KV = ColumnType.STRING, ColumnType.DECIMAL, ColumnType.TIME, ColumnType.KEY_VALUE

USED_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    BILLING_PERIOD: (
        Column("BillingPeriodLastUpdated", _T, False, True, _V1_4),
        Column("BillingPeriodStart", _T, True, False, _V1_4),
        Column("BillingPeriodStatus", _S, True, False, _V1_4, accepted=("Open", CLOSED)),
        Column("InvoiceIssuerName", _S, True, False, _V1_4),
    ),
    CONTRACT_COMMITMENT: (
        Column("BillingCurrency", _S, False, True, _V1_4),
        Column("ContractCommitmentCategory", _S, True, False, _V1_4, accepted=("Spend", "Usage")),
        Column("ContractCommitmentCost", _D, False, True, _V1_4),
        Column("ContractCommitmentDescription", _S, False, True, _V1_4),
        Column("ContractCommitmentDiscountPercentage", _D, False, True, _V1_4),
        Column("ContractCommitmentId", _S, True, False, _V1_4),
        Column("ContractCommitmentLastUpdated", _T, False, True, _V1_4),
        Column("ContractCommitmentLifecycleStatus", _S, False, True, _V1_4),
        Column("ContractCommitmentPaymentModel", _S, False, True, _V1_4),
        Column("ContractCommitmentPeriodEnd", _T, True, False, _V1_4),
        Column("ContractCommitmentPeriodStart", _T, True, False, _V1_4),
        Column("ContractCommitmentQuantity", _D, False, True, _V1_4),
        Column("ContractCommitmentType", _S, True, False, _V1_4),
        Column("ContractCommitmentUnit", _S, False, True, _V1_4),
        Column("ContractId", _S, True, False, _V1_4),
        Column("ContractPeriodEnd", _T, True, False, _V1_4),
        Column("ContractPeriodStart", _T, True, False, _V1_4),
        Column("InvoiceIssuerName", _S, False, True, _V1_4),
        Column("ServiceProviderName", _S, False, True, _V1_4),
    ),
    INVOICE_DETAIL: (
        Column("BilledCost", _D, True, False, _V1_4),
        Column("BillingCurrency", _S, True, False, _V1_4),
        Column("BillingPeriodStart", _T, True, False, _V1_4),
        Column("ChargeCategory", _S, True, False, _V1_4, accepted=CHARGE_CATEGORIES),
        Column("InvoiceDetailGrain", _KV, False, True, _V1_4),
        Column("InvoiceDetailId", _S, False, True, _V1_4),
        Column("InvoiceDetailLastUpdated", _T, False, True, _V1_4),
        Column("InvoiceId", _S, True, False, _V1_4),
        Column("InvoiceIssueDate", _T, False, True, _V1_4),
        Column("InvoiceIssueStatus", _S, True, False, _V1_4, accepted=("Open", "Issued", "Voided")),
        Column("InvoiceIssuerName", _S, True, False, _V1_4),
        Column("PaymentDueDate", _T, False, True, _V1_4),
        Column("ReferenceInvoiceId", _S, False, True, _V1_4),
    ),
}
"""Dataset -> the columns of it that are read. One that is not nullable needs a value in every row."""

_OWN_COLUMNS: Final[dict[str, frozenset[str]]] = {
    "BillingPeriod": frozenset({"billingperiodcreated", "billingperiodlastupdated", "billingperiodstatus"}),
    "ContractCommitment": frozenset(
        {
            "contractcommitmentid",
            "contractcommitmentcategory",
            "contractcommitmentperiodstart",
            "contractcommitmenttype",
        }
    ),
    "InvoiceDetail": frozenset(
        {
            "invoicedetailcreated",
            "invoicedetailgrain",
            "invoicedetaildescription",
            "invoiceissuedate",
            "invoiceissuestatus",
        }
    ),
}
"""Dataset -> columns that no other dataset has."""
_OF_A_CHARGE: Final = frozenset({"chargeperiodstart", "chargeperiodend", "effectivecost"})
"""Columns that only CostAndUsage has."""


def squeezed(name: str) -> str:
    """Return a name without the spelling that tools change: ``Billed Cost``, ``billed_cost`` and ``BilledCost`` are equal."""
    return re.sub(r"[\s_.-]", "", name).lower()


def sibling_dataset(names: Iterable[str], path: str = "") -> str | None:
    """Return the dataset beside CostAndUsage that a file holds, by its columns, else by its folders and name; None for any other file.

    Args:
        names: its columns; none if they could not be read.
        path: its name below the location, with forward slashes.
    """
    found = {squeezed(name) for name in names}
    if found & _OF_A_CHARGE:
        return None
    for dataset, own in _OWN_COLUMNS.items():
        if found & own:
            return dataset
    if found:
        return None
    words = squeezed(path)
    return next((dataset for dataset in _OWN_COLUMNS if dataset.lower() in words), None)
