"""Tells the datasets of FOCUS apart. Only CostAndUsage has costs by charge; the others explain it and may lie beside it.

Source: FOCUS specification 1.3 (ContractCommitment) and 1.4 (BillingPeriod, ContractCommitment, InvoiceDetail).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

COST_AND_USAGE: Final = "CostAndUsage"

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
