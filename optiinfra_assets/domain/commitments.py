"""Commitments of contracts, such as a spend that was promised for a year, as whoever issues them states them.

Source of the words: FOCUS 1.3 and 1.4, dataset ContractCommitment. What a version or a source does not state is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.exact_amounts import EXACT, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """A commitment. Times are UTC, ends exclusive; amounts exact.

    Attributes:
        category: FOCUS ContractCommitmentCategory, ``Spend`` or ``Usage``.
        type_: what its issuer calls it.
        status: FOCUS ContractCommitmentLifecycleStatus, such as ``Active``.
        cost: what was promised to be spent, in `currency`.
        quantity: what was promised to be used, in `unit`.
        discount_share: what it takes off prices, from 0 to 1.
    """

    commitment_id: str
    contract_id: str
    category: str
    type_: str
    period_start: datetime
    period_end: datetime
    contract_start: datetime
    contract_end: datetime
    description: str | None = None
    status: str | None = None
    currency: str | None = None
    cost: Decimal | None = None
    quantity: Decimal | None = None
    unit: str | None = None
    discount_share: Decimal | None = None
    payment_model: str | None = None
    service_provider: str | None = None
    issuer: str | None = None

    def content(self) -> dict[str, Any]:
        """Return it as a JSON object; `of` reads it back."""
        return {one.name: _written(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Commitment:
        """Read what `content` has written."""
        return cls(**{name: _read(name, value) for name, value in content.items()})


@dataclass(frozen=True, slots=True)
class StoredCommitment:
    """A commitment as the source of an account states it, since `stated_at` (UTC)."""

    account_id: str
    commitment: Commitment
    stated_at: datetime


_TIMES: Final = frozenset({"period_start", "period_end", "contract_start", "contract_end"})
_AMOUNTS: Final = frozenset({"cost", "quantity", "discount_share"})


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _AMOUNTS:
        return EXACT.create_decimal(value)
    return datetime.fromisoformat(value) if name in _TIMES else value
