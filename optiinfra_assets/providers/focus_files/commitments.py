"""Reads the commitments that ContractCommitment files state. Source: FOCUS specification 1.3 and 1.4, dataset ContractCommitment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.focus_datasets import CONTRACT_COMMITMENT
from optiinfra_assets.providers.focus_files.datasets import rows_of
from optiinfra_assets.providers.focus_files.survey import Survey

_ID: Final = "ContractCommitmentId"
_LAST_UPDATED: Final = "ContractCommitmentLastUpdated"
_COLUMNS: Final = {
    "commitment_id": _ID,
    "contract_id": "ContractId",
    "category": "ContractCommitmentCategory",
    "type_": "ContractCommitmentType",
    "period_start": "ContractCommitmentPeriodStart",
    "period_end": "ContractCommitmentPeriodEnd",
    "contract_start": "ContractPeriodStart",
    "contract_end": "ContractPeriodEnd",
    "description": "ContractCommitmentDescription",
    "status": "ContractCommitmentLifecycleStatus",
    "currency": "BillingCurrency",
    "cost": "ContractCommitmentCost",
    "quantity": "ContractCommitmentQuantity",
    "unit": "ContractCommitmentUnit",
    "discount_share": "ContractCommitmentDiscountPercentage",
    "payment_model": "ContractCommitmentPaymentModel",
    "service_provider": "ServiceProviderName",
    "issuer": "InvoiceIssuerName",
}
"""Attribute of a `Commitment` -> its column."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def commitments_of(survey: Survey) -> list[Commitment]:
    """Return the commitments that the files of a location state, each as it was changed last, by id.

    Raises:
        BadData: a row is not accepted; names file, row, line, column and what is accepted.
        ProviderError: a file cannot be read.
    """
    newest: dict[str, dict[str, Any]] = {}
    for file in survey.of_dataset(CONTRACT_COMMITMENT):
        for row in rows_of(survey.location, file, CONTRACT_COMMITMENT):
            known = newest.get(row[_ID])
            if known is None or _changed_at(row) >= _changed_at(known):
                newest[row[_ID]] = row
    return [Commitment(**{name: newest[one][column] for name, column in _COLUMNS.items()}) for one in sorted(newest)]


def _changed_at(row: dict[str, Any]) -> datetime:
    changed: datetime = row[_LAST_UPDATED] or _NEVER
    return changed
