"""Forecasts are refreshed after a publication, by one run for all customers, and kept as they were made."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from orchestrated import NOW, Files, Platform

from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.stored_forecast import from_bytes
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.orchestration.analytics_assets import ANOMALIES, FORECASTS


def refresh(platform: Platform) -> None:
    request = platform.sense("refresh_forecasts").run_requests
    assert request is not None
    assert len(request) == 1
    result = platform.run(request[0].tags, selected=[FORECASTS, ANOMALIES])
    assert result.success


def test_a_publication_makes_a_forecast_and_nothing_else_does(platform: Platform, files: Files) -> None:
    platform.clock.now = NOW
    assert platform.sense("refresh_forecasts").skip_message == "no publication that no forecast knows"
    for customer in ("acme", "beta"):
        platform.metadata.customers.add(customer)
        platform.metadata.accounts.add(Account(f"{customer}.files", customer, "focus", {"location": str(files.path)}))
    for month in ("2026-08", "2026-09", "2026-10"):
        files.write(month, month, ["7"] * 28)
    platform.collect(platform.sense("new_accounts").run_requests or [])
    refresh(platform)
    assert platform.sense("refresh_forecasts").skip_message == "no publication that no forecast knows"
    before = {}
    for customer in ("acme", "beta"):
        made = platform.metadata.forecasts.newest(NOW, customer_id=customer)
        assert made is not None
        (found,) = from_bytes(platform.metadata.forecasts.body(made.made_at, customer_id=customer) or b"")
        assert [key.account for key in found.keys] == [f"{customer}.files"]
        before[customer] = found
    days = before["acme"].series.parts[CostPart.USAGE][0]
    assert np.all(days[days != 0] == 700), "in cents"

    later = NOW + timedelta(days=1)
    files.write("2026-11", "2026-11", ["9"] * 20)
    platform.collect(platform.tick(later))
    refresh(platform)
    as_of = platform.metadata.forecasts.newest(NOW, customer_id="acme")
    assert as_of is not None
    assert as_of.made_at == NOW
    now = platform.metadata.forecasts.newest(later, customer_id="acme")
    assert now is not None
    assert now.generation > as_of.generation


def test_of_each_day_the_last_forecast_is_kept_and_none_past_retention(platform: Platform, files: Files) -> None:
    platform.add_account("acme.files", location=str(files.path))
    made = []
    for number, at in enumerate((NOW, NOW + timedelta(hours=1), NOW + timedelta(days=1), NOW + timedelta(days=96))):
        files.write("october", "2026-10", ["1"] * (20 + number))
        platform.collect(platform.tick(at))
        platform.clock.now = at
        refresh(platform)
        found = [platform.metadata.forecasts.newest(one, customer_id="acme") for one in (*made, at)]
        made.append(at)
        kept = sorted({one.made_at for one in found if one})
        assert kept[-1] == at
    assert kept == [NOW + timedelta(days=1), NOW + timedelta(days=96)]


def test_many_series_are_forecast_by_account_and_service(
    platform: Platform, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiinfra_assets.ingestion.forecasting.MOST_SERIES", 0)
    platform.clock.now = NOW
    platform.add_account("acme.files", location=str(files.path))
    files.write("october", "2026-10", ["7"] * 28)
    platform.collect(platform.sense("new_accounts").run_requests or [])
    refresh(platform)
    made = platform.metadata.forecasts.newest(NOW, customer_id="acme")
    assert made is not None
    assert not made.is_by_sub_account
