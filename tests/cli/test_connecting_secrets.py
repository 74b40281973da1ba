"""`connect` with a secret: how it is given, that it is stored with its account or not at all, and that nothing shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from command_line import Run

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.vault.credential_audit import Actor

PLANTED = "PLANTED-4711-api-key"
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))


@pytest.fixture
def cloud() -> Iterator[SimulatedVultr]:
    """An account of two months, as it is now."""
    start = BillingPeriod.of(datetime.now(UTC)).shift(-2).start.date()
    with SimulatedVultr.make(Scenario("small", start, (WEB,)), lambda: datetime.now(UTC), secret=PLANTED) as started:
        yield started


@pytest.fixture
def arguments(cloud: SimulatedVultr, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line that connects it, the key in the environment."""
    monkeypatch.setenv("OPTIINFRA_VULTR_API_KEY", PLANTED)
    return ["connect", "vultr", "--customer", "acme", "--endpoint-url", cloud.endpoint]


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """What another process sees."""
    opened = Metadata.connect(settings)
    yield opened
    opened.close()


def test_the_key_is_stored_apart_from_the_settings_and_never_shown(
    connected: Run, arguments: list[str], cloud: SimulatedVultr, metadata: Metadata, settings: Settings
) -> None:
    done = connected(*arguments, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["account"] == "acme.vultr"
    key = settings.home / "master.key"
    assert done.err == f"made master key {key}: back it up; without it no stored secret can be opened\n"
    assert key.stat().st_mode & 0o777 == 0o600
    assert metadata.accounts.get("acme.vultr").settings == {"endpoint_url": cloud.endpoint}
    assert metadata.credentials.reveal("acme.vultr", Actor.here("test"), "test") == {"api_key": PLANTED}
    shown = [done, connected("accounts", "--json"), connected("accounts"), connected("status", "--json")]
    assert not [one for one in shown if PLANTED in one.out + one.err]


def test_connecting_again_replaces_the_key_without_a_word_on_the_key_file(
    connected: Run, arguments: list[str], metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connected(*arguments).code == 0
    monkeypatch.setenv("OPTIINFRA_VULTR_API_KEY", "another")
    refused = connected(*arguments)
    assert "the credential is not accepted" in refused.error
    again = connected(*arguments, "--no-test")
    assert (again.code, again.err) == (0, "")
    assert metadata.credentials.reveal("acme.vultr", Actor.here("test"), "test") == {"api_key": "another"}
    assert metadata.accounts.connection("acme", "acme.vultr").version == 2


def test_a_refused_key_stores_nothing_and_is_not_in_the_message(
    connected: Run, arguments: list[str], cloud: SimulatedVultr, metadata: Metadata, settings: Settings
) -> None:
    cloud.secret = "a different one"
    assert PLANTED not in connected(*arguments).error
    assert metadata.customers.find() == []
    assert not (settings.home / "master.key").exists()


@pytest.mark.parametrize("options", [[], ["--no-test"]], ids=["tested", "untested"])
def test_a_master_key_that_is_not_accepted_leaves_no_account(
    connected: Run,
    arguments: list[str],
    options: list[str],
    metadata: Metadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", "PLANTED-master")
    refused = connected(*arguments, *options)
    assert "OPTIINFRA_MASTER_KEY: a key is not accepted: use base64 of 32 random bytes" in refused.error
    assert PLANTED not in refused.error
    assert "PLANTED-master" not in refused.error
    assert (metadata.customers.find(), metadata.accounts.find()) == ([], [])


def test_an_account_of_other_settings_keeps_its_key(
    connected: Run, arguments: list[str], metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connected(*arguments).code == 0
    monkeypatch.setenv("OPTIINFRA_VULTR_API_KEY", "another")
    refused = connected(*arguments, "--billing-account-id", "7", "--no-test")
    assert "exists with other settings" in refused.error
    assert metadata.credentials.reveal("acme.vultr", Actor.here("test"), "test") == {"api_key": PLANTED}


def test_a_provider_without_secrets_makes_no_key(connected: Run, settings: Settings, tmp_path: Path) -> None:
    location = ["--location", str(tmp_path), "--no-test"]
    assert connected("connect", "focus", "--customer", "acme", *location).code == 0
    assert not (settings.home / "master.key").exists()
