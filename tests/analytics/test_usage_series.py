"""What a customer uses, arranged into series: each charge once in its service, and once in its account."""

from __future__ import annotations

from datetime import date
from typing import Any

from optiinfra_assets.analytics.usage_series import UsageSeries
from optiinfra_assets.domain.anomalies import UsageKey


def used(service: str, amount: float) -> dict[str, Any]:
    """Return what a service cost on the second day."""
    kind = {"charge_category": "Usage", "charge_frequency": "Usage-Based", "charge_class": None}
    where = {"provider": "focus", "account_id": "a", "service_name": service, "billing_currency": "EUR"}
    return {**where, **kind, "days": [1], "amounts": [amount]}


def test_a_charge_without_a_service_counts_once_in_its_account() -> None:
    usage = UsageSeries.of_rows([used("", 30.0), used("Logs", 12.0)], date(2026, 4, 1), {"a": date(2026, 4, 2)}, 2)
    assert [key.service for key in usage.keys] == ["", "Logs"]
    assert usage.values[usage.places[UsageKey("focus", "a", "", "EUR")]].tolist() == [0.0, 42.0]
    assert usage.values[usage.places[UsageKey("focus", "a", "Logs", "EUR")]].tolist() == [0.0, 12.0]
