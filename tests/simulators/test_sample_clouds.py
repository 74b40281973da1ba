"""The demonstration's clouds: each once, among all customers, on ports that stay, connected with what they write down."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.ingestion import account_access
from optiinfra_assets.ingestion.onboarding import build_account, read_source
from optiinfra_assets.providers import PROVIDERS, context
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS
from optiinfra_assets.simulators.sample_clouds import make_cloud, read_served, sample_clouds, serving

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at a cloud has the cloud's time."""
    for module in (account_access, context):
        monkeypatch.setattr(module, "utc_now", lambda: NOW)


def test_every_cloud_is_there_once_and_every_customer_has_some() -> None:
    found = sample_clouds()
    assert sorted(one.provider for one in found) == sorted(SIMULATORS)
    assert {one.customer_id for one in found} == {one.customer_id for one in CUSTOMERS}
    assert all("simulated" in one.account_id for one in found)


def test_thirteen_months_end_with_the_present_one() -> None:
    for sample in sample_clouds():
        cloud = make_cloud(sample, BillingPeriod.of(NOW), lambda: NOW)
        periods = cloud.world.periods()
        assert (periods[0], periods[-1], len(periods)) == (
            BillingPeriod(2025, 11),
            BillingPeriod(2026, 11),
            13,
        )
        assert all(cloud.amount(period) > 0 for period in periods)


def test_what_is_written_down_connects_and_ports_stay_unless_they_are_taken(tmp_path: Path) -> None:
    assert read_served(tmp_path) == (0, [])
    with serving(tmp_path, BillingPeriod.of(NOW), lambda: NOW) as first:
        assert read_served(tmp_path) == (os.getpid(), first)
        for served in first:
            provider = PROVIDERS[served.sample.provider]
            values = {**served.settings, **served.secrets}
            found = read_source(
                provider, build_account(provider, served.sample.customer_id, served.sample.name, values)
            )
            assert found.names
            assert len(found.tokens) >= 12
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first[0].port))
        taken.listen()
        with serving(tmp_path, BillingPeriod.of(NOW), lambda: NOW) as again:
            assert again[0].port != first[0].port
            assert [one.port for one in again[1:]] == [one.port for one in first[1:]]
